"""The built-in event types as a Markdown table for docs/events.md; a test ties the two."""

from personalization.events.engine.taxonomy import BUILT_IN, EventType, Spec


def table() -> str:
    """Return one row an event type: name, what the folds take it for, and its properties."""
    head = "| Event | Counts as | Required | Also known |\n|---|---|---|---|\n"
    return head + "".join(_row(one) for one in BUILT_IN)


def _row(one: EventType) -> str:
    required, known = [], []
    for name, spec in one.properties.items():
        if spec.get("required"):
            required.append(" or ".join(f"`{key}`" for key in (name, *spec.get("or", ()))))
        else:
            known.append(_property(name, spec))
    fact = one.fact or "its name alone"
    return f"| {one.name} | {fact} | {', '.join(required) or '-'} | {', '.join(known) or '-'} |\n"


def _property(name: str, spec: Spec) -> str:
    """Return the name with its type; ids and texts are what nearly all are and say nothing."""
    kind = str(spec["type"])
    return f"`{name}`" if kind in {"id", "string"} else f"`{name}` ({kind})"
