"""Roles of staff: each may do what the one before may, and more."""

from collections.abc import Collection
from dataclasses import dataclass

# From the least to the most. Groups of these names are made by a migration.
ROLES = ("viewer", "editor", "publisher", "admin")

# Apps whose rows a viewer may see; keys, staff and the audit trail are for admins.
_SEEN = frozenset(
    {
        "catalog",
        "consent",
        "content",
        "customers",
        "decisions",
        "demo",
        "events",
        "experiments",
        "monitoring",
        "ops",
        "recommender",
        "segments",
    }
)

# What editors work on: (app, model), "*" for all models of an app.
_EDITED = frozenset(
    {
        ("catalog", "*"),
        ("content", "*"),
        ("segments", "*"),
        ("experiments", "*"),
        ("events", "eventschema"),
        ("customers", "trait"),
    }
)
# What publishers decide in addition: what is live (strategies answer the moment they are saved),
# which model answers, who is one person, what comes into the log again.
_PUBLISHED = frozenset(
    {
        ("ops", "configversion"),
        ("ops", "jobrun"),
        ("recommender", "*"),
        ("customers", "customer"),
        ("customers", "merge"),
        ("events", "rejectedevent"),
    }
)
_WRITES = frozenset({"add", "change", "delete"})


@dataclass(frozen=True, slots=True)
class Permission:
    """One permission of Django: `action` ("view", "add", ...) on a model."""

    app: str
    model: str
    action: str


def allows(held: str, wanted: str) -> bool:
    """Whether somebody of role `held` ("" for none) may do what asks for `wanted`."""
    return held in ROLES and ROLES.index(held) >= ROLES.index(wanted)


def highest(names: Collection[str]) -> str:
    """Return the highest role among group names; "" when none is a role."""
    return next((role for role in reversed(ROLES) if role in names), "")


def grants(role: str, permission: Permission) -> bool:
    """Whether the group of `role` holds a permission of Django."""
    return any(_grants_itself(below, permission) for below in ROLES[: ROLES.index(role) + 1])


def needed(permission: Permission) -> str:
    """Return the lowest role whose group holds a permission; nobody is above `admin`."""
    return next((role for role in ROLES if grants(role, permission)), ROLES[-1])


def _grants_itself(role: str, permission: Permission) -> bool:
    if role == "admin":
        return permission.app in _SEEN or permission.app in {"access", "auth"}
    if role == "viewer":
        return permission.app in _SEEN and permission.action == "view"
    table = _EDITED if role == "editor" else _PUBLISHED
    named = {(permission.app, permission.model), (permission.app, "*")}
    return bool(named & table) and permission.action in _WRITES
