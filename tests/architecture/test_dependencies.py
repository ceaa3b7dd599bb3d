"""What the code imports is what pyproject.toml asks for: what came along by chance may leave."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OURS = {"personalization", "segments", "recommender", "experiments", "tests", "bench"}
# Part of a direct dependency's own API: Celery names kombu's exceptions in its documentation.
COMES_WITH = {"kombu": "celery"}


def declared(*extras: str) -> set[str]:
    """Return the distributions that the project and the named extras ask for, normalised."""
    lines = list(PROJECT["dependencies"])
    for extra in extras:
        lines += PROJECT["optional-dependencies"][extra]
    return {line.split("==")[0].split("[")[0].lower().replace("_", "-") for line in lines}


def imported(*folders: str) -> Iterator[tuple[str, str]]:
    """Yield (file, top-level module) of each import of somebody else's code."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.module:
                    names = [node.module]
                else:
                    continue
                for top in {name.split(".")[0] for name in names}:
                    if top not in OURS and top not in sys.stdlib_module_names:
                        yield str(path.relative_to(ROOT)), top


@pytest.mark.parametrize(
    ("folders", "extras"),
    [
        (("personalization", "segments", "recommender", "experiments"), ("embedded",)),
        (("tests", "bench"), ("embedded", "dev")),
    ],
)
def test_imports__of_others_code__are_direct_dependencies(
    folders: tuple[str, ...], extras: tuple[str, ...]
) -> None:
    distributions, wanted = packages_distributions(), declared(*extras)

    strays = {
        (file, top)
        for file, top in imported(*folders)
        if COMES_WITH.get(top, "") not in wanted
        and not {name.lower().replace("_", "-") for name in distributions.get(top, [])} & wanted
    }

    assert strays == set()
