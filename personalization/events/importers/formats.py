"""The formats by name: how a file is read, parsed, and what products it names."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TextIO

from personalization.events.importers import (
    movielens,
    online_retail,
    rees46,
    retailrocket,
    sessions,
    wire,
)
from personalization.events.importers.lines import Fault, Line, plain_lines, table_lines
from personalization.events.importers.parsed import Parser

Reader = Callable[[TextIO, str], Iterator[Line | Fault]]


class Format(NamedTuple):
    """One format. `products` gives what a line sells; `basket` the order that it is part of."""

    read: Reader
    parse: Parser
    products: Callable[[Line], Iterable[dict[str, Any]]] | None = None
    basket: Callable[[Line], str | None] | None = None
    # Without clock times: sessions are spread evenly over a window.
    clockless: bool = False


def _ratings(text: TextIO, encoding: str) -> Iterator[Line | Fault]:
    """Tabs or commas, with a header or, like `u.data`, without."""
    head = text.readline()
    text.seek(0)
    delimiter = "\t" if "\t" in head else ","
    columns = () if any(letter.isalpha() for letter in head) else movielens.UNTITLED
    return table_lines(text, encoding, delimiter=delimiter, columns=columns)


def _one(
    make: Callable[[Line], dict[str, Any] | None],
) -> Callable[[Line], Iterator[dict[str, Any]]]:
    def products(line: Line) -> Iterator[dict[str, Any]]:
        found = make(line)
        if found is not None:
            yield found

    return products


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "online-retail": Format(table_lines, online_retail.parse, _one(online_retail.product)),
        "movielens": Format(_ratings, movielens.parse, _one(movielens.product)),
        "sessions": Format(plain_lines, sessions.parse, sessions.products, clockless=True),
        "retailrocket": Format(
            table_lines,
            retailrocket.parse,
            _one(retailrocket.product),
            retailrocket.basket_key,
        ),
        "rees46": Format(table_lines, rees46.parse, _one(rees46.product), rees46.basket_key),
        "ndjson": Format(plain_lines, wire.parse_ndjson),
        "csv": Format(table_lines, wire.parse_table),
    }
)
