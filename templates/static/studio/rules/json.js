// JSON without loss: numbers keep their text, a doubled member is a fault, every value knows its place in the text.
"use strict";
{
    const rules = window.studioRules = window.studioRules || {};
    const DEEPEST = 200;
    const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
    const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
    const SPACE = /[ \t\r\n]*/y;
    const WORDS = [["true", true], ["false", false], ["null", null]];

    /** A number that JavaScript would write otherwise (`1.0`, twenty digits): kept as it was written. */
    class Exact {
        constructor(text) { this.text = text; }
        toString() { return this.text; }
        valueOf() { return Number(this.text); }
    }

    /** Why a text is no JSON, with the path and the offset of the place. */
    class Unreadable extends Error {
        constructor(problem, path, offset) {
            super(problem);
            this.path = path;
            this.offset = offset;
        }
    }

    const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Exact);
    const isNumber = (value) => typeof value === "number" || value instanceof Exact;
    const step = (path, key) => (typeof key === "number" ? `${path}[${key}]` : path ? `${path}.${key}` : key);

    /** Return `text` as the number that it says, exact where JavaScript's own would be another. */
    const number = (text) => (String(Number(text)) === text ? Number(text) : new Exact(text));

    class Reader {
        constructor(text) {
            this.text = text;
            this.at = 0;
            this.places = new Map();
        }

        match(pattern) {
            pattern.lastIndex = this.at;
            const found = pattern.exec(this.text);
            if (found === null) { return null; }
            this.at = pattern.lastIndex;
            return found[0];
        }

        fail(problem, path) { throw new Unreadable(problem, path, this.at); }

        skip(mark) {
            this.match(SPACE);
            if (this.text[this.at] !== mark) { return false; }
            this.at += 1;
            return true;
        }

        value(path, depth) {
            if (depth > DEEPEST) { this.fail("is nested too deeply", path); }
            this.match(SPACE);
            const from = this.at;
            const read = this.skip("{") ? this.object(path, depth) : this.skip("[") ? this.array(path, depth) : this.scalar(path);
            this.places.set(path, [from, this.at]);
            return read;
        }

        scalar(path) {
            const string = this.match(STRING);
            if (string !== null) { return JSON.parse(string); }
            const digits = this.match(NUMBER);
            if (digits !== null) { return number(digits); }
            for (const [word, meaning] of WORDS) {
                if (this.text.startsWith(word, this.at)) {
                    this.at += word.length;
                    return meaning;
                }
            }
            return this.fail(this.at < this.text.length ? `cannot be read from “${this.text.slice(this.at, this.at + 12)}” on` : "ends too early", path);
        }

        object(path, depth) {
            // No prototype: a member may have any name.
            const read = Object.create(null);
            if (this.skip("}")) { return read; }
            do {
                this.match(SPACE);
                const quoted = this.match(STRING);
                if (quoted === null) { this.fail("wants the name of a member in double quotes here", path); }
                const name = JSON.parse(quoted);
                if (name in read) { this.fail("is there twice", step(path, name)); }
                if (!this.skip(":")) { this.fail("wants a colon after the name", step(path, name)); }
                read[name] = this.value(step(path, name), depth + 1);
            } while (this.skip(","));
            if (!this.skip("}")) { this.fail("wants a comma or a closing brace here", path); }
            return read;
        }

        array(path, depth) {
            const read = [];
            if (this.skip("]")) { return read; }
            do { read.push(this.value(step(path, read.length), depth + 1)); } while (this.skip(","));
            if (!this.skip("]")) { this.fail("wants a comma or a closing bracket here", path); }
            return read;
        }
    }

    /** Return {value, places}: what the text says, and for every path where it stands. Throws Unreadable. */
    const read = (text) => {
        const reader = new Reader(text);
        const value = reader.value("", 0);
        reader.match(SPACE);
        if (reader.at < text.length) { reader.fail("goes on after its end", ""); }
        return { value, places: reader.places };
    };

    const flat = (value) => {
        if (isNumber(value)) { return String(value); }
        if (Array.isArray(value)) { return `[${value.map(flat).join(", ")}]`; }
        if (!isObject(value)) { return JSON.stringify(value); }
        const members = Object.keys(value).map((name) => `${JSON.stringify(name)}: ${flat(value[name])}`);
        return `{${members.join(", ")}}`;
    };

    /** Return the value as text for people: what fits into a line stands in one. */
    const write = (value, margin = "") => {
        const line = flat(value);
        if (line.length + margin.length <= 96) { return line; }
        const inner = `${margin}  `;
        if (Array.isArray(value)) {
            return `[\n${value.map((one) => inner + write(one, inner)).join(",\n")}\n${margin}]`;
        }
        if (!isObject(value)) { return line; }
        const members = Object.keys(value).map((name) => `${inner}${JSON.stringify(name)}: ${write(value[name], inner)}`);
        return `{\n${members.join(",\n")}\n${margin}}`;
    };

    const copy = (value) => {
        if (Array.isArray(value)) { return value.map(copy); }
        if (!isObject(value)) { return value; }
        const made = Object.create(null);
        for (const name of Object.keys(value)) { made[name] = copy(value[name]); }
        return made;
    };

    rules.json = { Exact, Unreadable, copy, flat, isNumber, isObject, number, read, step, write };
}
