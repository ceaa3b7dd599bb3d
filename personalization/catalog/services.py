"""Writes of the catalogue: products in bulk, soft deletion, the category tree, unknown item ids.

Every write of products takes one transaction lock and draws `change` inside it, so changes become
visible in the order of their numbers.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypedDict

import orjson
from django.db import connection, transaction

from personalization.access.audit import audit, state
from personalization.catalog import selectors
from personalization.catalog.engine.items import parse_item
from personalization.catalog.models import Category, Product, UnknownItem
from personalization.lib.errors import Conflict, Problem, Unprocessable
from personalization.lib.locks import hold

# Rows a statement: the round trip no longer matters, and the lock is held for some 50 ms.
_CHUNK = 2000
# A write of more products than this is one row of the trail with counts, not one row a product.
_AUDIT_EACH = 50
# column, cast out of JSON, value of a new product that does not set it
_COLUMNS = (
    ("title", "->> {}", "NULL"),
    ("url", "->> {}", "''"),
    ("image_url", "->> {}", "''"),
    ("price_minor", "->> {}::bigint", "NULL"),
    ("currency", "->> {}", "''"),
    ("stock", "->> {}::integer", "NULL"),
    ("available", "->> {}::boolean", "true"),
    ("brand", "->> {}", "''"),
    ("categories", "-> {}", "'[]'::jsonb"),
    ("attributes", "-> {}", "'{}'::jsonb"),
)


class ItemResult(TypedDict):
    """What became of one item."""

    index: int
    key: str
    status: Literal["created", "updated", "unchanged", "rejected"]
    problems: list[Problem]


class Upserted(TypedDict):
    """What became of a bulk upsert; `results` in the order of items, `rejected` a part of it."""

    created: int
    updated: int
    unchanged: int
    rejected: list[ItemResult]
    results: list[ItemResult]


def upsert_products(items: Sequence[object], *, actor: str, now: datetime) -> Upserted:
    """Create or change products by key; fields that an item does not name stay as they are.

    What is well-formed is written even when its neighbour is not. Idempotent: an item equal to what
    is stored is `unchanged` and wakes nobody. A deleted product comes back. Of two items with one
    key the later one wins field by field. Each 2,000 items are one statement in one transaction.
    """
    results: list[ItemResult] = []
    for start in range(0, len(items), _CHUNK):
        results += _upsert_chunk(items[start : start + _CHUNK], start=start, actor=actor, now=now)
    counts = dict.fromkeys(("created", "updated", "unchanged"), 0)
    for result in results:
        if result["status"] != "rejected":
            counts[result["status"]] += 1
    return Upserted(
        created=counts["created"],
        updated=counts["updated"],
        unchanged=counts["unchanged"],
        rejected=[result for result in results if result["status"] == "rejected"],
        results=results,
    )


def delete_products(keys: Collection[str], *, actor: str, now: datetime) -> int:
    """Take products off sale for good, keeping the rows that events name; return how many."""
    with transaction.atomic(), connection.cursor() as cursor:
        hold(Product._meta.db_table)
        before = _states(keys)
        cursor.execute(
            "UPDATE catalog_product SET deleted_at = %s, updated_at = %s,"
            " change = nextval('catalog_change_seq')"
            " WHERE key = ANY(%s) AND deleted_at IS NULL RETURNING key",
            [now, now, list(keys)],
        )
        deleted = [key for (key,) in cursor.fetchall()]
        _tell(actor, "delete", dict.fromkeys(deleted, "delete"), before)
    return len(deleted)


def upsert_categories(items: Sequence[Mapping[str, Any]], *, actor: str, now: datetime) -> int:
    """Create or change categories ({key, title, parent}) by key, in any order; return how many.

    Raises
    ------
    Unprocessable
        A parent that nobody names, or a circle.
    """
    with transaction.atomic():
        rows = Category.objects.select_for_update(of=("self",)).select_related("parent")
        stored = {c.key: c for c in rows}
        parents = {key: c.parent.key if c.parent else "" for key, c in stored.items()}
        parents |= {item["key"]: item.get("parent") or "" for item in items}
        paths = _paths(parents)
        Category.objects.bulk_create(
            [Category(key=i["key"], title=_title(i, stored), path=paths[i["key"]]) for i in items],
            update_conflicts=True,
            unique_fields=["key"],
            update_fields=["title", "path"],
        )
        _link_parents(parents, paths)
        for row in Category.objects.filter(key__in=[item["key"] for item in items]):
            old = stored.get(row.key)
            if old is None or state(old) != state(row):
                action = "update" if old else "create"
                audit(
                    actor=actor, action=action, obj=row, before=old and state(old), after=state(row)
                )
    return len(items)


def _title(item: Mapping[str, Any], stored: Mapping[str, Category]) -> str:
    if item.get("title"):
        return str(item["title"])
    return stored[item["key"]].title if item["key"] in stored else str(item["key"])


def count_unknown_items(counts: Mapping[str, tuple[int, datetime, datetime]]) -> None:
    """Store how often events named ids that no product has: {key: (events, first, last)}.

    Figures replace what was stored: they are counts of the window that was read, not increments, so
    that counting twice changes nothing. Ids that became products go.
    """
    rows = [
        UnknownItem(key=key, events=events, first_at=first, last_at=last)
        for key, (events, first, last) in sorted(counts.items())
    ]
    with transaction.atomic():
        UnknownItem.objects.exclude(key__in=counts.keys()).delete()
        UnknownItem.objects.bulk_create(
            rows,
            batch_size=_CHUNK,
            update_conflicts=True,
            unique_fields=["key"],
            update_fields=["events", "first_at", "last_at"],
        )


def _upsert_chunk(
    items: Sequence[object], *, start: int, actor: str, now: datetime
) -> list[ItemResult]:
    parsed = [parse_item(item) for item in items]
    with transaction.atomic(), connection.cursor() as cursor:
        hold(Product._meta.db_table)
        _require_titles(parsed)
        merged: dict[str, dict[str, Any]] = {}
        for columns, problems in parsed:
            if not problems:
                merged.setdefault(columns["key"], {}).update(columns)
        before = _states(merged)
        cursor.execute(_UPSERT, {"items": orjson.dumps(list(merged.values())).decode(), "now": now})
        inserted = dict(cursor.fetchall())
        actions = {key: "create" if new else "update" for key, new in inserted.items()}
        _tell(actor, "upsert", actions, before)
    return list(_results(parsed, inserted, start=start))


def _states(keys: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return what the trail calls `before`, for so few products that each gets a row."""
    if len(keys) > _AUDIT_EACH:
        return {}
    return {row.key: state(row) for row in Product.objects.filter(key__in=keys)}


