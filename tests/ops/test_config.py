"""Publishing, rolling back and serving configuration."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError, transaction

from personalization.lib import lastgood
from personalization.lib.errors import Problem, Unavailable, Unprocessable
from personalization.lib.metrics import CONFIG_UNBUILT
from personalization.lib.registries import Registry
from personalization.ops import errors, serve, services
from personalization.ops.models import ConfigVersion


class FixedPart:
    """A config part whose table is a variable that no rollback can write."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.broken = False

    def export(self) -> Any:
        return self.value

    def validate(self, data: Any) -> None:
        if data == "bad":
            raise Unprocessable("no", details=[Problem("[0].key", "is bad"), Problem("", "is sad")])

    def load(self, data: Any) -> Any:
        if self.broken:
            raise RuntimeError("cannot build")
        return ("loaded", data)


class Part(FixedPart):
    """A config part whose table is a variable."""

    def restore(self, data: Any) -> None:
        self.value = data


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Part]]:
    made = {"one": Part([1]), "two": Part({"b": 1, "a": 2})}
    registry: Registry[Any] = Registry("config part")
    for name, part in made.items():
        registry.register(name, part)
    monkeypatch.setattr(serve, "config_parts", registry)
    monkeypatch.setattr(services, "config_parts", registry)
    serve.forget()
    yield made
    serve.forget()


@pytest.mark.django_db
def test_current__nothing_published__tables_count_as_version_0(parts: dict[str, Part]) -> None:
    snapshot = serve.current()
    assert snapshot.version == 0
    assert serve.part("one") == ("loaded", [1])


@pytest.mark.django_db
def test_publish__changed_part__new_version_served(parts: dict[str, Part]) -> None:
    first = services.publish(actor="t")
    parts["one"].value = [2]
    second = services.publish(actor="t", note="why")
    assert (first.version, second.version, second.note) == (1, 2, "why")
    assert serve.part("one") == ("loaded", [2])
    assert serve.current().version == 2


@pytest.mark.django_db
def test_publish__same_bytes__no_new_version(parts: dict[str, Part]) -> None:
    services.publish(actor="t")
    parts["two"].value = {"a": 2, "b": 1}
    assert services.publish(actor="t").version == 1
    assert ConfigVersion.objects.get().body == '{"one":[1],"two":{"a":2,"b":1}}'


@pytest.mark.django_db
def test_publish__faults_in_two_parts__all_named_and_nothing_published(
    parts: dict[str, Part],
) -> None:
    parts["one"].value = parts["two"].value = "bad"
    with pytest.raises(errors.ConfigInvalid) as caught:
        services.publish(actor="t")
    assert [d.path for d in caught.value.details] == ["one[0].key", "one", "two[0].key", "two"]
    assert not ConfigVersion.objects.exists()


@pytest.mark.django_db
def test_rollback__old_version__same_bytes_as_new_version(parts: dict[str, Part]) -> None:
    old = services.publish(actor="t")
    parts["one"].value = [2]
    services.publish(actor="t")
    rolled = services.rollback(version=1, actor="t")
    assert (rolled.version, rolled.sha256, rolled.body) == (3, old.sha256, old.body)
    assert serve.part("one") == ("loaded", [1])


@pytest.mark.django_db
def test_rollback__part_that_never_rolls_back__keeps_present_state(
    parts: dict[str, Part],
) -> None:
    parts["two"].never_rolls_back = True  # type: ignore[attr-defined]
    services.publish(actor="t")
    parts["one"].value, parts["two"].value = [2], "revoked"
    services.publish(actor="t")
    services.rollback(version=1, actor="t")
    assert serve.part("one") == ("loaded", [1])
    assert serve.part("two") == ("loaded", "revoked")


