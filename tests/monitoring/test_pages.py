"""Who may read /metrics; the overview, the help pages and the customer page through their doors."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as project
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from personalization.access.models import AuditEvent
from personalization.customers import services
from personalization.customers.models import Identity, Merge, Profile
from personalization.lib import clock, docs
from personalization.monitoring import selectors

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff() -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("mara", "mara@example.org"))
    return client


@pytest.mark.parametrize(
    ("token", "headers", "peer", "status"),
    [
        ("", {}, "127.0.0.1", 200),
        ("", {}, "203.0.113.9", 403),
        ("", {"X-Forwarded-For": "203.0.113.9"}, "127.0.0.1", 403),
        ("s3cret", {}, "127.0.0.1", 403),
        ("s3cret", {"Authorization": "Bearer wrong"}, "127.0.0.1", 403),
        ("s3cret", {"Authorization": "Bearer s3cret"}, "203.0.113.9", 200),
    ],
)
def test_metrics__by_token_and_peer__answers_only_those_who_may(
    settings: object, client: Client, token: str, headers: dict[str, str], peer: str, status: int
) -> None:
    settings.METRICS_TOKEN = token  # type: ignore[attr-defined]  # pytest-django's settings

    answer = client.get("/metrics", headers=headers, REMOTE_ADDR=peer)

    assert answer.status_code == status
    assert (b"p13n_events_accepted_total" in answer.content) == (status == 200)


def test_overview__each_number__has_its_time_and_a_help_page_with_its_anchor(staff: Client) -> None:
    html = staff.get(reverse("admin:state")).content.decode()

    written = docs.page("metrics").html
    for figure in selectors.system_figures(clock.now()):
        anchor = figure.docs.split("#")[1]
        assert f"/admin/help/metrics/#{anchor}" in html
        assert f'id="{anchor}"' in written


def test_help__path_outside_docs__is_not_found(staff: Client) -> None:
    assert staff.get("/admin/help/../personalization/settings/").status_code == 404
    assert staff.get(reverse("admin:help", kwargs={"page": "no-such"})).status_code == 404


def test_help__every_page_of_docs__renders(staff: Client) -> None:
    for path in (Path(project.BASE_DIR) / "docs").rglob("*.md"):
        name = path.relative_to(Path(project.BASE_DIR) / "docs").with_suffix("").as_posix()
        assert staff.get(reverse("admin:help", kwargs={"page": name})).status_code == 200


def test_help__folder__lists_its_pages_and_the_readme_leads_there(staff: Client) -> None:
    index = staff.get("/admin/help/algorithms/").content.decode()
    readme = staff.get("/admin/help/README/").content.decode()

    assert 'href="/admin/help/algorithms/recommenders/"' in index
    assert 'href="/admin/help/algorithms/"' in readme
    assert 'href="docs/' not in readme


def test_help__pictures__are_shown(staff: Client) -> None:
    readme = staff.get("/admin/help/README/").content.decode()

    assert 'src="/admin/help/pictures/overview.png"' in readme
    answer = staff.get("/admin/help/pictures/overview.png")
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/png")
    assert staff.get("/admin/help/pictures/settings.py").status_code == 404


def test_help__picture__staff_alone(client: Client) -> None:
    assert client.get("/admin/help/pictures/overview.png").status_code == 302


def test_help__link_to_no_page__its_words_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "# T\n\nSee [the code](../x.py), ![a picture](images/none.png) and [more](metrics.md#lag)."
    )
    monkeypatch.setattr(Path, "read_text", lambda *_a, **_o: text)
    docs._render.cache_clear()

    html = docs.page("events").html
    docs._render.cache_clear()

    assert "See the code,  and" in html
    assert 'href="/admin/help/metrics/#lag"' in html


def test_list__searched__offers_to_show_all_only_then(staff: Client) -> None:
    address = reverse("admin:catalog_product_changelist")

    assert "Show all" not in staff.get(address).content.decode()
    assert "Show all" in staff.get(address, {"q": "mug"}).content.decode()


def test_customers__list__who_came_last_comes_first(staff: Client) -> None:
    first, second, unseen = customers("a-1", "a-2", "a-3")
    for pk, days in ((first, 1), (second, 2)):
        seen = clock.now() - timedelta(days=days)
        Profile.objects.update_or_create(
            customer_id=pk, defaults={"last_seen_at": seen, "updated_at": seen}
        )

    page = staff.get(reverse("admin:customers_customer_changelist"))

    assert [row.pk for row in page.context["cl"].result_list] == [first, second, unseen]


def customers(*values: str) -> list[int]:
    keys = [(Identity.Kind.ANONYMOUS.value, value) for value in values]
    services.create_identities(keys, now=clock.now())
    return [Identity.objects.get(value=value).customer_id for value in values]


def test_customer_search__exact_id__finds_that_one_alone(staff: Client) -> None:
    customers("a-1", "a-11")

    html = staff.get(reverse("admin:customers_customer_changelist"), {"q": "a-1"}).content.decode()

    assert "a-1<" in html
    assert "a-11" not in html


def test_customer_page__merged_and_parted_by_staff__is_audited(staff: Client) -> None:
    source, target = customers("a-1", "a-2")

    staff.post(reverse("admin:customers_customer_merge", args=[target]), {"other": "a-1"})
    merge = Merge.objects.get()
    page = staff.get(reverse("admin:customers_customer_change", args=[target])).content.decode()
    staff.post(reverse("admin:customers_merge_undo", args=[merge.pk]))

    merge.refresh_from_db()
    assert (merge.source_id, merge.actor) == (source, "mara")
    assert "Part customer" in page
    assert merge.undone_at is not None
    trail = list(AuditEvent.objects.order_by("id").values_list("actor", "action"))
    assert trail == [("mara", "merge"), ("mara", "unmerge")]


def test_customer_merge__unknown_id__says_so_and_changes_nothing(staff: Client) -> None:
    (target,) = customers("a-2")

    answer = staff.post(
        reverse("admin:customers_customer_merge", args=[target]), {"other": "nobody"}, follow=True
    )

    assert "No customer goes by exactly that id." in answer.content.decode()
    assert Merge.objects.count() == 0


def test_customer_merge__viewer__is_refused() -> None:
    (target,) = customers("a-2")
    viewer = Client()
    viewer.force_login(get_user_model().objects.create_user("vik", is_staff=True))

    answer = viewer.post(reverse("admin:customers_customer_merge", args=[target]), {"other": "x"})

    assert answer.status_code == 403
