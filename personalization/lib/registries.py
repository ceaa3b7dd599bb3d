"""Where upper floors hand things down: filled in `AppConfig.ready`, read below at call time."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

T = TypeVar("T")


class Registry(Generic[T]):
    """Named entries in the order of registration. A name registered twice is a mistake."""

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._entries: dict[str, T] = {}

    def register(self, name: str, entry: T) -> None:
        """Make `entry` known under `name`."""
        if name in self._entries:
            msg = f"{self._subject} {name!r} is registered twice; one apps.py must drop it"
            raise RuntimeError(msg)
        self._entries[name] = entry

    def __getitem__(self, name: str) -> T:
        return self._entries[name]

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def items(self) -> Iterator[tuple[str, T]]:
        """Yield (name, entry) in the order of registration."""
        yield from self._entries.items()


class ConfigPart(Protocol):
    """One app's share of a published configuration snapshot.

    Nothing is published that does not `load`. One with a true `stands_alone` names nothing of
    others: what it says newest holds also while another part cannot be built.
    """

    def export(self) -> Any:
        """Return the part as plain JSON data, read from the tables."""

    def load(self, data: Any) -> Any:
        """Return the immutable object that serving reads."""


@runtime_checkable
class CheckedPart(Protocol):
    """A config part of which `load` does not notice every fault."""

    def validate(self, data: Any) -> None:
        """Raise AppError naming each fault of `data`."""


@runtime_checkable
class RestorablePart(Protocol):
    """A config part whose tables can be made what an old snapshot says."""

    def restore(self, data: Any) -> None:
        """Write `data` back into the tables, in the caller's transaction; `data` is valid."""


@runtime_checkable
class DiscreetPart(Protocol):
    """A config part of which not all may lie on a node's disk and be served from there."""

    def discreet(self, data: Any) -> Any:
        """Return `data` without what may not; `load` takes it. Idempotent."""


@runtime_checkable
class FittedPart(Protocol):
    """A config part that names things of other parts."""

    def check(self, data: Any, whole: Mapping[str, Any]) -> None:
        """Raise AppError when `data` names what is not in `whole`, the data of all parts."""


class TrailWriter(Protocol):
    """Keeps the audit trail."""

    def __call__(
        self, *, actor: str, action: str, obj: Any, before: Any = None, after: Any = None
    ) -> object:
        """Write one row, in the caller's transaction."""


class PersonalData(Protocol):
    """What one app knows of a customer, for access and erasure."""

    def export(self, customer_id: int) -> Any:
        """Return everything held about the customer, as plain JSON data."""

    def erase(self, customer_id: int) -> int:
        """Delete it; return how many rows went."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A box that an upper floor shows on a page of a lower one.

    `render(subject_id)` returns the context of `template`.
    """

    title: str
    template: str
    render: Callable[[int | None], Mapping[str, Any]]
    order: int = 100


@dataclass(frozen=True, slots=True)
class SegmentUse:
    """Something of an upper floor that names a segment: its key, what people call it, its page."""

    key: str
    what: str
    url: str = ""


# name -> one share of the profile document: customer ids -> {customer id: plain JSON}
DocumentPart = Callable[[Sequence[int]], Mapping[int, Any]]

# who did what, for floors below the trail
trails: Registry[TrailWriter] = Registry("audit trail")
config_parts: Registry[ConfigPart] = Registry("config part")
# what an app tells of a customer on `/api/customers/{uuid}/`: customer id -> plain JSON data
customer_details: Registry[Callable[[int], Any]] = Registry("customer detail")
personal_data: Registry[PersonalData] = Registry("personal data")
customer_panels: Registry[Panel] = Registry("customer panel")
index_panels: Registry[Panel] = Registry("index panel")
document_parts: Registry[DocumentPart] = Registry("document part")
# where segments are named by upper floors: key of a segment -> what names it
segment_users: Registry[Callable[[str], Sequence[SegmentUse]]] = Registry("user of segments")
# called inside the transaction of a merge or un-merge with (source customer id, target customer id)
merge_hooks: Registry[Callable[[int, int], None]] = Registry("merge hook")
# kind of JobRun -> dotted name of the task that works on it; called with the run's slot
job_tasks: Registry[str] = Registry("job task")
# kind of JobRun that fills the log with a history -> what it is called: what learns from the log by
# itself waits until it is whole
log_fillers: Registry[str] = Registry("filler of the log")
# what `/healthz/ready` looks at besides PostgreSQL: () -> (whether this process can serve, what is
# wrong; "" for nothing)
readiness: Registry[Callable[[], tuple[bool, str]]] = Registry("look at readiness")


@dataclass(frozen=True, slots=True)
class Projection:
    """Folds facts of the log, exactly once, in the transaction that moves its group's watermark.

    Those of the group `profile` run with the customers locked and are given a `FoldedBatch`; each
    other group has a watermark of its own, is given facts, may lag behind `profile` and never leads
    it, and when it fails stops itself alone. `fold(what, now)` must not depend on the order of the
    facts and must check `purposes` of each. `names`, of such a group, returns the names of the
    events that it folds: the others are read past without a look at what they hold; None for all.
    """

    group: str
    fold: Callable[[Any, datetime], None]
    names: Callable[[], Collection[str]] | None = None


projections: Registry[Projection] = Registry("projection")
# What `manage.py replay --group NAME` builds anew besides profiles: progress(events read) -> how
# many in all.
replays: Registry[Callable[[Callable[[int], None]], int]] = Registry("replay")
# Numbers that rise when documents in the cache must not be believed any more.
cache_epochs: Registry[Callable[[], int]] = Registry("cache epoch")
