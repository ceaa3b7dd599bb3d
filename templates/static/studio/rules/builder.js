// Turns each textarea inside .rule-builder into the form: reads it, draws it, writes it back at every change.
// Without this script the textarea is there and is what the server reads in any case.
"use strict";
{
    const rules = window.studioRules = window.studioRules || {};
    const { blame, button, el, id } = rules.dom;
    const { Unreadable, copy, flat, isObject, read, write } = rules.json;
    const { kinds, say, speak } = rules.words;
    const { groupOp, make, unwrap } = rules.shapes;

    const UNDO_STEPS = 50;
    const CATALOGUE_MS = 10000;

    const fetched = async (url) => {
        const asked = new AbortController();
        const limit = setTimeout(() => asked.abort(), CATALOGUE_MS);
        try {
            const answer = await fetch(url, { credentials: "same-origin", headers: { Accept: "application/json" }, signal: asked.signal });
            if (!answer.ok || answer.redirected) { throw new Error(String(answer.status)); }
            return await answer.json();
        } finally {
            clearTimeout(limit);
        }
    };
    // `$.and[0]`, `rule.and[0]` and `and[0]` are one place.
    const cleaned = (path) => path.replace(/^(?:\$|rule)(?:\.|$)/, "");
    const parentOf = (path) => path.replace(/(?:\[\d+\]|(?:^|\.)[^.[\]]*)$/, "");

    class Builder {
        constructor(root) {
            this.root = root;
            this.text = root.querySelector("textarea");
            this.kinds = (root.dataset.kinds || "").split(/[\s,]+/).filter(Boolean);
            this.catalogue = {};
            this.zone = "UTC";
            this.past = [];
            this.problems = [];
            this.places = new Map();
            this.unread = null;
            this.byHand = false;
            this.pressed = false;
            this.frame();
            this.take();
            this.load();
        }

        get firstKind() {
            if (this.kinds.length) { return this.kinds[0]; }
            const all = kinds(this.catalogue, this.kinds).flatMap(([, list]) => list.map(([kind]) => kind));
            return all[0] || "count";
        }

        /** Put the form, the textarea, the summary and the preview in their places. */
        frame() {
            const label = document.querySelector(`label[for="${CSS.escape(this.text.id)}"]`);
            const name = label ? label.textContent.replace(/:\s*$/, "").trim() : say("builder");
            this.form = el("div", { class: "rb-form", role: "group", "aria-label": name });
            this.jsonFaults = el("div", { class: "rb-json-faults", role: "alert" });
            this.jsonHelp = el("p", { class: "rb-help", id: id() }, say("json_help"));
            this.text.classList.add("rb-code");
            this.text.setAttribute("spellcheck", "false");
            this.text.setAttribute("aria-describedby", this.jsonHelp.id);
            if (!label) { this.text.setAttribute("aria-label", say("json_label")); }
            this.json = el("div", { class: "rb-json", hidden: true }, this.jsonHelp, this.text, this.jsonFaults);
            this.undo = button("undo", say("undo"), () => this.back(), { shown: true, path: "~undo" });
            this.toggle = button("json", say("as_json"), () => this.switchView(), { shown: true, path: "~json" });
            this.toggle.setAttribute("aria-pressed", "false");
            this.notice = el("div", { class: "rb-notice" });
            this.summary = el("div", { class: "rb-summary", hidden: true });
            this.told = el("output", { class: "rb-hidden" });
            this.preview = new rules.Preview(this.root, this.root.dataset.previewUrl, { told: (problems) => this.mark(problems), nameOf: (path) => this.nameOf(path) });
            const main = el("div", { class: "rb-side" }, el("div", { class: "rb-bar-top" }, this.root.dataset.previewUrl ? this.preview.mini : "", this.undo, this.toggle), this.notice, this.summary, this.form, this.json);
            this.root.append(el("div", { class: "rb-frame" }, main, this.root.dataset.previewUrl ? this.preview.element : ""), this.told);
            this.text.addEventListener("input", () => this.typed());
            document.addEventListener("pointerdown", () => { this.pressed = true; }, true);
            ["pointerup", "pointercancel"].forEach((end) => document.addEventListener(end, () => { this.pressed = false; }, true));
            this.form.addEventListener("keydown", (event) => this.enter(event));
            const form = this.text.form;
            if (form) { form.addEventListener("submit", (event) => this.submit(event)); }
        }

        async load() {
            this.form.setAttribute("aria-busy", "true");
            try {
                this.catalogue = (this.root.dataset.catalogueUrl && await fetched(this.root.dataset.catalogueUrl)) || {};
                this.notice.replaceChildren();
            } catch {
                const retry = button("retry undo", say("retry"), () => this.load(), { shown: true, path: "~catalogue" });
                this.notice.replaceChildren(el("p", {}, say("catalogue_gone")), retry);
            }
            speak(this.catalogue.words);
            this.zone = rules.values.knownZone(this.catalogue.time_zone || "UTC");
            this.form.removeAttribute("aria-busy");
            this.draw();
            this.root.dataset.ready = "yes";
            this.count();
        }

        /** Read the textarea; what cannot be read is shown as it is. */
        take() {
            const text = this.text.value.trim();
            this.unread = null;
            try {
                const got = text === "" ? { value: null, places: new Map() } : read(this.text.value);
                const empty = got.value === null || (isObject(got.value) && Object.keys(got.value).length === 0);
                this.rule = empty ? make({ and: [] }) : got.value;
                this.places = got.places;
            } catch (error) {
                if (!(error instanceof Unreadable)) { throw error; }
                this.unread = error;
                this.rule = this.rule || make({ and: [] });
                this.view(true);
            }
            this.jsonProblems();
        }

        typed() {
            this.take();
            this.count();
        }

        /** Write the rule into the textarea. */
        sync() {
            this.text.value = write(this.rule);
            this.places = read(this.text.value).places;
        }

        /** A value changed: write it and count anew. */
        changed() {
            this.sync();
            this.count();
        }

        count() {
            if (this.unread) {
                this.preview.say("invalid", say("unread"));
                return;
            }
            const { body } = unwrap(this.rule);
            const op = groupOp(body);
            if (op && body[op].length === 0) {
                this.mark([]);
                this.preview.say("none", say("none_yet"));
                return;
            }
            this.preview.ask(flat(this.rule));
        }

        /** The form must show other fields: write the rule, draw it, keep the focus where it was. */
        redraw() {
            this.changed();
            this.draw();
        }

        /**
         * Draw anew after what is going on now: a field that is left still gives the focus away, and a
         * button that is pressed must be there when it is let go.
         */
        later() {
            const draw = () => setTimeout(() => this.redraw(), 0);
            if (this.pressed) { document.addEventListener("pointerup", draw, { once: true }); } else { draw(); }
        }

        /** The rule has other conditions or another order: as `redraw`, with the focus where `where` says. */
        restructured(where) {
            this.changed();
            this.draw(where);
            this.say(where.moved ? say("moved", this.nameOf(where.focus)) : where.said);
        }

        remember() {
            this.past = [...this.past.slice(1 - UNDO_STEPS), copy(this.rule)];
        }

        back() {
            if (!this.past.length) { return; }
            this.rule = this.past.pop();
            this.restructured({ said: say("undone") });
        }

        say(text) {
            if (text) { this.told.textContent = text; }
        }

        draw(where = {}) {
            const active = this.root.contains(document.activeElement) ? document.activeElement : null;
            const at = active ? { focus: active.dataset.path || active.dataset.at, act: active.dataset.act } : {};
            const kept = window.scrollY;
            this.form.replaceChildren(rules.tree.drawRule(this));
            this.undo.setAttribute("aria-disabled", String(this.past.length === 0));
            this.showProblems();
            const target = this.find(where.focus === undefined ? at : where);
            if (target && (active || where.focus)) {
                target.focus({ preventScroll: true });
                if (window.scrollY !== kept) { window.scrollTo({ top: kept }); }
                target.scrollIntoView({ block: "nearest" });
            }
        }

        /** Return the control of a path: its button where an act is named, its first field where it is a condition. */
        find({ focus, act, enter }) {
            if (focus === undefined) { return null; }
            const quoted = CSS.escape(focus);
            const inside = `[data-node="${quoted}"] :is(select, input, textarea)`;
            const wanted = [
                act ? `[data-at="${quoted}"][data-act="${act}"]` : null, enter ? inside : null, `[data-path="${quoted}"]`, `[data-at="${quoted}"]`,
                `[data-path="${CSS.escape(focus.split("~")[0])}"]`, inside].filter(Boolean);
            return wanted.reduce((found, one) => found || this.root.querySelector(one), null);
        }

        switchView() {
            if (!this.byHand) {
                this.sync();
                this.view(true);
                this.text.setSelectionRange(0, 0);
                this.text.focus();
                return;
            }
            this.take();
            if (this.unread) {
                this.text.focus();
                return;
            }
            this.view(false);
            this.draw();
        }

        view(byHand) {
            this.byHand = byHand;
            this.form.hidden = byHand;
            this.json.hidden = !byHand;
            this.undo.hidden = byHand;
            this.toggle.setAttribute("aria-pressed", String(byHand));
            this.showProblems();
        }

        enter(event) {
            // A form's Enter would save it while somebody builds.
            if (event.key !== "Enter" || !event.target.matches("input")) { return; }
            event.preventDefault();
            event.target.dispatchEvent(new Event("change", { bubbles: true }));
        }

        submit(event) {
            const wrong = this.byHand ? (this.unread ? this.text : null) : [...this.form.querySelectorAll("[data-fault]")].find((one) => one.validity.customError);
            if (!wrong) { return; }
            event.preventDefault();
            wrong.focus();
        }

        /** Take the faults of the latest answer. */
        mark(problems) {
            this.problems = problems.map((one) => ({ path: cleaned(String(one.path || "")), problem: String(one.words || one.problem) }));
            this.showProblems();
        }

        showProblems() {
            const controls = [...this.form.querySelectorAll("[data-path]")];
            controls.filter((one) => one.dataset.fault && !one.validity.customError).forEach((one) => blame(one, ""));
            const found = this.problems.map((one) => ({ ...one, control: this.controlOf(controls, one.path) }));
            const told = new Map();
            for (const { control, problem } of found) {
                if (control && !(control.validity.customError)) { told.set(control, [...(told.get(control) || []), problem]); }
            }
            told.forEach((texts, control) => blame(control, texts.join("; ")));
            const line = ({ path, problem, control }) => el(
                "li", {}, control ? el("button", { type: "button", class: "rb-link", on: { click: () => control.focus() } }, this.nameOfControl(control)) : say("builder"), `: ${problem} `,
                path && !control ? el("code", {}, path) : "");
            const some = found.length > 0 && !this.byHand;
            const title = found.length === 1 ? say("invalid_one") : say("invalid_many", found.length);
            this.summary.hidden = !some;
            this.summary.replaceChildren(...(some ? [el("p", {}, title), el("ul", {}, found.map(line))] : []));
            this.jsonProblems();
        }

        /** Return the control of a path, else the first inside of it, else the nearest around it. */
        controlOf(controls, path) {
            const inside = (one, at) => one.dataset.path === at || at === "" || one.dataset.path.startsWith(`${at}.`) || one.dataset.path.startsWith(`${at}[`);
            for (let at = path; ; at = parentOf(at)) {
                const found = controls.find((one) => one.dataset.path === at) || controls.find((one) => inside(one, at));
                if (found || at === "") { return found || null; }
            }
        }

        /** Return the name of the condition or group at a path or around it: `Condition 1.2`. */
        nameOf(path) {
            for (let at = cleaned(path); ; at = parentOf(at)) {
                const node = this.form.querySelector(`[data-node="${CSS.escape(at)}"]`);
                if (node) { return node.querySelector("legend").textContent; }
                if (at === "") { return say("builder"); }
            }
        }

        nameOfControl(control) {
            const around = control.closest("[data-node]");
            const labels = control.labels && control.labels.length ? control.labels[0].textContent : "";
            return [around ? around.querySelector("legend").textContent : "", labels].filter(Boolean).join(", ");
        }

        /** Below the JSON: why it cannot be read, or what the server found, each with its place in the text. */
        jsonProblems() {
            this.text.setCustomValidity(this.unread ? this.unread.message : "");
            this.text.removeAttribute("aria-invalid");
            const list = this.unread ? [{ path: this.unread.path, problem: this.unread.message, span: [this.unread.offset, this.unread.offset + 1] }]
                : this.problems.map((one) => ({ ...one, span: this.spanOf(one.path) }));
            const select = (span) => {
                this.text.focus();
                this.text.setSelectionRange(span[0], span[1]);
            };
            const line = ({ path, problem, span }) => {
                const before = this.text.value.slice(0, span[0]).split("\n");
                const place = `${before.length}:${before[before.length - 1].length + 1}`;
                return el("li", {}, el("button", { type: "button", class: "rb-link", on: { click: () => select(span) } }, `${path || say("builder")} (${place})`), `: ${problem}`);
            };
            if (this.byHand && list.length) { this.text.setAttribute("aria-invalid", "true"); }
            this.jsonFaults.replaceChildren(...(this.byHand && list.length ? [el("ul", {}, list.map(line))] : []));
        }

        spanOf(path) {
            for (let at = path; ; at = parentOf(at)) {
                if (this.places.has(at) || at === "") { return this.places.get(at) || [0, 0]; }
            }
        }
    }

    rules.Builder = Builder;
    const start = () => document.querySelectorAll(".rule-builder:not([data-started])").forEach((root) => {
        // The row that Django's admin copies for a new one must stay as it is.
        if (root.closest(".empty-form")) { return; }
        root.dataset.started = "yes";
        new Builder(root);
    });
    if (document.readyState === "loading") { document.addEventListener("DOMContentLoaded", start); } else { start(); }
    // Inline rows that Django's admin adds bring a builder of their own.
    document.addEventListener("formset:added", start);
}
