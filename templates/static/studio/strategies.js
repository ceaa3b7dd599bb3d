// Keeps the preview of the strategy editor up to date: whatever changes in the form is asked about after a moment.
// Without this script the button opens the preview in a window of its own.
"use strict";
{
    const PAUSE_MS = 350;
    const start = () => {
        const panel = document.getElementById("strategy-preview");
        const form = panel && panel.closest("form");
        if (!form) { return; }
        const answer = panel.querySelector(".preview-answer");
        panel.querySelector(".preview-open").hidden = true;
        let timer = 0;
        let asked = null;
        let last = "";

        // Whom the preview is for stays over saving, as long as the window is open.
        const KEPT = "studio.strategy-preview";
        const wishes = [...panel.querySelectorAll(".preview-wish :is(input, select)")];
        const keep = () => {
            try { sessionStorage.setItem(KEPT, JSON.stringify(wishes.map(({ name, value }) => [name, value]))); } catch { /* no storage: nothing is kept */ }
        };
        const recall = () => {
            try {
                const kept = new Map(JSON.parse(sessionStorage.getItem(KEPT) || "[]"));
                wishes.filter(({ name }) => kept.has(name)).forEach((one) => { one.value = kept.get(one.name); });
            } catch { /* nothing that can be read is kept */ }
        };
        recall();
        wishes.forEach((one) => one.addEventListener("input", keep));

        const told = () => new URLSearchParams([...new FormData(form)].filter(([, value]) => typeof value === "string")).toString();
        const ask = async () => {
            const body = told();
            if (body === last) { return; }
            last = body;
            if (asked) { asked.abort(); }
            const mine = asked = new AbortController();
            answer.setAttribute("aria-busy", "true");
            try {
                const got = await fetch(panel.dataset.url, {
                    method: "POST", credentials: "same-origin", signal: mine.signal, body,
                    headers: { "Content-Type": "application/x-www-form-urlencoded", "X-CSRFToken": form.elements.csrfmiddlewaretoken.value } });
                if (!got.ok || got.redirected) { throw new Error(String(got.status)); }
                const text = await got.text();
                const open = answer.querySelector("details[open]") !== null;
                if (mine === asked) {
                    // our own page, made by Django's templates, which escape every value
                    answer.replaceChildren(...new DOMParser().parseFromString(text, "text/html").body.childNodes);
                    const lost = answer.querySelector("details");
                    if (lost) { lost.open = open; }
                    answer.dataset.state = "shown";
                }
            } catch (error) {
                if (error.name === "AbortError") { return; }
                last = "";
                answer.textContent = answer.dataset.failed || "The preview could not be read. Change something to try again.";
                answer.dataset.state = "failed";
            } finally {
                if (mine === asked) { answer.removeAttribute("aria-busy"); }
            }
        };
        const soon = () => { clearTimeout(timer); timer = setTimeout(ask, PAUSE_MS); };

        for (const slider of form.querySelectorAll("input[data-slider]")) {
            const value = document.createElement("output");
            value.className = "slider-value";
            const say = () => { value.textContent = Number(slider.value).toFixed(2); };
            slider.after(value);
            slider.addEventListener("input", say);
            say();
        }
        // The rule builder writes its textarea by script: a press of a button in it tells.
        for (const kind of ["input", "change", "click", "keyup"]) { form.addEventListener(kind, soon); }
        panel.addEventListener("keydown", (event) => {
            if (event.key === "Enter" && event.target.matches("input")) { event.preventDefault(); ask(); }
        });
        ask();
    };
    if (document.readyState === "loading") { document.addEventListener("DOMContentLoaded", start); } else { start(); }
}
