// Who a rule is, while it is typed: asks the server a moment after the last change and shows the latest answer alone.
"use strict";
{
    const rules = window.studioRules = window.studioRules || {};
    const { button, el, svg } = rules.dom;
    const { say } = rules.words;

    const PAUSE_MS = 400;
    const LONGEST_MS = 30000;
    const grouped = new Intl.NumberFormat("en");
    const percent = (part, whole) => {
        if (!whole) { return "–"; }
        const value = (100 * part) / whole;
        return `${value >= 10 || value === 0 ? Math.round(value) : value.toPrecision(2)} %`;
    };
    const clock = (text) => {
        const at = new Date(text);
        return Number.isNaN(at.getTime()) ? text : at.toISOString().replace("T", " ").slice(0, 19);
    };
    const cookie = (name) => (document.cookie.split("; ").find((one) => one.startsWith(`${name}=`)) || "").slice(name.length + 1);
    const token = (root) => {
        const inForm = (root.closest("form") || document).querySelector("[name=csrfmiddlewaretoken]");
        return inForm ? inForm.value : decodeURIComponent(cookie("csrftoken"));
    };
    const bar = (part, whole) => {
        const width = whole > 0 ? Math.max(0, Math.min(100, (100 * part) / whole)) : 0;
        return svg(
            "svg", { class: "rb-bar", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" },
            svg("rect", { class: "rb-bar-ground", width: "100", height: "8", rx: "2" }), svg("rect", { class: "rb-bar-fill", width: width.toFixed(2), height: "8", rx: "2" }));
    };
    const table = (heads, lines) => el(
        "table", { class: "rb-table" }, el("thead", {}, el("tr", {}, heads.map((head, place) => el("th", { scope: "col", class: place ? "rb-figure" : "" }, head)))),
        el("tbody", {}, lines.map((line) => el("tr", {}, line.map((cell, place) => (place ? el("td", { class: "rb-figure" }, cell) : el("th", { scope: "row" }, cell)))))));
    const part = (title, ...inside) => el("section", { class: "rb-part" }, el("h4", {}, title), ...inside);

    const people = (answer) => {
        const sample = answer.sample || [];
        if (!sample.length) { return answer.count ? null : part(say("sample"), el("p", { class: "note" }, say("nobody"))); }
        const one = (who) => el("li", {}, who.url ? el("a", { href: who.url, target: "_blank", rel: "noopener" }, who.label) : who.label);
        return part(say("sample"), el("ul", { class: "rb-people" }, sample.map(one)));
    };
    // what a sample says is told with how far off it may be
    const off = (answer, margin, told = grouped.format) => (answer.exact === false && typeof margin === "number" ? el("span", { class: "rb-off" }, ` ${say("margin", told(margin))}`) : "");
    const conditions = (answer, nameOf) => {
        const lines = answer.conditions || [];
        if (!lines.length) { return null; }
        const line = (one) => [
            [el("span", { class: "rb-at" }, nameOf(one.path)), el("span", {}, one.sentence)],
            [grouped.format(one.matching), off(answer, one.matching_margin)],
            [grouped.format(one.removes), off(answer, one.removes_margin), bar(one.removes, answer.total)]];
        return part(say("removes"), table([say("condition_col"), say("matching"), say("removed_col")], lines.map(line)));
    };
    const overlap = (answer) => {
        const lines = answer.overlap || [];
        if (!lines.length) { return null; }
        const line = (one) => [
            one.title || one.key, [grouped.format(one.shared), off(answer, one.shared_margin)],
            [percent(one.shared, one.size), off(answer, one.shared_margin, (many) => percent(many, one.size)), bar(one.shared, one.size)]];
        return part(say("overlap"), table([say("segment_col"), say("shared"), say("of_segment")], lines.map(line)));
    };
    const foot = (answer) => el(
        "p", { class: "note rb-foot" }, answer.as_of ? el("time", { datetime: answer.as_of }, say("as_of", clock(answer.as_of))) : "",
        answer.ms === undefined || answer.ms === null ? "" : el("span", {}, say("took", grouped.format(Math.round(answer.ms)))));

    class Preview {
        /** `told(problems)` takes the faults of the latest answer; `nameOf(path)` names a condition. */
        constructor(root, url, { told, nameOf }) {
            Object.assign(this, { root, url, told, nameOf, timer: 0, asked: null, body: null });
            this.head = el("output", { class: "rb-count" });
            this.rest = el("div", { class: "rb-answer" });
            // The same in short, for where the answer itself is out of sight.
            this.mini = el("span", { class: "rb-mini", "aria-hidden": "true" });
            const title = el("h3", {}, say("preview"));
            this.element = el("section", { class: "rb-preview", "aria-label": say("preview"), "data-state": "none", tabindex: "0" }, title, this.head, this.rest);
            window.addEventListener("online", () => { if (this.element.dataset.state === "offline") { this.ask(this.body); } });
        }

        state(name, ...said) {
            this.element.dataset.state = name;
            this.element.setAttribute("aria-busy", String(name === "waiting"));
            if (said.length) { this.head.replaceChildren(...said); }
            if (name === "waiting") { return; }
            const short = this.head.querySelector(".rb-number-big");
            this.mini.textContent = name === "none" ? "" : short ? `${short.textContent} ${say("customers")}` : this.head.textContent;
            this.mini.dataset.state = name;
        }

        stop() {
            clearTimeout(this.timer);
            if (this.asked) { this.asked.abort(); }
            this.asked = null;
        }

        /** Say something in place of an answer; nothing is asked any more. */
        say(name, text) {
            this.stop();
            this.rest.replaceChildren();
            this.state(name, el("span", { class: "rb-said" }, text));
        }

        /** Ask about a rule (as JSON text) once nothing has changed for a moment. */
        ask(body) {
            this.stop();
            if (!this.url) { return; }
            this.body = body;
            this.state("waiting", ...(this.rest.childElementCount ? [] : [el("span", { class: "rb-said" }, say("waiting"))]));
            this.timer = setTimeout(() => this.send(body), PAUSE_MS);
        }

        async send(body) {
            const asked = new AbortController();
            this.asked = asked;
            const limit = setTimeout(() => asked.abort("late"), LONGEST_MS);
            try {
                const answer = await fetch(this.url, {
                    method: "POST", credentials: "same-origin", signal: asked.signal, body: `{"rule": ${body}}`,
                    headers: { Accept: "application/json", "Content-Type": "application/json", "X-CSRFToken": token(this.root) } });
                const said = answer.headers.get("Content-Type") || "";
                const read = said.includes("json") ? await answer.json() : null;
                if (this.asked === asked) { this.show(answer, read); }
            } catch (error) {
                if (this.asked === asked) { this.failed(navigator.onLine === false ? "offline" : "fault", error); }
            } finally {
                clearTimeout(limit);
            }
        }

        failed(name, reason) {
            this.rest.replaceChildren(button("retry undo", say("retry"), () => this.ask(this.body), { shown: true, path: "~retry" }));
            const text = name === "offline" ? say("offline") : reason === "signed_out" ? say("signed_out") : say("fault", reason.name === "TypeError" ? "no answer" : String(reason.message || reason));
            this.state(name, el("span", { class: "rb-said" }, text));
        }

        show(answer, read) {
            const problems = read && Array.isArray(read.problems) ? read.problems : null;
            if (problems && (answer.ok || answer.status === 400 || answer.status === 422)) {
                this.rest.replaceChildren();
                this.state("invalid", el("span", { class: "rb-said" }, problems.length === 1 ? say("invalid_one") : say("invalid_many", problems.length)));
                this.told(problems);
                return;
            }
            if (answer.status === 401 || answer.status === 403 || answer.redirected) { this.failed("fault", "signed_out"); return; }
            if (!answer.ok || read === null || typeof read.count !== "number") { this.failed("fault", String(answer.status)); return; }
            this.told([]);
            const exact = read.exact !== false;
            const margin = !exact && typeof read.margin === "number" ? el("span", { class: "rb-margin" }, ` ${say("margin", grouped.format(Math.round(read.margin)))}`) : "";
            const share = typeof read.total === "number" ? `${percent(read.count, read.total)} – ${say("share_of", grouped.format(read.count), grouped.format(read.total))}` : "";
            this.state(
                "result", el("span", { class: "rb-number-big" }, `${exact ? "" : "≈ "}${grouped.format(read.count)}`, margin), " ",
                el("span", { class: "rb-said" }, read.count === 1 ? say("customer") : say("customers")), " ",
                el("span", { class: "note" }, share, exact ? "" : ` (${say("estimated")})`));
            const parts = [read.sentence ? el("p", { class: "rb-sentence" }, read.sentence) : null, people(read), conditions(read, this.nameOf), overlap(read), foot(read)];
            this.rest.replaceChildren(...parts.filter((one) => one !== null));
        }
    }

    rules.Preview = Preview;
}
