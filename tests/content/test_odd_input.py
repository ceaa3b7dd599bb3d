"""What no marketer writes, but programs send: rules and content that cannot be kept or read."""

from typing import Any

import pytest
from django.test import Client

from personalization.access.models import AuditEvent
from personalization.access.services import create_key
from personalization.content import services
from personalization.content.models import Campaign
from tests.content.test_content import _campaign_form

pytestmark = pytest.mark.django_db
ORDERS = '{"kind":"profile","key":"orders","op":"eq","value":%s}'
PATH = '{"kind":"context","key":"page.path","op":"eq","value":"%s"}'
ODD = {
    "deep": '{"not":' * 900 + PATH % "/" + "}" * 900,
    "deeper than any stack": "[" * 50_000 + "]" * 50_000,
    "half a pair": PATH % r"\ud800",
    "half a pair in a salt": r'{"kind":"bucket","salt":"\udfff","from":0,"to":1}',
    "half a pair in a name": r'{"kind":"segment","key":"vips","\ud800":1}',
    "NUL": PATH % r"\u0000",
    "NUL in a name": r'{"kind":"segment","key":"vips","\u0000":1}',
    "more than 64 bits": ORDERS % 2**64,
    "more than a float": ORDERS % ("9" * 400),
    "more digits than Python reads": ORDERS % ("9" * 5_000),
    "an integer once it is kept": ORDERS % "1e300",
}
ADD = "/admin/content/campaign/add/"


@pytest.fixture
def hero(db: None) -> int:
    """Return the row of a placement of content."""
    return services.upsert_placement(key="home.hero", values={"kind": "content"}, actor="t").pk


def send(client: Client, address: str, body: str) -> Any:
    _, key = create_key(name="office", kind="secret", actor="t")
    headers = {"Authorization": f"Bearer {key}"}
    return client.post(address, body, content_type="application/json", headers=headers)


@pytest.mark.usefixtures("hero")
@pytest.mark.parametrize("name", ODD)
def test_api__odd_audience__refused_in_the_one_shape(client: Client, name: str) -> None:
    body = '{"key":"spring","placement":"home.hero","audience":%s}' % ODD[name]  # noqa: UP031 -- braces

    answer = send(client, "/api/campaigns/", body)

    assert answer.status_code in {400, 422}
    assert answer.json()["error"]["code"] in {"malformed", "content_invalid"}
    assert not Campaign.objects.exists()


@pytest.mark.parametrize("name", ODD)
def test_admin__odd_audience__told_at_its_field(hero: int, admin_client: Any, name: str) -> None:
    form = _campaign_form(hero, heading="S") | {"audience": ODD[name], "_publish": "x"}

    page = admin_client.post(ADD, form)

    assert page.status_code == 200
    assert page.context["adminform"].form.errors.keys() == {"audience"}
    assert not Campaign.objects.exists()


@pytest.mark.parametrize(
    "other",
    [
        '{"note": "\\ud800"}',
        '{"\\ud800": "x"}',
        "note: 9" + "9" * 30,
        '{"note":' * 900 + "1" + "}" * 900,
        '{"note":' * 5_000,
        "note: " + "[" * 5_000,
    ],
)
def test_admin__odd_content__told_and_nothing_saved(
    hero: int, admin_client: Any, other: str
) -> None:
    page = admin_client.post(ADD, _campaign_form(hero, heading="S", other=other))

    assert page.status_code == 200
    [inline] = page.context["inline_admin_formsets"]
    assert inline.formset.errors[0].keys() == {"other"}
    assert not Campaign.objects.exists()


@pytest.mark.parametrize("path", ["placements", "campaigns", "blocks", "products"])
def test_api__nested_without_end__refused(client: Client, path: str) -> None:
    assert send(client, f"/api/{path}/", "[" * 50_000 + "]" * 50_000).status_code == 400


@pytest.mark.usefixtures("hero")
def test_api__letters_of_an_escape__kept_as_they_are(client: Client) -> None:
    rule = PATH % r"\\u0000"
    body = r'{"key":"spring","title":"\\u0000","placement":"home.hero","audience":%s}' % rule  # noqa: UP031 -- braces

    answer = send(client, "/api/campaigns/", body)

    assert answer.status_code == 201
    row = Campaign.objects.get()
    told: Any = AuditEvent.objects.get(object_type="content.campaign", action="create").after
    assert (row.title, told["title"]) == (r"\u0000", r"\u0000")
    assert told["audience"] == row.audience == answer.json()["audience"]
    assert told["audience"]["value"] == r"\u0000"
