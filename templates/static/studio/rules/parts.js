// The parts that leaves are made of: an event, its filters, a window, a comparison, an attribute.
"use strict";
{
    const rules = window.studioRules = window.studioRules || {};
    const { button, choose, el, field, input, row, word } = rules.dom;
    const { comparisons, operators, say } = rules.words;
    const { duration, member, moment, numberInput, setOp, textInput, valueField } = rules.fields;
    const { NEW_WINDOWS, asked, make } = rules.shapes;

    const OTHER = "~other";
    const PREFIX = "~prefix";
    const EMPTY = "~empty";
    const mark = (text) => el("span", { class: "badge warn" }, text);

    /**
     * Return the controls that choose one of the catalogue's names, or any other by typing it.
     * groups = [[title, [[key, title], …]]]; a name that none of them holds stays, typed and marked.
     */
    const pick = (ctx, slot, { groups, label, typed, other, path, chosen, extra = [] }) => {
        const value = slot.get();
        const filled = groups.filter(([, entries]) => entries.length);
        const found = filled.some(([, entries]) => entries.some(([key]) => key === value));
        const entries = filled.map(([title, list]) => [title, list.map(([key, text]) => [`=${key}`, text])]);
        const current = found ? `=${value}` : OTHER;
        const act = (id) => {
            if (id === PREFIX) { slot.set(make({ prefix: typeof value === "string" ? value : "" })); } else { slot.set(id === OTHER ? "" : id.slice(1)); }
            chosen();
            ctx.redraw();
        };
        const select = choose([...entries, ["", [...extra, [OTHER, other]]]], current, act, { "data-path": found ? path : `${path}~pick`, class: "rb-pick" });
        if (found) { return [field(label, select, { quiet: true })]; }
        const box = input(ctx, { path, options: { type: "text" }, text: value === undefined ? "" : value, value, read: (text) => ({ value: text }), write: (text) => { slot.set(text); chosen(); } });
        // What depends on the name is drawn anew once it is complete, not at every letter.
        box.addEventListener("change", () => ctx.later());
        return [field(label, select, { quiet: true }), field(typed, box, { quiet: true }), value ? mark(say("unknown")) : null];
    };

    const titled = (list, key = "key") => (list || []).map((one) => [one[key], one.title || one[key]]);

    /** The event of a leaf, a step or an end of `then_not`: by name, or all that begin alike. */
    const eventRow = (ctx, holder, path, title = say("event")) => {
        const slot = member(holder, "event");
        const at = `${path}.event`.replace(/^\./, "");
        const extra = [[PREFIX, say("event_prefix")]];
        const groups = [["", titled(ctx.catalogue.events, "name")]];
        if (slot.get() === undefined || typeof slot.get() === "string") {
            return row(title, ...pick(ctx, slot, { groups, label: title, typed: say("name"), other: say("other_event"), path: at, chosen: () => {}, extra }));
        }
        const act = (id) => {
            if (id !== PREFIX) { slot.set(id === OTHER ? "" : id.slice(1)); }
            ctx.redraw();
        };
        const entries = groups[0][1].map(([key, text]) => [`=${key}`, text]);
        const select = choose([["", entries], ["", [...extra, [OTHER, say("other_event")]]]], PREFIX, act, { "data-path": at, class: "rb-pick" });
        const prefix = member(slot.get(), "prefix");
        const box = textInput(ctx, prefix, { path: `${at}.prefix`, label: say("prefix") });
        box[0].querySelector("input").addEventListener("change", () => ctx.later());
        return row(title, field(title, select, { quiet: true }), ...box);
    };

    /** Return the properties that the chosen event or events are described with. */
    const propertiesOf = (ctx, event) => {
        const events = ctx.catalogue.events || [];
        const fits = typeof event === "string" ? (one) => one.name === event : (one) => event && typeof event.prefix === "string" && one.name.startsWith(event.prefix);
        const all = new Map();
        for (const one of events.filter(fits)) {
            for (const property of one.properties || []) { all.set(property.key, all.get(property.key) || property); }
        }
        return [...all.values()];
    };
    const attributesOf = (ctx, event) => [[say("of_event"), propertiesOf(ctx, event)], [say("of_context"), ctx.catalogue.context || []]];
    const attributeIn = (groups, key) => groups.reduce((found, [, list]) => found || list.find((one) => one.key === key), undefined);

    const opSelect = (ctx, holder, path, attribute) => {
        const type = attribute ? attribute.type : undefined;
        const offered = operators(ctx.catalogue, type);
        const known = offered.some(([op]) => op === holder.op);
        const all = known ? offered : [...offered, [holder.op || EMPTY, holder.op || say("choose")]];
        const act = (op) => {
            setOp(ctx, holder, op, type);
            ctx.redraw();
        };
        return field(say("op"), choose([["", all]], holder.op || EMPTY, act, { "data-path": `${path}op` }), { quiet: true });
    };

    /** Key, operator and value of one condition over attributes; `groups` = [[title, attributes]]. */
    const asking = (ctx, holder, { groups, path, label }) => {
        const dot = path ? `${path}.` : "";
        const attribute = attributeIn(groups, holder.key);
        const before = attribute && attribute.type;
        const chosen = () => {
            const now = attributeIn(groups, holder.key);
            if (!now || now.type === before || operators(ctx.catalogue, now.type).some(([op]) => op === holder.op)) { return; }
            const anew = asked([now]);
            holder.op = anew.op;
            member(holder, "value").set(anew.value);
        };
        const place = { path: `${dot}value`, label: say("value"), type: attribute && attribute.type, choices: attribute && attribute.values, key: holder.key };
        const entries = groups.map(([title, list]) => [title, titled(list)]);
        return [
            ...pick(ctx, member(holder, "key"), { groups: entries, label, typed: say("path"), other: say("other_key"), path: `${dot}key`, chosen }),
            opSelect(ctx, holder, dot, attribute), ...valueField(ctx, holder, place)];
    };

    /** The filters on an event's properties; all of them must hold. */
    const whereRow = (ctx, holder, path) => {
        const at = path ? `${path}.where` : "where";
        const list = holder.where || [];
        const groups = attributesOf(ctx, holder.event);
        const drop = (place) => {
            ctx.remember();
            list.splice(place, 1);
            if (list.length === 0) { delete holder.where; }
            ctx.restructured({ focus: `${at}~add`, said: say("removed", say("filter")) });
        };
        const add = () => {
            ctx.remember();
            holder.where = [...list, make(asked(groups[0][1].length ? groups[0][1] : groups[1][1]))];
            ctx.restructured({ focus: `${at}[${list.length}].key` });
        };
        const line = (one, place) => el(
            "fieldset", { class: "rb-filter" }, el("legend", { class: "rb-hidden" }, `${say("filter")} ${place + 1}`),
            el("div", { class: "rb-controls" }, asking(ctx, one, { groups, path: `${at}[${place}]`, label: say("where_key") })),
            button("remove", `${say("remove")}: ${say("filter").toLowerCase()} ${place + 1}`, () => drop(place), { path: `${at}[${place}]` }));
        return row(list.length ? say("filters") : "", el("div", { class: "rb-filters" }, list.map(line), button("filter add", say("add_filter"), add, { shown: true, path: `${at}~add`, look: "rb-text" })));
    };

    const WINDOW_PARTS = {
        last: (ctx, it, at) => duration(ctx, member(it, "seconds"), { path: `${at}.seconds`, label: say("when") }),
        between: (ctx, it, at) => [
            ...duration(ctx, member(it, "from_seconds"), { path: `${at}.from_seconds`, label: say("from") }), word(say("until")),
            ...duration(ctx, member(it, "to_seconds"), { path: `${at}.to_seconds`, label: say("to") }), word(say("ago"))],
        calendar_days: (ctx, it, at) => [...numberInput(ctx, member(it, "days"), { path: `${at}.days`, label: say("days"), min: "1", step: "1" }), word(say("days_note"))],
        absolute: (ctx, it, at) => [
            ...moment(ctx, member(it, "from"), { path: `${at}.from`, label: say("from"), epoch: true }), word("–"),
            ...moment(ctx, member(it, "to"), { path: `${at}.to`, label: say("to"), epoch: true }), word(ctx.zone)],
        ever: () => [],
    };
    /** When it happened. */
    const windowRow = (ctx, holder, path, title = say("when")) => {
        const at = path ? `${path}.window` : "window";
        const current = holder.window ? holder.window.type : EMPTY;
        const types = Object.keys(WINDOW_PARTS).map((type) => [type, say(type)]);
        const act = (type) => {
            holder.window = NEW_WINDOWS[type]();
            ctx.redraw();
        };
        const select = choose([["", current === EMPTY ? [[EMPTY, say("choose")], ...types] : types]], current, act, { "data-path": `${at}.type` });
        return row(title, field(title, select, { quiet: true }), ...(current === EMPTY ? [] : WINDOW_PARTS[current](ctx, holder.window, at)));
    };

    /** Compare a number (of times, of days, a sum, a score) with the value. */
    const compareControls = (ctx, holder, path, { type = "number", label, choices, key } = {}) => {
        const dot = path ? `${path}.` : "";
        const offered = comparisons(ctx.catalogue);
        const known = offered.some(([op]) => op === holder.op);
        const act = (op) => {
            setOp(ctx, holder, op, type);
            ctx.redraw();
        };
        const all = known ? offered : [...offered, [holder.op || EMPTY, holder.op || say("choose")]];
        return [
            field(`${label}: ${say("op")}`, choose([["", all]], holder.op || EMPTY, act, { "data-path": `${dot}op` }), { quiet: true }),
            ...valueField(ctx, holder, { path: `${dot}value`, label, type, choices, key })];
    };

    /** One of the catalogue's segments, lists or scores. */
    const keyControls = (ctx, holder, path, { list, label }) => pick(ctx, member(holder, "key"), {
        groups: [["", titled(list)]], label, typed: label, other: say("other_named"), path: path ? `${path}.key` : "key", chosen: () => {} });

    rules.parts = { asking, attributeIn, compareControls, eventRow, keyControls, pick, propertiesOf, whereRow, windowRow };
}