@pytest.mark.django_db
def test_rollback__table_cannot_follow__refused_unless_it_is_the_same(
    parts: dict[str, Part],
) -> None:
    services.config_parts.register("fixed", FixedPart(1))  # type: ignore[attr-defined]
    services.publish(actor="t")
    parts["one"].value = [2]
    services.publish(actor="t")
    assert services.rollback(version=1, actor="t").version == 3
    services.config_parts["fixed"].value = 2  # type: ignore[attr-defined]
    services.publish(actor="t")
    with pytest.raises(errors.RollbackRefused, match="fixed"):
        services.rollback(version=1, actor="t")


@pytest.mark.django_db
def test_rollback__unknown_version__refused(parts: dict[str, Part]) -> None:
    with pytest.raises(errors.VersionUnknown):
        services.rollback(version=7, actor="t")


@pytest.mark.django_db
def test_watch__version_that_does_not_build__keeps_the_old_one(parts: dict[str, Part]) -> None:
    services.publish(actor="t")
    serve.watch()
    parts["one"].value = [2]
    services.publish(actor="t")
    parts["one"].broken = True
    serve.watch()
    assert serve.current().version == 1
    parts["one"].broken = False
    parts["one"].value = [3]
    services.publish(actor="t")
    serve.watch()
    assert (serve.current().version, serve.part("one")) == (3, ("loaded", [3]))


@pytest.mark.django_db
@pytest.mark.parametrize("value", [[3], {"x": 10**40}], ids=["load", "json"])
def test_publish__part_that_cannot_be_built__refused(parts: dict[str, Part], value: Any) -> None:
    services.publish(actor="t")
    parts["one"].value, parts["one"].broken = value, True

    with pytest.raises(errors.ConfigInvalid) as caught:
        services.publish(actor="t")

    assert [d.path for d in caught.value.details] == ["one"]
    assert ConfigVersion.objects.count() == 1


class _Poisonable(Part):
    """A config part that a later release cannot build where it says poison."""

    def load(self, data: Any) -> Any:
        if self.broken and data[0] == "poison":
            raise KeyError("poison")
        return ("loaded", data)


@pytest.fixture
def poisoned(parts: dict[str, Part]) -> dict[str, Part]:
    """A good version 1, then twelve that name poison; part `two` stands alone and moves on."""
    bad = _Poisonable([1])
    services.config_parts.register("bad", bad)  # type: ignore[attr-defined]
    parts["two"].stands_alone = True  # type: ignore[attr-defined]
    services.publish(actor="t")
    serve.watch()
    for number in range(12):
        bad.value, parts["two"].value = ["poison", number], f"revoked {number}"
        services.publish(actor="t")
    bad.broken = True
    return parts


@pytest.mark.django_db
@pytest.mark.parametrize("starts", [False, True])
def test_current__newest_cannot_be_built__older_one_serves_with_what_stands_alone(
    poisoned: dict[str, Part], starts: bool, caplog: pytest.LogCaptureFixture
) -> None:
    if starts:
        serve.forget()
    for _ in range(3):
        serve.watch()
        snapshot = serve.current()

    assert (snapshot.version, serve.part("bad")) == (1, ("loaded", [1]))
    assert serve.part("two") == ("loaded", "revoked 11")
    logged = [vars(record)["msg"] for record in caplog.records]
    told = [line["version"] for line in logged if line["event"] == "config.build_failed"]
    assert told == list(range(13, 1, -1))
    kept = lastgood.recall("config")
    assert kept is not None
    assert b"revoked 11" in kept[1]


@pytest.mark.django_db
def test_stuck__newest_cannot_be_built__said_until_one_can(poisoned: dict[str, Part]) -> None:
    assert serve.readiness() == (True, "")
    serve.watch()

    fault = serve.stuck()
    assert fault is not None
    assert fault.part == "bad"
    assert serve.readiness() == (True, "version 13 cannot be built (bad); version 1 serves")
    assert CONFIG_UNBUILT._value.get() == 13
    with pytest.raises(errors.NotBuilt, match="bad: cannot be built: KeyError"):
        serve.reload()
    assert serve.current().version == 1

    services.rollback(version=1, actor="t")
    serve.watch()
    assert (serve.stuck(), serve.readiness(), serve.current().version) == (None, (True, ""), 14)
    assert CONFIG_UNBUILT._value.get() == 0


