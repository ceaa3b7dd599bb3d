// What the form can show of a rule and what a new one begins with. What it cannot show stays JSON; nothing is changed here.
"use strict";
{
    const rules = window.studioRules = window.studioRules || {};
    const { isNumber, isObject } = rules.json;

    const text = (value) => typeof value === "string";
    const anything = () => true;
    const event = (value) => text(value) || (isObject(value) && Object.keys(value).join() === "prefix" && text(value.prefix));
    const only = (value, members) => isObject(value) && Object.keys(value).every((name) => name in members && members[name](value[name]));
    const condition = { key: text, op: text, value: anything };
    const where = (value) => Array.isArray(value) && value.every((one) => only(one, condition));
    const matched = { event, where };
    const step = { event, where, within: isNumber };
    const steps = (value) => Array.isArray(value) && value.every((one) => only(one, step));

    const WINDOWS = {
        last: { seconds: isNumber }, between: { from_seconds: isNumber, to_seconds: isNumber }, calendar_days: { days: isNumber },
        absolute: { from: isNumber, to: isNumber }, ever: {},
    };
    const windowed = (value) => {
        if (!isObject(value) || !text(value.type) || !Object.prototype.hasOwnProperty.call(WINDOWS, value.type)) { return false; }
        return only(value, { type: text, ...WINDOWS[value.type] });
    };

    const compared = { op: text, value: anything };
    const attribute = { key: text, ...compared };
    const LEAVES = {
        count: { event, where, window: windowed, ...compared },
        distinct_days: { event, where, window: windowed, ...compared },
        aggregate: { event, where, window: windowed, prop: text, agg: text, ...compared },
        first_time: { event, where, window: windowed },
        sequence: { window: windowed, steps },
        then_not: { a: (value) => only(value, matched), b: (value) => only(value, matched), after: isNumber, window: windowed },
        stopped: { event, where, before_seconds: isNumber, inactive_seconds: isNumber },
        regularly: { event, where, period: isNumber, periods: isNumber, min_periods: isNumber },
        profile: attribute, context: attribute, product: attribute, score: attribute,
        segment: { key: text }, list: { key: text },
        bucket: { salt: text, from: isNumber, to: isNumber },
    };

    // What other members are missing the form shows as empty fields; these hold fields of their own.
    const REQUIRED = { then_not: ["a", "b"] };

    const isNot = (raw) => isObject(raw) && Object.keys(raw).join() === "not";
    /** Return the group's word, `and` or `or`; null for what is no group. */
    const groupOp = (raw) => {
        const names = isObject(raw) ? Object.keys(raw) : [];
        return names.length === 1 && (names[0] === "and" || names[0] === "or") && Array.isArray(raw[names[0]]) ? names[0] : null;
    };
    /** Return how often a rule is negated, and what is. */
    const unwrap = (raw) => {
        let nots = 0;
        let body = raw;
        while (isNot(body)) {
            nots += 1;
            body = body.not;
        }
        return { nots, body };
    };
    const wrap = (nots, body) => {
        let raw = body;
        for (let count = 0; count < nots; count += 1) { raw = make({ not: raw }); }
        return raw;
    };
    /** Return an object without prototype, as all of a rule are. */
    const make = (members) => Object.assign(Object.create(null), members);

    /** Return why the form cannot show a leaf; "" when it can. */
    const whyNot = (leaf) => {
        if (!isObject(leaf)) { return "it is no object"; }
        if (!text(leaf.kind) || !Object.prototype.hasOwnProperty.call(LEAVES, leaf.kind)) { return "its kind is unknown"; }
        const members = { kind: text, ...LEAVES[leaf.kind] };
        for (const name of Object.keys(leaf)) {
            if (!Object.prototype.hasOwnProperty.call(members, name)) { return `its member “${name}” is unknown`; }
            if (!members[name](leaf[name])) { return `its member “${name}” has another form`; }
        }
        const gone = (REQUIRED[leaf.kind] || []).find((name) => !(name in leaf));
        return gone ? `its member “${gone}” is missing` : "";
    };

    const DAY = 86400;
    const week = () => make({ type: "last", seconds: 7 * DAY });
    const NEW_WINDOWS = {
        last: week, between: () => make({ type: "between", from_seconds: 14 * DAY, to_seconds: 7 * DAY }),
        calendar_days: () => make({ type: "calendar_days", days: 7 }), ever: () => make({ type: "ever" }),
        absolute: () => {
            const today = Math.floor(Date.now() / 1000 / DAY) * DAY;
            return make({ type: "absolute", from: today - 7 * DAY, to: today + DAY });
        },
    };

    const first = (list, member) => (list && list.length ? list[0][member] : "");
    const eventOf = (catalogue, place = 0) => {
        const events = catalogue.events || [];
        return events.length ? events[Math.min(place, events.length - 1)].name : "";
    };
    const propertyOf = (catalogue, name) => {
        const known = (catalogue.events || []).find((one) => one.name === name);
        const properties = known ? known.properties || [] : [];
        return (properties.find((one) => one.type === "number") || properties[0] || { key: "" }).key;
    };
    const asked = (attributes) => {
        const one = (attributes || [])[0] || { key: "", type: "string" };
        const value = { number: 1, boolean: true, datetime: 7 * DAY, strings: [] }[one.type];
        const op = { number: "gte", datetime: "within_last", strings: "any_of" }[one.type] || "eq";
        return { key: one.key, op, value: value === undefined ? first((one.values || []).map((text_) => ({ text_ })), "text_") : value };
    };
    const NEW = {
        count: (c, event_) => ({ event: event_, window: week(), op: "gte", value: 1 }),
        distinct_days: (c, event_) => ({ event: event_, window: make({ type: "last", seconds: 30 * DAY }), op: "gte", value: 3 }),
        aggregate: (c, event_) => ({ event: event_, window: make({ type: "last", seconds: 30 * DAY }), prop: propertyOf(c, event_), agg: "sum", op: "gte", value: 100 }),
        first_time: (c, event_) => ({ event: event_, window: week() }),
        sequence: (c, event_) => ({ window: week(), steps: [make({ event: event_ }), make({ event: eventOf(c, 1), within: DAY })] }),
        then_not: (c, event_) => ({ a: make({ event: event_ }), b: make({ event: eventOf(c, 1) }), after: 3600, window: week() }),
        stopped: (c, event_) => ({ event: event_, before_seconds: 60 * DAY, inactive_seconds: 30 * DAY }),
        regularly: (c, event_) => ({ event: event_, period: 7 * DAY, periods: 4, min_periods: 3 }),
        profile: (c) => asked(c.traits), context: (c) => asked(c.request), product: (c) => asked(c.product),
        segment: (c) => ({ key: first(c.segments, "key") }), list: (c) => ({ key: first(c.lists, "key") }),
        score: (c) => ({ key: first(c.scores, "key"), op: "gte", value: 0.5 }),
        bucket: () => ({ salt: "share", from: 0, to: 0.1 }),
    };
    /** Return a new leaf of that kind; what `old` says of the same members is kept. */
    const fresh = (catalogue, kind, old = {}) => {
        const said = typeof old.event === "string" ? old.event : eventOf(catalogue);
        const made = make({ kind, ...NEW[kind](catalogue, said) });
        const kept = ["count", "distinct_days", "aggregate", "first_time", "stopped", "regularly"].includes(kind) ? ["event", "where", "window"] : ["window"];
        for (const name of kept) {
            if (old[name] !== undefined && name in LEAVES[kind]) { made[name] = old[name]; }
        }
        return made;
    };

    rules.shapes = { NEW_WINDOWS, WINDOWS, asked, fresh, groupOp, make, unwrap, whyNot, wrap };
}
