"""docs/rules.md names exactly what the engine knows."""

import re
from pathlib import Path

from django.conf import settings

from segments.engine import catalogue, conditions, language, values

PAGE = (Path(settings.BASE_DIR) / "docs" / "rules.md").read_text(encoding="utf-8")


def _first_cells(heading: str) -> list[str]:
    """Words in backticks of the first column of the table under a heading."""
    part = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    cells = re.findall(r"^\| (`[^|]*) \|", part, re.MULTILINE)
    return [word for cell in cells for word in re.findall(r"`([^`]+)`", cell)]


def test_rules_page__kinds__are_the_engines() -> None:
    assert _first_cells("Rules and leaves") == list(language.KINDS)


def test_rules_page__operators__are_the_engines() -> None:
    short = {"…_gt": "semver_gt", "…_gte": "semver_gte", "…_lt": "semver_lt", "…_lte": "semver_lte"}

    found = {short.get(word, word) for cell in _first_cells("Operators") for word in cell.split()}

    assert found == set(values.OPERATORS)


def test_rules_page__windows__are_the_engines() -> None:
    assert set(re.findall(r'^\| `\{"type": "(\w+)"', PAGE, re.MULTILINE)) == set(
        conditions._WINDOWS
    )


def test_rules_page__aggregates__are_the_engines() -> None:
    (listed,) = re.findall(r"`agg` \(`([a-z ]+)`\)", PAGE)
    assert tuple(listed.split()) == language.AGGREGATES


def test_rules_page__computed_traits__are_the_catalogues() -> None:
    assert set(_first_cells("Computed traits")) == {one.key for one in catalogue.COMPUTED}


def test_rules_page__pattern_limit__is_the_engines() -> None:
    assert f"at most {values.MAX_PATTERN} characters" in PAGE