@pytest.mark.django_db
def test_current__what_stands_alone_cannot_be_built_either__older_one_serves_as_it_was(
    poisoned: dict[str, Part], monkeypatch: pytest.MonkeyPatch
) -> None:
    load = poisoned["two"].load
    monkeypatch.setattr(
        poisoned["two"], "load", lambda data: 1 / 0 if "revoked" in data else load(data)
    )
    serve.watch()

    assert serve.current().version == 1
    assert serve.part("two") == ("loaded", {"a": 2, "b": 1})


@pytest.mark.django_db
def test_current__no_version_can_be_built__not_ready(poisoned: dict[str, Part]) -> None:
    poisoned["one"].broken = True
    serve.forget()

    with pytest.raises(Unavailable, match="publish one"):
        serve.current()

    able, wrong = serve.readiness()
    assert (able, wrong) == (False, "version 13 cannot be built (one), nor any before it")


@pytest.mark.django_db
def test_newest_fault__by_a_process_that_serves_nothing__names_version_and_part(
    poisoned: dict[str, Part],
) -> None:
    found = serve.newest_fault()

    assert found is not None
    assert (found[0], found[1].part) == (13, "bad")
    ConfigVersion.objects.filter(version__gt=1).delete()
    assert serve.newest_fault() is None
    ConfigVersion.objects.all().delete()
    assert serve.newest_fault() is None


@pytest.mark.django_db
def test_current__watched__asks_the_store_nothing(
    parts: dict[str, Part], django_assert_num_queries: Any
) -> None:
    services.publish(actor="t")
    serve.watch()
    serve.look_again()
    with django_assert_num_queries(0):
        assert serve.current().version == 1


@pytest.mark.django_db
def test_current__part_younger_than_the_version__built_from_tables(
    parts: dict[str, Part],
) -> None:
    services.publish(actor="t")
    serve.config_parts.register("three", Part("new"))  # type: ignore[attr-defined]
    assert serve.reload().parts["three"] == ("loaded", "new")


def test_current__store_away__unavailable_first_then_the_old_snapshot(
    parts: dict[str, Part], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away:
        def order_by(self, *fields: str) -> Any:
            raise OperationalError("away")

    class Rows:
        objects = Away()

    monkeypatch.setattr(serve, "ConfigVersion", Rows)
    with pytest.raises(Unavailable):
        serve.current()
    kept = serve._take(*serve._from_tables())
    serve.look_again()
    assert serve.current() is kept


@pytest.mark.django_db
def test_current__read_inside_a_publication_that_rolls_back__the_next_of_that_number_counts(
    parts: dict[str, Part],
) -> None:
    services.publish(actor="t")
    parts["one"].value = ["mine"]
    with transaction.atomic():
        services.publish(actor="t")
        mine = serve.current()
        transaction.set_rollback(True)
    parts["one"].value = ["another's"]
    row = services.publish(actor="t")
    serve.look_again()

    assert (mine.version, row.version) == (2, 2)
    assert serve.part("one") == ("loaded", ["another's"])


@pytest.mark.django_db(transaction=True)
def test_publish__cannot_be_built_here_after_the_commit__what_waits_for_it_happens(
    parts: dict[str, Part],
) -> None:
    happened: list[str] = []
    with transaction.atomic():
        services.publish(actor="t")
        parts["one"].broken = True
        transaction.on_commit(lambda: happened.append("task sent"))

    assert happened == ["task sent"]


@pytest.mark.django_db
def test_watch__parts_that_may_not_lie_on_disk__are_left_out_there(
    parts: dict[str, Part], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts["two"].discreet = lambda data: {}  # type: ignore[attr-defined]
    services.publish(actor="t")
    serve.watch()

    kept = lastgood.recall("config")

    assert kept is not None
    assert kept[1] == b'{"one":[1],"two":{}}'
