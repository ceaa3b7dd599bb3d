"""The tables of speed in docs/benchmarks.md, written from bench/results alone.

`python -m bench.report`; `python -m bench` does it after each run.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from bench.harness import RESULTS, ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
_BLOCK = re.compile(
    r"(?P<head><!-- figures: (?P<name>\w+) -->\n).*?(?P<end><!-- end of figures -->)", re.DOTALL
)
_HEAD = "| figure | value | ceiling of the same run | ratio | goal |\n|---|---|---|---|---|\n"
_VERDICTS = {True: "holds", False: "**missed**", None: "not judged at this size"}


def refreshed(text: str) -> str:
    """Return the page with each table as its result file has it."""
    return _BLOCK.sub(lambda one: one["head"] + _told(one["name"]) + one["end"], text)


def _told(name: str) -> str:
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        return f"*Not measured yet: `python -m bench {name}`.*\n"
    result = json.loads(path.read_text(encoding="utf-8"))
    rows = "".join(_row(key, figure) for key, figure in result["figures"].items())
    machine = result["machine"]
    said = f"{machine['cores']} cores, {machine['memory_gb']} GB, Python {machine['python']}"
    return f"{_HEAD}{rows}\nProtocol ({said}): {result['protocol']}\n"


def _row(key: str, figure: Mapping[str, Any]) -> str:
    goal = figure["goal"] and f"{figure['goal']}: {_VERDICTS[figure['holds']]}"
    ceiling, ratio = _number(figure["ceiling"]), figure["ratio"]
    value = f"{_number(figure['value'])} {figure['unit']}".rstrip()
    share = "" if ratio is None else f"{ratio:.2f}"
    return f"| {key.replace('_', ' ')} | {value} | {ceiling} | {share} | {goal} |\n"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def main() -> None:
    """Write the page anew."""
    PAGE.write_text(refreshed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
