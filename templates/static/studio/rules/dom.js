// Makes the page's elements: native controls, each with a name, the path of what it edits, and its fault beside it.
"use strict";
{
    const rules = window.studioRules = window.studioRules || {};
    const SVG = "http://www.w3.org/2000/svg";
    const ICONS = {
        up: "M12 19V5m-6 6 6-6 6 6", down: "M12 5v14m-6-6 6 6 6-6", duplicate: "M9 9h10v10H9zM5 15V5h10", remove: "M6 6l12 12M18 6 6 18",
        add: "M12 5v14M5 12h14", undo: "M9 7 4 12l5 5M4 12h10a5 5 0 0 1 0 10h-2", json: "M8 5c-3 0-2 3-2 4.500S5 12 4 12c1 0 2 1 2 2.500S5 19 8 19m8-14c3 0 2 3 2 4.500S19 12 20 12c-1 0-2 1-2 2.500s1 4.500-2 4.500",
    };
    let count = 0;
    const id = () => `rb-${(count += 1)}`;

    const fill = (made, options, children) => {
        for (const [name, value] of Object.entries(options)) {
            if (value === undefined || value === null || value === false) { continue; }
            if (name === "on") {
                Object.entries(value).forEach(([event, act]) => made.addEventListener(event, act));
            } else {
                made.setAttribute(name, value === true ? "" : value);
            }
        }
        made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
        return made;
    };
    /** Return an element with attributes, listeners (`on`) and children; empty children are left out. */
    const el = (tag, options = {}, ...children) => fill(document.createElement(tag), options, children);
    const svg = (tag, options = {}, ...children) => fill(document.createElementNS(SVG, tag), options, children);
    const icon = (name) => svg("svg", { class: "rb-icon", viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" }, svg("path", { d: ICONS[name] }));
    const hidden = (text) => el("span", { class: "rb-hidden" }, text);

    /** Return a button that shows an icon and says `text`, to the eye too where `shown`. */
    const button = (name, text, act, { shown = false, path = null, look = "" } = {}) => el(
        "button",
        { type: "button", class: `rb-button ${shown ? look : "rb-small"}`, "data-act": name.split(" ")[0], "data-at": path, "aria-label": shown ? null : text, title: shown ? null : text, on: { click: act } },
        icon(name.split(" ").pop()), shown ? text : "");

    /** Return a control with its label; `quiet` keeps the label for those who do not see the page. */
    const field = (label, control, { quiet = false } = {}) => {
        control.id = control.id || id();
        return el("span", { class: "rb-field" }, el("label", { for: control.id, class: quiet ? "rb-hidden" : "" }, label), control);
    };

    /** Return a select over groups [[title, [[id, text], …]], …]; a group without title stands alone. */
    const choose = (groups, current, act, options = {}) => {
        const option = ([key, text]) => el("option", { value: key, selected: key === current }, text);
        const made = el("select", options, groups.map(([title, entries]) => (title ? el("optgroup", { label: title }, entries.map(option)) : entries.map(option))));
        made.addEventListener("change", () => act(made.value));
        return made;
    };

    /**
     * Return an input over a member: written when typed in, with `read(text)` giving {value} or {fault}.
     * Text put back to what it was gives the very same value back, so looking at a rule never rounds it.
     */
    const input = (ctx, { path, options, tag = "input", text, value, read, write }) => {
        const made = el(tag, { "data-path": path, autocomplete: "off", spellcheck: "false", ...options });
        made.value = text;
        const shown = made.value;
        made.addEventListener("input", () => {
            const got = made.value === shown && value !== undefined ? { value } : read(made.value, made);
            blame(made, got.fault || "");
            made.setCustomValidity(got.fault || "");
            if (!got.fault) { write(got.value); }
            ctx.changed();
        });
        return made;
    };

    /** Put a fault below a control, or take it away. */
    const blame = (control, problem) => {
        const old = control.dataset.fault ? document.getElementById(control.dataset.fault) : null;
        if (old) { old.remove(); }
        delete control.dataset.fault;
        control.removeAttribute("aria-invalid");
        control.removeAttribute("aria-describedby");
        if (!problem) { return; }
        const told = el("span", { class: "rb-fault", id: id() }, problem);
        control.dataset.fault = told.id;
        if (!control.matches("button")) { control.setAttribute("aria-invalid", "true"); }
        control.setAttribute("aria-describedby", told.id);
        (control.closest(".rb-field") || control).after(told);
    };

    /** Return a line of the form: what it is about at the left, its controls at the right. */
    const row = (title, ...controls) => el("div", { class: "rb-row" }, el("span", { class: "rb-title", "aria-hidden": "true" }, title), el("div", { class: "rb-controls" }, ...controls));
    const word = (text) => el("span", { class: "rb-word" }, text);

    rules.dom = { blame, button, choose, el, field, hidden, icon, id, input, row, svg, word };
}