def _tell(
    actor: str, action: str, written: Mapping[str, str], before: Mapping[str, dict[str, Any]]
) -> None:
    """Write the trail: a row a product {key: action} for a few, one row with counts for many."""
    if len(written) > _AUDIT_EACH:
        counts = {kind: list(written.values()).count(kind) for kind in set(written.values())}
        bulk = Product(pk=0, title=f"{len(written)} products")
        audit(actor=actor, action=action, obj=bulk, after=counts | {"first": min(written)})
        return
    for row in Product.objects.filter(key__in=written):
        audit(
            actor=actor,
            action=written[row.key],
            obj=row,
            before=before.get(row.key),
            after=state(row),
        )


def _require_titles(parsed: Sequence[tuple[dict[str, Any], list[Problem]]]) -> None:
    """Add a problem to items that would create a product without a title."""
    titled = {columns["key"] for columns, problems in parsed if not problems and "title" in columns}
    bare = {columns["key"] for columns, problems in parsed if not problems} - titled
    missing = bare - selectors.known_keys(bare) if bare else set()
    for columns, problems in parsed:
        if not problems and columns["key"] in missing:
            problems.append(Problem("title", "missing, and no product has this key yet"))


def _results(
    parsed: Sequence[tuple[dict[str, Any], list[Problem]]],
    inserted: Mapping[str, bool],
    *,
    start: int,
) -> Iterator[ItemResult]:
    made: set[str] = set()
    for index, (columns, problems) in enumerate(parsed, start):
        key = str(columns.get("key", ""))
        if problems:
            yield ItemResult(index=index, key=key, status="rejected", problems=problems)
        elif key not in inserted:
            yield ItemResult(index=index, key=key, status="unchanged", problems=[])
        else:
            # a second item of one key changes what the first has made
            is_first = inserted[key] and key not in made
            status: Literal["created", "updated"] = "created" if is_first else "updated"
            made.add(key)
            yield ItemResult(index=index, key=key, status=status, problems=[])


def _paths(parents: Mapping[str, str]) -> dict[str, str]:
    """Return key -> path from the root, parents given as key -> parent key ("" for a root)."""
    paths: dict[str, str] = {}
    for key in parents:
        trail = [key]
        while parent := parents.get(trail[-1], ""):
            if parent not in parents:
                msg = f"category {trail[-1]!r} names a parent {parent!r} that does not exist"
                raise Unprocessable(msg)
            if parent in trail:
                msg = f"category {key!r} would be its own ancestor"
                raise Conflict(msg)
            trail.append(parent)
        paths[key] = "/".join(reversed(trail))
    return paths


def _link_parents(parents: Mapping[str, str], paths: Mapping[str, str]) -> None:
    """Point each category at its parent and give it its path, writing only what differs."""
    rows = {category.key: category for category in Category.objects.all()}
    changed = []
    for key, row in rows.items():
        parent = rows[parents[key]].pk if parents[key] else None
        if (row.parent_id, row.path) != (parent, paths[key]):
            row.parent_id, row.path = parent, paths[key]
            changed.append(row)
    Category.objects.bulk_update(changed, ["parent", "path"], batch_size=_CHUNK)


def _upsert_sql() -> str:
    """Build the statement from the table of columns; absent fields come from the stored row."""
    names = [name for name, _, _ in _COLUMNS]
    values = []
    for name, cast, default in _COLUMNS:
        path, _, to = cast.format(f"'{name}'").partition("::")
        value = f"(item {path})::{to}" if to else f"item {path}"
        kept = f"coalesce(old.{name}, {default})"
        values.append(f"CASE WHEN item ? '{name}' THEN {value} ELSE {kept} END")
    old_row = ", ".join(f"catalog_product.{name}" for name in names)
    new_row = ", ".join(f"EXCLUDED.{name}" for name in names)
    updates = ", ".join(f"{name} = EXCLUDED.{name}" for name in names)
    # xmax: 0 in a row that this statement inserted, its own transaction in one that it updated
    return (
        f"INSERT INTO catalog_product (key, {', '.join(names)}, created_at, updated_at, change)"  # noqa: S608
        f" SELECT item ->> 'key', {', '.join(values)}, %(now)s, %(now)s,"
        " nextval('catalog_change_seq')"
        " FROM jsonb_array_elements(%(items)s::jsonb) AS item"
        " LEFT JOIN catalog_product old ON old.key = item ->> 'key'"
        f" ON CONFLICT (key) DO UPDATE SET {updates}, updated_at = EXCLUDED.updated_at,"
        " deleted_at = NULL, change = EXCLUDED.change"
        f" WHERE catalog_product.deleted_at IS NOT NULL OR ({old_row}) IS DISTINCT FROM ({new_row})"
        " RETURNING key, xmax = 0"
    )


_UPSERT = _upsert_sql()
