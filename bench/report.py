"""The tables of speed in docs/benchmarks.md, written from bench/results alone.

`python -m bench.report`; `python -m bench` does it after each run.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from bench.harness import RESULTS, ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
_BLOCK = re.compile(
    r"(?P<head><!-- figures: (?P<name>\w+) -->\n).*?(?P<end><!-- end of figures -->)", re.DOTALL
)
_HEAD = "| figure | value | ceiling of the same run | ratio | goal |\n|---|---|---|---|---|\n"
Figures = Mapping[str, Mapping[str, Any]]
_VERDICTS = {True: "holds", False: "**missed**", None: "not judged at this size"}


def refreshed(text: str) -> str:
    """Return the page with each table as its result file has it."""
    return _BLOCK.sub(lambda one: one["head"] + _told(one["name"]) + one["end"], text)


def _told(name: str) -> str:
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        return f"*Not measured yet: `python -m bench {name}`.*\n"
    result = json.loads(path.read_text(encoding="utf-8"))
    figures: Figures = result["figures"]
    rows = "".join(_row(key, figure) for key, figure in figures.items() if "." not in key)
    tables = "".join(f"\n{table}" for table in _tables(figures))
    machine = result["machine"]
    said = f"{machine['cores']} cores, {machine['memory_gb']} GB, Python {machine['python']}"
    return f"{_HEAD}{rows}{tables}\nProtocol ({said}): {result['protocol']}\n"


def _row(key: str, figure: Mapping[str, Any]) -> str:
    goal = figure["goal"] and f"{figure['goal']}: {_VERDICTS[figure['holds']]}"
    ceiling, ratio = _number(figure["ceiling"]), figure["ratio"]
    share = "" if ratio is None else f"{ratio:.2f}"
    return f"| {_words(key)} | {_value(figure)} | {ceiling} | {share} | {goal} |\n"


def _tables(figures: Figures) -> Iterator[str]:
    """Yield a table for each TABLE of keys TABLE.ROW.COLUMN: values alone, side by side."""
    cells: dict[str, dict[str, dict[str, str]]] = {}
    for key, figure in figures.items():
        if "." in key:
            table, row, column = key.split(".")
            cells.setdefault(table, {}).setdefault(row, {})[column] = _value(figure)
    for table, rows in cells.items():
        columns = list(dict.fromkeys(column for row in rows.values() for column in row))
        lines = [[_words(name) for name in (table, *columns)], ["---"] * (len(columns) + 1)]
        lines += [[_words(row), *(rows[row].get(one, "") for one in columns)] for row in rows]
        yield "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _words(key: str) -> str:
    return key.replace("_", " ")


def _value(figure: Mapping[str, Any]) -> str:
    return f"{_number(figure['value'])} {figure['unit']}".rstrip()


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def main() -> None:
    """Write the page anew."""
    PAGE.write_text(refreshed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
