"""What files say of items beside the interactions: attributes, in the rows of an item table."""

import json
from collections.abc import Iterable
from pathlib import PurePath

from recommender.engine.base import SideInfo
from recommender.engine.formats import FormatError
from recommender.engine.logs import Table


def attributes(lines: Iterable[str], items: Table) -> SideInfo:
    """Return the attributes of `items`; those of other items are left out.

    Either JSON, `{"item": ["attribute", ...]}` (as published with S3-Rec), or tab separated with a
    header, the first column the item: each other column's words become `column=word`.

    Raises
    ------
    FormatError
        It is neither; the message says where.
    """
    text = "".join(lines)
    found = _json(text) if text.lstrip().startswith("{") else _table(text)
    rows: list[list[str]] = [[] for _ in items.rows]
    for key, words in found.items():
        if key in items.rows:
            rows[items.rows[key]] = words
    return SideInfo(attributes=rows)


def beside(train: PurePath) -> tuple[str, ...]:
    """Return the names that a file of attributes has where it lies beside `train`."""
    stem = train.name.removesuffix(".gz").rsplit(".", 1)[0]
    return (f"{stem}_item2attributes.json", f"{stem}.item")


def _json(text: str) -> dict[str, list[str]]:
    try:
        data = json.loads(text)
    except ValueError as error:
        msg = f"items: no JSON of the form {{item: [attribute, ...]}}: {error}"
        raise FormatError(msg) from error
    wrong = [key for key, words in data.items() if not isinstance(words, list)]
    if wrong:
        msg = f"items: {wrong[0]!r} needs a list of attributes"
        raise FormatError(msg)
    return {key: [str(word) for word in words] for key, words in data.items()}


def _table(text: str) -> dict[str, list[str]]:
    lines = text.splitlines()
    # RecBole writes the type behind the name
    head = [name.split(":")[0] for name in lines[0].split("\t")] if lines else []
    if len(head) < 2:  # noqa: PLR2004 -- the item and one attribute
        msg = "items line 1: expected a header, item<TAB>attribute<TAB>..."
        raise FormatError(msg)
    found = {}
    for number, line in enumerate(lines[1:], 2):
        fields = line.split("\t")
        if len(fields) > len(head):
            msg = f"items line {number}: {len(fields)} fields, the header names {len(head)}"
            raise FormatError(msg)
        pairs = zip(head[1:], fields[1:], strict=False)
        found[fields[0]] = [f"{name}={word}" for name, words in pairs for word in words.split()]
    return found
