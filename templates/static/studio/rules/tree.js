// Groups and conditions: how they nest, and adding, removing, doubling and moving them.
"use strict";
{
    const rules = window.studioRules = window.studioRules || {};
    const { button, choose, el, field, input, word } = rules.dom;
    const { copy, read, step, write } = rules.json;
    const { kinds, say } = rules.words;
    const { fresh, groupOp, make, unwrap, whyNot, wrap } = rules.shapes;

    // Where a rule stands: in a list of a group, or at the root (no list).
    const pathOf = (place) => (place.list ? `${place.base}[${place.index}]` : "");
    const bodyPath = (path, nots) => Array.from({ length: nots }).reduce((at) => step(at, "not"), path);
    const numberOf = (place) => (place.list ? `${place.number ? `${place.number}.` : ""}${place.index + 1}` : "");
    const raw = (ctx, place) => (place.list ? place.list[place.index] : ctx.rule);
    const put = (ctx, place, value) => { if (place.list) { place.list[place.index] = value; } else { ctx.rule = value; } };
    const listPath = (path, value) => {
        const { nots, body } = unwrap(value);
        return step(bodyPath(path, nots), groupOp(body));
    };
    const groupIn = (value) => {
        const { body } = unwrap(value);
        const op = groupOp(body);
        return op ? body[op] : null;
    };

    const newLeaf = (ctx) => fresh(ctx.catalogue, ctx.firstKind);
    const add = (ctx, list, base, made) => {
        ctx.remember();
        list.push(made);
        ctx.restructured({ focus: `${base}[${list.length - 1}]`, enter: true, said: say("added", say(groupIn(made) ? "group" : "condition").toLowerCase()) });
    };
    const remove = (ctx, place, name) => {
        ctx.remember();
        if (!place.list) {
            ctx.rule = make({ and: [] });
            ctx.restructured({ focus: "and~add", said: say("removed", name) });
            return;
        }
        place.list.splice(place.index, 1);
        const next = place.list.length ? `${place.base}[${Math.min(place.index, place.list.length - 1)}]` : `${place.base}~add`;
        ctx.restructured({ focus: next, enter: true, said: say("removed", name) });
    };
    const duplicate = (ctx, place) => {
        ctx.remember();
        place.list.splice(place.index + 1, 0, copy(place.list[place.index]));
        ctx.restructured({ focus: `${place.base}[${place.index + 1}]`, enter: true, said: say("added", `${say("condition").toLowerCase()} ${place.index + 2}`) });
    };

    /** Return where one step up or down in reading order leads: {list, at, path}; null at either end. */
    const neighbour = (place, by) => {
        const to = place.index + by;
        const beside = place.list[to];
        if (beside !== undefined) {
            const inside = groupIn(beside);
            if (!inside) { return { list: place.list, at: to, path: `${place.base}[${to}]` }; }
            // The group moves up into the gap when what stood before it has left.
            const group = `${place.base}[${by > 0 ? to - 1 : to}]`;
            const at = by > 0 ? 0 : inside.length;
            return { list: inside, at, path: `${listPath(group, beside)}[${at}]` };
        }
        const out = place.parent;
        if (!out || !out.list) { return null; }
        const at = out.index + (by > 0 ? 1 : 0);
        return { list: out.list, at, path: `${out.base}[${at}]` };
    };
    const move = (ctx, place, by) => {
        const to = neighbour(place, by);
        if (to === null) { return; }
        ctx.remember();
        const [moved] = place.list.splice(place.index, 1);
        to.list.splice(to.at, 0, moved);
        ctx.restructured({ focus: to.path, act: by < 0 ? "up" : "down", moved: true });
    };

    const acts = (ctx, place, name) => {
        const path = pathOf(place) || "~root";
        const named = (word_) => `${say(word_)}: ${name}`;
        const one = (act, run) => button(act, named(act), run, { path });
        const moves = place.list ? [-1, 1].map((by) => {
            const made = one(by < 0 ? "up" : "down", () => move(ctx, place, by));
            if (neighbour(place, by) === null) { made.setAttribute("aria-disabled", "true"); }
            return made;
        }) : [];
        return el("div", { class: "rb-acts" }, moves, place.list ? one("duplicate", () => duplicate(ctx, place)) : null, one("remove", () => remove(ctx, place, name)));
    };

    const drawGroup = (ctx, place, { nots, body }) => {
        const op = groupOp(body);
        const list = body[op];
        const path = bodyPath(pathOf(place), nots);
        const base = step(path, op);
        const number = numberOf(place);
        const name = number ? `${say("group").toLowerCase()} ${number}` : say("group").toLowerCase();
        const options = [["and", say("and")], ["or", say("or")], ["not_or", say("not_or")], ["not_and", say("not_and")]];
        const current = nots === 0 ? op : nots === 1 ? `not_${op}` : "kept";
        const all = nots > 1 ? [...options, ["kept", `${say(op)} – ${say("nots", nots)}`]] : options;
        const act = (chosen) => {
            ctx.remember();
            const negated = chosen.startsWith("not_");
            put(ctx, place, wrap(negated ? 1 : 0, make({ [negated ? chosen.slice(4) : chosen]: list })));
            ctx.restructured({});
        };
        const chooser = field(say("of_these"), choose([["", all]], current, act, { "data-path": base, class: "rb-of" }), { quiet: true });
        const children = list.flatMap((_, index) => {
            const drawn = draw(ctx, { list, index, base, number, parent: place });
            return index ? [el("p", { class: "rb-joint", "aria-hidden": "true" }, say(`${op}_joint`)), drawn] : [drawn];
        });
        const empty = list.length ? null : el("p", { class: "rb-empty" }, say(place.list ? "empty_group" : "first"));
        return el(
            "fieldset", { class: `rb-group${place.list ? "" : " rb-root"}${op === "or" ? " rb-or" : ""}`, "data-node": pathOf(place) },
            el("legend", { class: "rb-hidden" }, number ? `${say("group")} ${number}` : say("builder")),
            el("div", { class: "rb-head" }, number ? el("span", { class: "rb-number", "aria-hidden": "true" }, number) : null, el("div", { class: "rb-chosen" }, chooser), place.list ? acts(ctx, place, name) : null),
            el("div", { class: "rb-list" }, children, empty),
            el(
                "div", { class: "rb-adds" },
                button("add", say("add_condition"), () => add(ctx, list, base, newLeaf(ctx)), { shown: true, path: `${base}~add`, look: list.length ? "" : "rb-main" }),
                button("group add", say("add_group"), () => add(ctx, list, base, make({ or: [newLeaf(ctx)] })), { shown: true, path: `${base}~group` })));
    };

    const drawJson = (ctx, place, reason) => {
        const value = raw(ctx, place);
        const path = pathOf(place);
        const readBack = (text) => {
            try {
                return { value: read(text).value };
            } catch (error) {
                return { fault: say("bad_json", error.message) };
            }
        };
        const text = write(value);
        const made = input(ctx, { path, tag: "textarea", options: { rows: Math.min(12, text.split("\n").length + 1), class: "rb-code rb-wide" }, text, value, read: readBack, write: (got) => put(ctx, place, got) });
        // Once it can be shown as a form it is, but not while somebody types.
        made.addEventListener("change", () => { if (made.validationMessage === "" && whyNot(unwrap(raw(ctx, place)).body) === "") { ctx.later(); } });
        return [
            el("p", { class: "rb-help" }, el("span", { class: "badge warn" }, say("kept_json")), " ", say("kept_why", reason)),
            field(`${say("condition")} (${say("json")})`, made, { quiet: true })];
    };

    const truth = (ctx, place, { nots, body }) => {
        const options = [["0", say("is_true")], ["1", say("is_not_true")]];
        const all = nots > 1 ? [...options, [String(nots), say("nots", nots)]] : options;
        const act = (chosen) => {
            put(ctx, place, wrap(Number(chosen), body));
            ctx.restructured({});
        };
        return field(say("truth"), choose([["", all]], String(nots), act, { class: nots ? "rb-truth rb-negated" : "rb-truth", "data-act": "truth", "data-at": pathOf(place) || "~root" }), { quiet: true });
    };
    const kindSelect = (ctx, place, { nots, body }) => {
        const groups = kinds(ctx.catalogue, ctx.kinds);
        const here = groups.some(([, list]) => list.some(([kind]) => kind === body.kind));
        const act = (kind) => {
            ctx.remember();
            put(ctx, place, wrap(nots, fresh(ctx.catalogue, kind, body)));
            ctx.restructured({});
        };
        const foreign = here ? [] : [["", [[body.kind, `${body.kind} – ${say("not_here")}`]]]];
        const path = step(bodyPath(pathOf(place), nots), "kind");
        return field(say("kind"), choose([...groups, ...foreign], body.kind, act, { class: "rb-kind", "data-path": path }), { quiet: true });
    };

    const drawLeaf = (ctx, place, rule) => {
        const number = numberOf(place);
        const name = `${say("condition").toLowerCase()}${number ? ` ${number}` : ""}`;
        const reason = whyNot(rule.body);
        const path = bodyPath(pathOf(place), rule.nots);
        const head = reason ? [word(say("condition"))] : [kindSelect(ctx, place, rule), truth(ctx, place, rule)];
        const rows = reason ? drawJson(ctx, place, reason) : rules.leaves.leafRows(ctx, rule.body, path);
        return el(
            "fieldset", { class: `rb-leaf${rule.nots % 2 ? " rb-not" : ""}`, "data-node": pathOf(place) },
            el("legend", { class: "rb-hidden" }, `${say("condition")}${number ? ` ${number}` : ""}`),
            el("div", { class: "rb-head" }, number ? el("span", { class: "rb-number", "aria-hidden": "true" }, number) : null, el("div", { class: "rb-chosen" }, head), acts(ctx, place, name)),
            el("div", { class: "rb-rows" }, rows));
    };

    const draw = (ctx, place) => {
        const rule = unwrap(raw(ctx, place));
        return groupOp(rule.body) ? drawGroup(ctx, place, rule) : drawLeaf(ctx, place, rule);
    };

    /** Return the form of the whole rule; a lone condition can be joined by others. */
    const drawRule = (ctx) => {
        const root = { list: null, index: 0, base: "", number: "", parent: null };
        const drawn = draw(ctx, root);
        if (groupOp(unwrap(ctx.rule).body)) { return drawn; }
        const join = (made) => {
            ctx.remember();
            ctx.rule = make({ and: [ctx.rule, made] });
            ctx.restructured({ focus: "and[1]", enter: true, said: say("added", say("condition").toLowerCase()) });
        };
        return el(
            "div", { class: "rb-lone" }, drawn,
            el(
                "div", { class: "rb-adds" }, button("add", say("add_condition"), () => join(newLeaf(ctx)), { shown: true, path: "~add" }),
                button("group add", say("add_group"), () => join(make({ or: [newLeaf(ctx)] })), { shown: true, path: "~group" })));
    };

    rules.tree = { drawRule };
}
