// One form for every kind of leaf, as rows that read like a sentence.
"use strict";
{
    const rules = window.studioRules = window.studioRules || {};
    const { button, choose, el, field, row, word } = rules.dom;
    const { AGGREGATES, say } = rules.words;
    const { duration, member, numberInput, textInput } = rules.fields;
    const { asking, attributeIn, compareControls, eventRow, keyControls, pick, propertiesOf, whereRow, windowRow } = rules.parts;
    const { make } = rules.shapes;
    const { step } = rules.json;

    const seconds = (ctx, holder, path, name, label) => duration(ctx, member(holder, name), { path: step(path, name), label });
    const counted = (label, unit) => (ctx, leaf, path) => [
        eventRow(ctx, leaf, path), whereRow(ctx, leaf, path),
        row(say(label), ...compareControls(ctx, leaf, path, { label: say(label) }), word(say(unit))),
        windowRow(ctx, leaf, path)];

    const aggregate = (ctx, leaf, path) => {
        const properties = propertiesOf(ctx, leaf.event);
        const property = attributeIn([["", properties]], leaf.prop);
        const plain = leaf.agg === "first" || leaf.agg === "last";
        const known = AGGREGATES.some(([agg]) => agg === leaf.agg);
        const act = (agg) => {
            leaf.agg = agg;
            ctx.redraw();
        };
        const all = known ? AGGREGATES : [...AGGREGATES, [leaf.agg || "~empty", leaf.agg || say("choose")]];
        const groups = [["", properties.map((one) => [one.key, one.title || one.key])]];
        const comparing = { label: say("value_of"), type: plain ? property && property.type : "number", choices: plain && property ? property.values : [], key: leaf.agg === "distinct" ? "" : leaf.prop };
        return [
            eventRow(ctx, leaf, path), whereRow(ctx, leaf, path),
            row(
                say("value_of"), field(say("aggregate"), choose([["", all]], leaf.agg || "~empty", act, { "data-path": step(path, "agg") }), { quiet: true }), word(say("of")),
                ...pick(ctx, member(leaf, "prop"), { groups, label: say("where_key"), typed: say("path"), other: say("other_key"), path: step(path, "prop"), chosen: () => {} })),
            row("", ...compareControls(ctx, leaf, path, comparing)), windowRow(ctx, leaf, path)];
    };

    const stepLine = (ctx, leaf, path, place) => {
        const one = leaf.steps[place];
        const at = `${step(path, "steps")}[${place}]`;
        const name = `${say("step").toLowerCase()} ${place + 1}`;
        const shift = (to) => {
            if (to < 0 || to >= leaf.steps.length) { return; }
            ctx.remember();
            leaf.steps.splice(to, 0, ...leaf.steps.splice(place, 1));
            const act = to < place ? "up" : "down";
            ctx.restructured({ focus: `${step(path, "steps")}[${to}]`, act, said: say("moved", `${say("step")} ${to + 1}`) });
        };
        const drop = () => {
            ctx.remember();
            leaf.steps.splice(place, 1);
            ctx.restructured({ focus: `${step(path, "steps")}~add`, said: say("removed", name) });
        };
        const limit = choose([["", [["any", say("within_any")], ["set", say("within")]]]], one.within === undefined ? "any" : "set", (chosen) => {
            member(one, "within").set(chosen === "set" ? 86400 : undefined);
            ctx.redraw();
        }, { "data-path": one.within === undefined ? `${at}.within` : `${at}.within~set` });
        const soon = one.within === undefined ? [] : [...seconds(ctx, one, at, "within", say("within")), word(say("within_unit"))];
        const when = place > 0 || one.within !== undefined ? row(say("when"), field(say("within_set"), limit, { quiet: true }), ...soon) : null;
        return el(
            "fieldset", { class: "rb-step" }, el("legend", {}, `${say("step")} ${place + 1}`),
            el(
                "div", { class: "rb-acts" },
                button("up", `${say("up")}: ${name}`, () => shift(place - 1), { path: at }), button("down", `${say("down")}: ${name}`, () => shift(place + 1), { path: at }),
                button("remove", `${say("remove")}: ${name}`, drop, { path: at })),
            eventRow(ctx, one, at), whereRow(ctx, one, at), when);
    };
    const sequence = (ctx, leaf, path) => {
        const add = () => {
            ctx.remember();
            const last = (leaf.steps || [])[(leaf.steps || []).length - 1];
            leaf.steps = [...(leaf.steps || []), make({ event: last ? last.event : "" })];
            ctx.restructured({ focus: `${step(path, "steps")}[${leaf.steps.length - 1}].event` });
        };
        return [
            ...(leaf.steps || []).map((_, place) => stepLine(ctx, leaf, path, place)),
            row("", button("step add", say("add_step"), add, { shown: true, path: `${step(path, "steps")}~add`, look: "rb-text" })),
            windowRow(ctx, leaf, path, say("first_step"))];
    };

    const end = (ctx, leaf, path, name, title) => {
        const at = step(path, name);
        return el("fieldset", { class: "rb-end" }, el("legend", {}, title), eventRow(ctx, leaf[name], at), whereRow(ctx, leaf[name], at));
    };
    const thenNot = (ctx, leaf, path) => [
        end(ctx, leaf, path, "a", say("did")), windowRow(ctx, leaf, path),
        end(ctx, leaf, path, "b", say("then_no")),
        row(say("for_long"), ...seconds(ctx, leaf, path, "after", say("for_long")), word(say("since_then")))];

    const stopped = (ctx, leaf, path) => [
        eventRow(ctx, leaf, path), whereRow(ctx, leaf, path),
        row(say("active"), word(say("active_text")), ...seconds(ctx, leaf, path, "before_seconds", say("active"))),
        row("", word(say("quiet").toLowerCase()), ...seconds(ctx, leaf, path, "inactive_seconds", say("quiet")))];

    const whole = (ctx, leaf, path, name, label) => numberInput(ctx, member(leaf, name), { path: step(path, name), label, min: "1", step: "1" });
    const regularly = (ctx, leaf, path) => [
        eventRow(ctx, leaf, path), whereRow(ctx, leaf, path),
        row(
            say("periods"), word(say("at_least")), ...whole(ctx, leaf, path, "min_periods", say("min_periods")), word(say("of_the_last")),
            ...whole(ctx, leaf, path, "periods", say("all_periods")), word(say("periods_of")), ...seconds(ctx, leaf, path, "period", say("period")))];

    const attribute = (member_, title) => (ctx, leaf, path) => {
        const all = ctx.catalogue[member_] || [];
        const groups = member_ === "traits"
            ? [[say("traits"), all.filter((one) => !one.computed)], [say("computed"), all.filter((one) => one.computed)]] : [["", all]];
        return [row(say(title), ...asking(ctx, leaf, { groups, path, label: say(title) }))];
    };
    const named = (list, title) => (ctx, leaf, path) => [row(say("member"), ...keyControls(ctx, leaf, path, { list: ctx.catalogue[list], label: say(title) }))];
    const score = (ctx, leaf, path) => [
        row(say("score"), ...keyControls(ctx, leaf, path, { list: ctx.catalogue.scores, label: say("score") }), ...compareControls(ctx, leaf, path, { label: say("value_of") }))];

    const bucket = (ctx, leaf, path) => {
        const told = el("span", { class: "rb-help" });
        const tell = () => {
            const share = Number(leaf.to) - Number(leaf.from);
            told.textContent = Number.isFinite(share) ? say("share_note", `${Math.round(share * 1e6) / 1e4} %`) : "";
        };
        const edge = (name) => {
            const slot = member(leaf, name);
            const set = (value) => {
                slot.set(value);
                tell();
            };
            return numberInput(ctx, { get: slot.get, set }, { path: step(path, name), label: say(name), min: "0" });
        };
        tell();
        return [
            row(say("salt"), ...textInput(ctx, member(leaf, "salt"), { path: step(path, "salt"), label: say("salt") })),
            row(say("share"), ...edge("from"), word("–"), ...edge("to"), told)];
    };

    const FORMS = {
        count: counted("how_often", "times"), distinct_days: counted("on_days", "different_days"), aggregate,
        first_time: (ctx, leaf, path) => [eventRow(ctx, leaf, path), whereRow(ctx, leaf, path), windowRow(ctx, leaf, path), row("", el("span", { class: "rb-help" }, say("first_time_note")))],
        sequence, then_not: thenNot, stopped, regularly,
        profile: attribute("traits", "attribute"), context: attribute("request", "request"), product: attribute("product", "product"),
        segment: named("segments", "segment"), list: named("lists", "list"), score, bucket,
    };

    /** Return the rows of a leaf that the form can show. */
    const leafRows = (ctx, leaf, path) => FORMS[leaf.kind](ctx, leaf, path);

    rules.leaves = { leafRows };
}
