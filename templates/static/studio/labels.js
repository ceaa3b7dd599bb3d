// Gives the boxes that select2 draws the name of the field that they stand for; select2 itself names them by their value.
"use strict";
{
    const named = (container) => {
        const field = container.previousElementSibling;
        const label = field && field.id ? document.querySelector(`label[for="${CSS.escape(field.id)}"]`) : null;
        if (!label) { return; }
        label.id = label.id || `${field.id}_label`;
        for (const part of container.querySelectorAll(".select2-selection, .select2-selection__rendered")) {
            const value = part.matches("[role=combobox]") ? ` ${part.getAttribute("aria-labelledby") || ""}` : "";
            part.setAttribute("aria-labelledby", `${label.id}${value}`.trim());
        }
    };
    const searched = (field) => field.setAttribute("aria-label", "Search");
    // Django names an icon that has no role; a name needs one.
    const pictured = (icon) => icon.setAttribute("role", "img");
    const look = (root) => {
        root.querySelectorAll("span.search-label-icon[aria-label]").forEach(pictured);
        root.querySelectorAll(".select2-container").forEach(named);
        root.querySelectorAll(".select2-search__field").forEach(searched);
    };
    document.addEventListener("DOMContentLoaded", () => {
        look(document);
        // Inline rows and drop-downs are drawn when they are asked for.
        new MutationObserver((changes) => changes.forEach((change) => change.addedNodes.forEach((node) => {
            if (!(node instanceof Element)) { return; }
            if (node.matches(".select2-container")) { named(node); }
            look(node);
        }))).observe(document.body, { childList: true, subtree: true });
    });
}
