// The control for a condition's value: of the operator's shape and the attribute's type, or of what stands there already.
"use strict";
{
    const rules = window.studioRules = window.studioRules || {};
    const { blame, choose, el, field, id, input, word } = rules.dom;
    const { flat, isNumber, read: readJson } = rules.json;
    const { DAYS, UNITS, say, shapeOf } = rules.words;
    const values = rules.values;

    const OFFERED = 40;
    const WANTED = { string: "text", strings: "text", number: "number", boolean: "truth", datetime: "text" };
    const parsed = (text, read, fault) => {
        const value = read(text);
        return value === undefined ? { fault } : { value };
    };
    /** Return what sets and clears one member of an object or list. */
    const member = (holder, key) => ({
        get: () => holder[key],
        set: (value) => { if (value === undefined) { delete holder[key]; } else { holder[key] = value; } },
    });

    const known = (choices) => {
        const list = el("datalist", { id: id() }, (choices || []).slice(0, 500).map((one) => el("option", { value: one })));
        return choices && choices.length ? list : null;
    };

    const textInput = (ctx, slot, { path, label, choices }) => {
        const list = known(choices);
        const made = input(ctx, { path, options: { type: "text", list: list && list.id }, text: slot.get() === undefined ? "" : slot.get(), value: slot.get(), read: (text) => ({ value: text }), write: slot.set });
        return [field(label, made, { quiet: true }), list];
    };

    const minorUnits = (ctx, key) => (ctx.catalogue.currency && /(^|[._])[a-z]*_?minor$/.test(key || "") ? ctx.catalogue.currency : null);
    const money = (value, currency) => {
        try {
            const format = new Intl.NumberFormat("en", { style: "currency", currency });
            return `= ${format.format(Number(value) / 10 ** format.resolvedOptions().maximumFractionDigits)}`;
        } catch {
            return "";
        }
    };
    /** Return a number's input; amounts in minor units say beside it what they are worth. */
    const numberInput = (ctx, slot, { path, label, min, key, step = "any" }) => {
        const currency = minorUnits(ctx, key);
        const hint = currency ? word(slot.get() === undefined ? "" : money(slot.get(), currency)) : null;
        const write = (value) => {
            slot.set(value);
            if (hint) { hint.textContent = value === undefined ? "" : money(value, currency); }
        };
        // A cleared field takes the member away: what is missing is told with its path.
        const read = (text, control) => (text === "" && !control.validity.badInput ? { value: undefined } : parsed(text, values.readNumber, say("bad_number")));
        const made = input(ctx, { path, options: { type: "number", step, min, class: "rb-number" }, text: slot.get() === undefined ? "" : String(slot.get()), value: slot.get(), read, write });
        return [field(label, made, { quiet: true }), hint];
    };

    const truthInput = (ctx, slot, { path, label }) => {
        const act = (chosen) => {
            slot.set(chosen === "true");
            ctx.changed();
        };
        return [field(label, choose([["", [["true", say("yes")], ["false", say("no")]]]], String(slot.get()), act, { "data-path": path }), { quiet: true })];
    };

    const jsonInput = (ctx, slot, { path, label }) => {
        const read = (text) => {
            try {
                return { value: readJson(text).value };
            } catch (error) {
                return { fault: say("bad_json", error.message) };
            }
        };
        const made = input(ctx, { path, options: { type: "text", class: "rb-code" }, text: slot.get() === undefined ? "" : flat(slot.get()), value: slot.get(), read, write: slot.set });
        return [field(`${label} (${say("json")})`, made, { quiet: true })];
    };

    /** Return a duration's two controls: an amount and its unit. */
    const duration = (ctx, slot, { path, label }) => {
        const seconds = slot.get();
        const [amount, unit] = seconds === undefined ? ["", "days"] : values.writeDuration(seconds);
        const box = el("input", { type: "number", min: "0", step: "any", class: "rb-number", "data-path": path, autocomplete: "off" });
        box.value = amount;
        const units = choose([["", UNITS.map(([name]) => [name, name])]], unit, () => change(), { "data-path": `${path}~unit` });
        const change = () => {
            const same = box.value === amount && units.value === unit;
            const got = same ? seconds : values.readDuration(box.value, units.value);
            const bad = got === undefined && (box.value !== "" || box.validity.badInput);
            blame(box, bad ? say("bad_number") : "");
            box.setCustomValidity(bad ? say("bad_number") : "");
            if (!bad) { slot.set(got); }
            ctx.changed();
        };
        box.addEventListener("input", change);
        return [field(`${label}: ${say("amount")}`, box, { quiet: true }), field(`${label}: ${say("unit")}`, units, { quiet: true })];
    };

    /** Return a time's control in the shop's zone; `epoch` times are written as seconds, others as ISO text. */
    const moment = (ctx, slot, { path, label, epoch = false }) => {
        const value = slot.get();
        const ms = value === undefined ? undefined : values.readTime(value);
        if (value !== undefined && ms === undefined) { return jsonInput(ctx, slot, { path, label }); }
        const seconds = epoch || isNumber(value);
        const read = (text) => {
            if (text === "") { return { value: undefined }; }
            const at = values.instant(text, ctx.zone);
            if (Number.isNaN(at)) { return { fault: say("bad_number") }; }
            return { value: seconds ? at / 1000 : values.iso(at, ctx.zone) };
        };
        const made = input(ctx, { path, options: { type: "datetime-local", step: "1" }, text: ms === undefined ? "" : values.wall(ms, ctx.zone), value, read, write: slot.set });
        return [field(`${label} (${say("zone", ctx.zone)})`, made, { quiet: true })];
    };

    const weekdays = (ctx, slot, { path, label }) => {
        const chosen = slot.get() || [];
        if (!Array.isArray(chosen) || !chosen.every((day) => Number.isInteger(day) && day >= 1 && day <= 7)) { return jsonInput(ctx, slot, { path, label }); }
        const toggle = (day, on) => {
            const rest = slot.get().filter((one) => one !== day);
            slot.set(on ? [...rest, day].sort() : rest);
            ctx.changed();
        };
        const box = (title, place) => {
            const made = el("input", { type: "checkbox", id: id(), checked: chosen.includes(place + 1), "data-path": place ? `${path}~${place}` : path });
            made.addEventListener("change", () => toggle(place + 1, made.checked));
            return el("span", { class: "rb-check" }, made, el("label", { for: made.id }, title));
        };
        return [el("fieldset", { class: "rb-checks" }, el("legend", { class: "rb-hidden" }, label), DAYS.map(box))];
    };

    const offer = (slot, box, choices) => {
        const check = (one) => {
            const made = el("input", { type: "checkbox", id: id(), checked: slot.get().includes(one) });
            made.addEventListener("change", () => {
                const rest = slot.get().filter((other) => other !== one);
                box.value = values.writeList(made.checked ? [...rest, one] : rest);
                box.dispatchEvent(new Event("input"));
            });
            return el("span", { class: "rb-check" }, made, el("label", { for: made.id }, one));
        };
        const inside = el("fieldset", { class: "rb-checks" }, el("legend", { class: "rb-hidden" }, say("known")), choices.slice(0, OFFERED).map(check));
        box.addEventListener("input", () => inside.querySelectorAll("input").forEach((one, place) => { one.checked = slot.get().includes(choices[place]); }));
        return el("details", { class: "rb-known" }, el("summary", {}, say("known")), inside);
    };

    const list = (ctx, slot, { path, label, type, choices }) => {
        const numbers = type === "number";
        const read = (text) => {
            const got = numbers ? values.readNumbers(text) : values.readList(text);
            return got.fault ? got : { value: got.items };
        };
        const text = values.writeList(slot.get());
        const help = el("span", { class: "rb-help", id: id() }, say("list_help"));
        const made = input(ctx, { path, tag: "textarea", options: { rows: text.length > 60 ? 3 : 1, class: "rb-list" }, text, value: slot.get(), read, write: slot.set });
        const offered = !numbers && choices && choices.length ? offer(slot, made, choices) : null;
        return [field(label, made, { quiet: true }), offered, help];
    };

    const networks = (ctx, slot, place) => {
        const value = slot.get();
        const many = Array.isArray(value) && value.every((one) => typeof one === "string");
        if (value !== undefined && typeof value !== "string" && !many) { return jsonInput(ctx, slot, place); }
        const read = (text) => {
            const { items, fault } = values.readList(text);
            return fault ? { fault } : { value: items.length === 1 ? items[0] : items };
        };
        const made = input(ctx, { path: place.path, options: { type: "text", class: "rb-wide", placeholder: "192.0.2.0/24, 2001:db8::/32" }, text: many ? values.writeList(value) : value === undefined ? "" : values.writeList([value]), value, read, write: slot.set });
        return [field(place.label, made, { quiet: true })];
    };

    const SINGLE = { text: textInput, number: numberInput, truth: truthInput, json: jsonInput, list: jsonInput, nothing: () => [word(say("nothing"))] };
    const AS = { text: (value) => (typeof value === "string" ? value : flat(value)), number: (value) => values.readNumber(String(value)) || 0, truth: (value) => value === true || value === "true", nothing: () => null, json: (value) => value };

    /** Let people say what kind of value it is, where the attribute does not. */
    const typed = (ctx, slot, shown, { path, label }) => {
        const titles = { text: say("text"), number: say("number"), truth: say("truth_type"), nothing: say("nothing") };
        if (!(shown in titles)) { return null; }
        const act = (type) => {
            slot.set(AS[type](slot.get()));
            ctx.redraw();
        };
        return field(`${label}: ${say("type")}`, choose([["", Object.entries(titles)]], shown, act, { class: "rb-type", "data-path": `${path}~type` }), { quiet: true });
    };

    /** One value of an attribute, or as it stands: a text `5` at a number is shown as the text that it is. */
    const one = (ctx, slot, place) => {
        const wanted = WANTED[place.type];
        const value = slot.get();
        const is = value === undefined ? wanted || "text" : values.typeOf(value);
        const made = SINGLE[is](ctx, slot, place);
        return is === wanted ? made : [typed(ctx, slot, is, place), ...made];
    };

    const allOf = (value, type) => Array.isArray(value) && value.every((entry) => values.typeOf(entry) === type);
    const SHAPES = {
        none: () => [],
        one,
        any: jsonInput,
        pair: (ctx, slot, place) => {
            const now = () => (slot.get() === undefined ? [] : slot.get());
            if (!Array.isArray(now()) || now().length > 2) { return jsonInput(ctx, slot, place); }
            const half = (index, name) => {
                const set = (got) => {
                    const next = [now()[0], now()[1]].map((end) => (end === undefined ? null : end));
                    next[index] = got === undefined ? null : got;
                    slot.set(next);
                };
                const whole = { get: () => now()[index], set };
                const shown = whole.get() === null && WANTED[place.type] === "number" ? { ...whole, get: () => undefined } : whole;
                return one(ctx, shown, { ...place, path: `${place.path}[${index}]`, label: `${place.label}: ${say(name)}` });
            };
            return [...half(0, "low"), word(say("until")), ...half(1, "high")];
        },
        list: (ctx, slot, place) => {
            const shown = { ...slot, get: () => (slot.get() === undefined ? [] : slot.get()) };
            const wanted = WANTED[place.type] || "text";
            const is = [wanted, "text", "number"].find((type) => (type === "text" || type === "number") && allOf(shown.get(), type));
            return is ? list(ctx, shown, { ...place, type: is }) : jsonInput(ctx, slot, place);
        },
        text: (ctx, slot, place) => (slot.get() === undefined || typeof slot.get() === "string" ? textInput(ctx, slot, place) : one(ctx, slot, { ...place, type: "string" })),
        whole: (ctx, slot, place) => (slot.get() === undefined || isNumber(slot.get()) ? numberInput(ctx, slot, { ...place, min: "0", step: "1" }) : one(ctx, slot, { ...place, type: "number" })),
        time: moment,
        duration: (ctx, slot, place) => (slot.get() === undefined || isNumber(slot.get()) ? duration(ctx, slot, place) : jsonInput(ctx, slot, place)),
        weekdays, networks,
    };

    /** Return the controls of `holder.value` for the operator in `holder.op`; place = {path, label, type, choices, key}. */
    const valueField = (ctx, holder, place) => SHAPES[shapeOf(holder.op)](ctx, member(holder, "value"), place);

    const scalar = (value, type) => {
        const single = Array.isArray(value) ? value[0] : value;
        const ideal = { number: 1, boolean: true }[type];
        return single === undefined || single === null || (ideal !== undefined && typeof single !== typeof ideal) ? (ideal === undefined ? "" : ideal) : single;
    };
    const FITTING = {
        none: () => undefined,
        one: scalar,
        any: (value) => value,
        pair: (value, type) => (Array.isArray(value) && value.length === 2 ? value : [scalar(value, type), scalar(value, type)]),
        list: (value) => (Array.isArray(value) ? value : value === undefined || value === "" || typeof value === "boolean" ? [] : [value]),
        text: (value) => { const single = Array.isArray(value) ? value[0] : value; return typeof single === "string" ? single : ""; },
        whole: (value) => (isNumber(value) ? value : 1),
        time: (value, type, zone) => (value !== undefined && typeof value === "string" && values.readTime(value) !== undefined ? value : values.iso(Math.floor(Date.now() / 60000) * 60000, zone)),
        duration: (value) => (isNumber(value) ? value : 7 * 86400),
        weekdays: (value) => (Array.isArray(value) && value.length && value.every((day) => day >= 1 && day <= 7) ? value : [1, 2, 3, 4, 5]),
        networks: (value) => (typeof value === "string" && value.includes("/") ? value : ""),
    };
    /** Change the operator, and the value only as far as its shape must change. */
    const setOp = (ctx, holder, op, type) => {
        const before = shapeOf(holder.op);
        holder.op = op;
        if (shapeOf(op) !== before) { member(holder, "value").set(FITTING[shapeOf(op)](holder.value, type, ctx.zone)); }
    };

    rules.fields = { duration, member, moment, numberInput, setOp, textInput, valueField };
}
