// Every word that the builder itself says, and the tables that stand in where the catalogue is silent.
"use strict";
{
    const rules = window.studioRules = window.studioRules || {};

    const WORDS = {
        builder: "Rule",
        add_condition: "Add condition", add_group: "Add group", add_filter: "Add filter", add_step: "Add step", undo: "Undo",
        first: "No condition yet. Add the first one to say who belongs.", empty_group: "This group is empty: add a condition or remove it.",
        as_json: "JSON", as_form: "Form", json_label: "Rule as JSON", json_help: "For experts: the whole rule as data. The form shows it again as soon as it can be read.",
        condition: "Condition", group: "Group", step: "Step", filter: "Filter",
        up: "Move up", down: "Move down", duplicate: "Duplicate", remove: "Remove",
        moved: "Moved to {0}", removed: "Removed {0}", added: "Added {0}", undone: "Undone",
        of_these: "Which must hold", and: "All of these hold", or: "At least one of these holds", not_and: "Not all of these hold", not_or: "None of these holds",
        and_joint: "and", or_joint: "or",
        truth: "Whether it must hold", is_true: "is true", is_not_true: "is not true", nots: "not, {0} times over (kept)",
        kind: "Kind of condition", kept_json: "kept as JSON", kept_why: "The form cannot show this condition: {0}. It stays exactly as it is.", unknown: "not in the catalogue", not_here: "not for use here",
        event: "Event", event_prefix: "Every event whose name begins with …", prefix: "Beginning of the name", other_event: "Another event …", name: "Name of the event",
        filters: "Only where", where_key: "Property", other_key: "Another path …", other_named: "Another key …", path: "Path", op: "Comparison", value: "Value", choose: "Choose …",
        of_event: "Of the event", of_context: "Where it happened", traits: "Traits", computed: "Computed from events", attribute: "Attribute",
        when: "When", window_type: "Window", amount: "Number", unit: "Unit", from: "From", to: "To", ago: "ago", days: "days", days_note: "days, today included", until: "and",
        last: "in the last", between: "between … and … ago", calendar_days: "in the last calendar days", absolute: "from date to date", ever: "ever",
        times: "times", how_often: "How often", on_days: "On how many days", different_days: "different days",
        value_of: "Value", aggregate: "Way to sum up", of: "of", high: "Upper end", low: "Lower end", type: "Kind of value",
        first_time_note: "The very first match counts.", first_step: "First step", later_step: "Step {0}", within: "At the latest", within_unit: "after the step before", within_any: "at any time after the step before", within_set: "Time limit",
        did: "Did this", then_no: "And then not this", for_long: "For at least", since_then: "after the last one", active: "Active", active_text: "at some time in the", before_that: "before that", quiet: "Quiet for the last",
        periods: "Rhythm", at_least: "in at least", of_the_last: "of the last", periods_of: "periods of", period: "Length of a period", min_periods: "Periods with a match", all_periods: "Periods in all",
        segment: "Segment", list: "List", score: "Score", member: "Is in", salt: "Salt", share: "Share", share_note: "{0} of all customers, always the same ones", request: "Request", product: "Product",
        yes: "yes", no: "no", nothing: "nothing", text: "text", number: "number", truth_type: "yes or no", time: "time", json: "JSON",
        list_help: "Separate by comma or new line; put a value that holds a comma in double quotes.", known: "Pick from known values", zone: "Time zone {0}", chosen: "Values", no_value: "needs no value",
        bad_number: "is not a number", bad_quote: "a double quote does not end", bad_json: "cannot be read: {0}", bad_after_quote: "wants a comma after the closing quote",
        catalogue_gone: "The catalogue of events and attributes could not be read. Names are typed by hand until it can.", retry: "Try again",
        preview: "Who this is", waiting: "Counting …", offline: "No connection. The count goes on when it is back.", fault: "The count failed ({0}). The rule itself is not touched.", signed_out: "You are signed out or may not count.", unread: "The JSON cannot be read, so nothing was counted.", none_yet: "Add a condition to see how many customers it is.",
        invalid_one: "One thing to put right", invalid_many: "{0} things to put right", customers: "customers", customer: "customer", share_of: "{0} of {1} customers", estimated: "estimated from a sample", margin: "± {0}", sample: "Some of them", nobody: "Nobody at present.",
        removes: "What each condition removes", matching: "Match", removed_col: "Removes", condition_col: "Condition", overlap: "Overlap with segments", shared: "Shared", of_segment: "Share of the segment", segment_col: "Segment", as_of: "as of {0} UTC", took: "counted in {0} ms",
        at: "at",
    };

    const KINDS = [
        ["behaviour", "What they did", [
            ["count", "Did something a number of times"], ["distinct_days", "Did something on a number of days"], ["aggregate", "A value of what they did"],
            ["first_time", "Did something for the first time"], ["sequence", "Did things in order"], ["then_not", "Did one thing, then not another"],
            ["stopped", "Stopped doing something"], ["regularly", "Does something regularly"]]],
        ["customer", "Who they are", [
            ["profile", "An attribute of the customer"], ["segment", "In another segment"], ["list", "On a list"], ["score", "A predicted score"], ["bucket", "A random share"]]],
        ["moment", "This very moment", [["context", "The request at hand"], ["product", "The product at hand"]]],
    ];
    const COMPARISONS = [["gte", "at least"], ["lte", "at most"], ["eq", "exactly"], ["between", "between"], ["gt", "more than"], ["lt", "less than"], ["neq", "anything but"]];
    const AGGREGATES = [["sum", "Sum"], ["avg", "Average"], ["min", "Smallest"], ["max", "Largest"], ["first", "First"], ["last", "Latest"], ["distinct", "Number of different"]];

    // op: [title, shape of its value]
    const OPS = {
        eq: ["is", "one"], neq: ["is not", "one"], lt: ["is less than", "one"], lte: ["is at most", "one"], gt: ["is more than", "one"], gte: ["is at least", "one"],
        between: ["is between", "pair"], in: ["is one of", "list"], not_in: ["is none of", "list"], contains: ["contains", "text"], not_contains: ["does not contain", "text"],
        starts_with: ["starts with", "text"], ends_with: ["ends with", "text"], matches: ["matches the pattern", "text"], exists: ["is known", "none"], not_exists: ["is not known", "none"],
        before: ["is before", "time"], after: ["is after", "time"], within_last: ["is within the last", "duration"], weekday: ["is on", "weekdays"],
        semver_eq: ["is the version", "text"], semver_gt: ["is a version after", "text"], semver_gte: ["is at least the version", "text"], semver_lt: ["is a version before", "text"], semver_lte: ["is at most the version", "text"],
        cidr: ["is an address in", "networks"], any_of: ["has any of", "list"], all_of: ["has all of", "list"], none_of: ["has none of", "list"], size: ["has so many elements", "whole"],
    };
    const COMMON = ["in", "not_in", "exists", "not_exists"];
    const BY_TYPE = {
        string: ["eq", "neq", "contains", "not_contains", "starts_with", "ends_with", "matches", ...COMMON],
        number: ["eq", "neq", "gte", "lte", "gt", "lt", "between", ...COMMON],
        boolean: ["eq", "neq", "exists", "not_exists"],
        datetime: ["within_last", "before", "after", "weekday", "exists", "not_exists"],
        strings: ["any_of", "all_of", "none_of", "contains", "not_contains", "size", "exists", "not_exists"],
    };
    const DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    const UNITS = [["days", 86400], ["hours", 3600], ["minutes", 60], ["seconds", 1]];

    let translated = {};
    /** Return the words of that name, with {0}, {1} … filled in. */
    const say = (name, ...given) => given.reduce(
        (text, one, place) => text.split(`{${place}}`).join(String(one)), translated[name] || WORDS[name] || name);
    /** Take other words for those named: a catalogue may bring `words` in the reader's language. */
    const speak = (others) => { translated = others || {}; };

    const pairs = (given, fallback) => (Array.isArray(given) && given.length ? given.map((one) => [one.op, one.title || one.op]) : fallback);
    const comparisons = (catalogue) => pairs(catalogue.comparisons, COMPARISONS);
    /** Return [op, title] of what an attribute of that type can be asked; of everything where the type is not known. */
    const operators = (catalogue, type) => {
        const given = (catalogue.operators || {})[type];
        const own = (BY_TYPE[type] || Object.keys(OPS)).map((op) => [op, OPS[op][0]]);
        return pairs(given, own);
    };
    /** Return the shape of an operator's value: none, one, pair, list, text, time, duration, weekdays, networks, whole, any. */
    const shapeOf = (op) => (OPS[op] ? OPS[op][1] : "any");

    /** Return [group title, [[kind, title], …]] of the kinds that may be used here. */
    const kinds = (catalogue, allowed) => {
        const titles = new Map((catalogue.kinds || []).map((one) => [one.kind, one.title]));
        const usable = (kind) => (allowed.length ? allowed.includes(kind) : titles.size ? titles.has(kind) : kind !== "context" && kind !== "product");
        return KINDS.map(([, title, list]) => [title, list.filter(([kind]) => usable(kind)).map(([kind, own]) => [kind, titles.get(kind) || own])])
            .filter(([, list]) => list.length);
    };

    rules.words = { AGGREGATES, DAYS, UNITS, comparisons, kinds, operators, say, shapeOf, speak };
}
