"""The house keeps its plan: floors, doors, names that resolve, nothing of one machine in it."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.db.models import ForeignKey

from personalization.celery import app as celery
from personalization.lib.registries import job_tasks

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("personalization", "segments", "recommender", "experiments")
# The project's own wiring, above every floor.
_WIRING = {"settings", "urls", "wsgi", "celery", "adminsite", "openapi", "__init__"}
_PURE = ("django", "rest_framework", "celery", "redis", "psycopg2", "structlog", "socket")
# Assembled, so that this file does not name what it forbids.
_MACHINE = re.compile("|".join(f"/{name}/" for name in ("work", "root", "t" + "mp/w")))
_REGISTRY = re.compile(r"https?://[^\s\"'`)]*(pypi|artifactory|nexus|registry|index)[^\s\"'`)]*")


def _layers() -> list[str]:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    floors = next(c for c in contracts["importlinter"]["contracts"] if c["id"] == "floors")
    return [name.strip("() ") for floor in floors["layers"] for name in floor.split("|")]


def _sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from (ROOT / package).rglob("*.py")


def _tracked() -> list[Path]:
    done = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("not a clone")
    return [ROOT / line for line in done.stdout.splitlines() if (ROOT / line).is_file()]


def _stands_on(module: str, floor: str) -> bool:
    return module == floor or module.startswith(f"{floor}.")


def _height(module: str) -> int:
    """Return the place of a module's floor, 0 the highest."""
    floors = [place for place, name in enumerate(_layers()) if _stands_on(module, name)]
    assert floors, f"{module} stands on no floor"
    return floors[0]


def test_imports__all__go_down() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout


def test_modules__all__stand_on_a_floor() -> None:
    floors = _layers()
    homeless = []
    for file in _sources():
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        wired = module.startswith("personalization.") and module.split(".")[1] in _WIRING
        if not wired and not any(_stands_on(module, floor) for floor in floors):
            homeless.append(module)

    assert homeless == []


def test_foreign_keys__all__climb_no_floor() -> None:
    ours = [m for m in apps.get_models() if m.__module__.startswith(PACKAGES)]
    climbing = [
        f"{model.__name__}.{field.name}"
        for model in ours
        for field in model._meta.get_fields()
        if isinstance(field, ForeignKey)
        and field.related_model in ours
        and _height(field.related_model.__module__) < _height(model.__module__)
    ]

    assert climbing == []


def _enqueued() -> Iterator[tuple[Path, ast.expr]]:
    for file in _sources():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            called = node.func.id if isinstance(node.func, ast.Name) else called
            if called == "enqueue":
                yield file, node.args[0]


def test_task_names__enqueued_and_scheduled__resolve() -> None:
    celery.loader.import_default_modules()
    planned = [str(entry["task"]) for entry in settings.CELERY_BEAT_SCHEDULE.values()]
    given = list(_enqueued())
    written = [str(name.value) for _, name in given if isinstance(name, ast.Constant)]
    # What is looked up is looked up in one table, all of which is asked here.
    looked_up = {ast.unparse(name) for _, name in given if not isinstance(name, ast.Constant)}
    wanted: list[str] = [*planned, *written, *(name for _, name in job_tasks.items())]

    assert {name.partition("[")[0] for name in looked_up} == {"job_tasks"}
    assert [name for name in wanted if name not in celery.tasks] == []
    for name in wanted:
        module, _, function = name.rpartition(".")
        assert hasattr(importlib.import_module(module), function), name


def test_engines__all__import_nothing_that_does_io() -> None:
    impure = []
    for file in _sources():
        parts = file.relative_to(ROOT).parts
        if "engine" not in parts and file.name != "engine.py":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            impure += [(file.name, n) for n in names if n.split(".")[0] in _PURE]

    assert impure == []


def test_files__tracked__name_no_machine_and_no_registry() -> None:
    named = []
    for file in _tracked():
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found = _MACHINE.search(text) or _REGISTRY.search(text)
        if found:
            named.append((str(file.relative_to(ROOT)), found.group()))

    assert named == []


def test_settings_page__every_variable__is_listed() -> None:
    source = (ROOT / "personalization" / "settings.py").read_text(encoding="utf-8")
    read = set(re.findall(r'env\.(?:str|int|float|bool|list)\(\s*"([A-Z0-9_]+)"', source))
    listed = set(
        re.findall(r"^\| `([A-Z0-9_]+)`", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE)
    )

    assert listed == read
