// Values as people write them and back: durations, times in the shop's zone, lists as plain text. Knows no page.
"use strict";
{
    const rules = window.studioRules = window.studioRules || {};
    const { Exact, isNumber, number } = rules.json;
    const { UNITS, say } = rules.words;
    const QUOTED = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
    const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
    const TYPED_NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
    const ISO = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(Z|[+-]\d\d:?\d\d)?$/;

    /** Return a typed number: JavaScript's where that is exact, else its text; undefined for no number. */
    const readNumber = (text) => {
        const trimmed = text.trim();
        if (!TYPED_NUMBER.test(trimmed) || !Number.isFinite(Number(trimmed))) { return undefined; }
        const whole = /^-?\d+$/.test(trimmed) && !Number.isSafeInteger(Number(trimmed));
        return whole && JSON_NUMBER.test(trimmed) ? new Exact(trimmed) : Number(trimmed);
    };

    /** Return [amount, unit] of seconds in the largest unit that divides them without a rest. */
    const writeDuration = (seconds) => {
        const value = Number(seconds);
        const [name, size] = UNITS.find(([, one]) => value !== 0 && value % one === 0) || UNITS[value === 0 ? 0 : UNITS.length - 1];
        return [size === 1 ? String(seconds) : String(value / size), name];
    };
    /** Return seconds, whole microseconds at the finest; undefined for no number. */
    const readDuration = (amount, unit) => {
        const value = readNumber(amount);
        if (value === undefined) { return undefined; }
        const size = UNITS.find(([name]) => name === unit)[1];
        return size === 1 ? value : Math.round(Number(value) * size * 1e6) / 1e6;
    };

    const clocks = new Map();
    const clockOf = (zone) => {
        if (!clocks.has(zone)) {
            const fields = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
            clocks.set(zone, new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...fields }));
        }
        return clocks.get(zone);
    };
    /** Return a zone that this browser knows: the given one, else UTC. */
    const knownZone = (zone) => {
        try {
            clockOf(zone);
            return zone;
        } catch {
            return "UTC";
        }
    };
    /** Return the wall time of an instant (milliseconds) as an input of type datetime-local takes it. */
    const wall = (ms, zone) => {
        const at = Object.fromEntries(clockOf(zone).formatToParts(new Date(ms)).map((part) => [part.type, part.value]));
        return `${at.year.padStart(4, "0")}-${at.month}-${at.day}T${at.hour}:${at.minute}:${at.second}`;
    };
    const offset = (ms, zone) => Date.parse(`${wall(ms, zone)}Z`) - Math.floor(ms / 1000) * 1000;
    /** Return the instant of a wall time in milliseconds; NaN for none. In a gap or a doubled hour: one of the two. */
    const instant = (text, zone) => {
        const guess = Date.parse(`${text.length === 16 ? `${text}:00` : text}Z`);
        if (Number.isNaN(guess)) { return NaN; }
        return guess - offset(guess - offset(guess, zone), zone);
    };
    const sign = (minutes) => `${minutes < 0 ? "-" : "+"}${String(Math.floor(Math.abs(minutes) / 60)).padStart(2, "0")}:${String(Math.abs(minutes) % 60).padStart(2, "0")}`;
    /** Return an instant as ISO 8601 text with the zone's offset. */
    const iso = (ms, zone) => wall(ms, zone) + sign(Math.round(offset(ms, zone) / 60000));
    /** Return the milliseconds of a time as rules write it (ISO text, without offset UTC; or epoch seconds); undefined for none. */
    const readTime = (value) => {
        if (isNumber(value)) { return Number(value) * 1000; }
        const found = typeof value === "string" ? ISO.exec(value) : null;
        if (found === null) { return undefined; }
        const text = value.replace(" ", "T");
        const ms = Date.parse(found[1] || !text.includes("T") ? text : `${text}Z`);
        return Number.isNaN(ms) ? undefined : ms;
    };

    const plain = (text) => text !== "" && text.trim() === text && !/[,\n\r]/.test(text) && !text.startsWith("\"");
    /** Return a list of texts or numbers as plain text; what holds a comma or begins with a quote is quoted as in JSON. */
    const writeList = (values) => values.map((one) => (typeof one === "string" ? (plain(one) ? one : JSON.stringify(one)) : String(one))).join(", ");
    /** Return {items} or {fault}: the texts that stand between commas and new lines. */
    const readList = (text) => {
        const items = [];
        let at = 0;
        while (at < text.length) {
            if (/[\s,]/.test(text[at])) { at += 1; continue; }
            if (text[at] === "\"") {
                QUOTED.lastIndex = at;
                const found = QUOTED.exec(text);
                if (found === null) { return { fault: say("bad_quote") }; }
                items.push(JSON.parse(found[0]));
                at = QUOTED.lastIndex;
                if (!/^[ \t]*(?:[,\r\n]|$)/.test(text.slice(at))) { return { fault: say("bad_after_quote") }; }
                continue;
            }
            const rest = /[^,\r\n]+/.exec(text.slice(at))[0];
            items.push(rest.trim());
            at += rest.length;
        }
        return { items };
    };
    /** Return {items} or {fault}: the numbers that stand between commas and new lines. */
    const readNumbers = (text) => {
        const { items, fault } = readList(text);
        if (fault) { return { fault }; }
        const numbers = items.map(readNumber);
        const wrong = numbers.indexOf(undefined);
        return wrong < 0 ? { items: numbers } : { fault: `“${items[wrong]}” ${say("bad_number")}` };
    };

    /** Return what a value is: text, number, truth, nothing, list, json. */
    const typeOf = (value) => {
        if (typeof value === "string") { return "text"; }
        if (isNumber(value)) { return "number"; }
        if (typeof value === "boolean") { return "truth"; }
        return value === null ? "nothing" : Array.isArray(value) ? "list" : "json";
    };

    rules.values = { instant, iso, knownZone, number, readDuration, readList, readNumber, readNumbers, readTime, typeOf, wall, writeDuration, writeList };
}
