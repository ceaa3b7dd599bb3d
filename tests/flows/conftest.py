"""A shop on a frozen clock, walked through by its public doors and the real processor."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from django.core.management import call_command
from django.test import Client

from personalization.access.serve import identity_token
from personalization.access.services import create_key
from personalization.catalog.services import upsert_products
from personalization.customers import documents
from personalization.lib import clock

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SHELF = "home.recommended"


@dataclass
class Walk:
    """A browser and a server of the shop; each call moves the clock on by a second."""

    public: str
    secret: str
    at: datetime = NOW
    client: Client = field(default_factory=Client)

    def call(
        self, method: str, path: str, body: Any = None, *, secret: bool = False, status: int = 200
    ) -> Any:
        """Send JSON and return the answer's."""
        self.at += timedelta(seconds=1)
        key = self.secret if secret else self.public
        with clock.frozen(self.at):
            response = self.client.generic(
                method,
                path,
                orjson.dumps(body) if body is not None else b"",
                content_type="application/json",
                headers={"Authorization": f"Bearer {key}"},
            )
        assert response.status_code == status, response.content
        return orjson.loads(response.content) if response.content else None

    def send(self, event: str, ids: dict[str, str], **properties: Any) -> dict[str, Any]:
        """Send one event of a browser."""
        body = {"event": event, **ids, "properties": properties}
        answer: dict[str, Any] = self.call("POST", "/v1/track", body)
        return answer

    def view(self, product: str, ids: dict[str, str]) -> None:
        """Look at a product."""
        assert self.send("Product Viewed", ids, product_id=product)["accepted"] == 1

    def decide(self, ids: dict[str, str], **more: Any) -> dict[str, Any]:
        """Return the shelf's answer, with the decision's id and what was degraded."""
        secret = more.pop("secret", False)
        body = {**ids, "placements": [{"key": SHELF, "count": 5}], **more}
        answer = self.call("POST", "/v1/decide", body, secret=secret)
        whole = {name: answer.get(name) for name in ("decisionId", "degraded", "explain")}
        return {**answer["placements"][SHELF], "whole": whole}

    def consent(self, ids: dict[str, str], *, granted: bool) -> None:
        """Say something about personalization."""
        body = {**ids, "purposes": {"personalization": granted}, "source": "banner"}
        self.call("POST", "/v1/consent", body)

    def process(self) -> None:
        """Let the processor and its sweep do what is due."""
        self.at += timedelta(seconds=5)
        with clock.frozen(self.at):
            call_command("process", "--once")
            documents.sweep()

    def user(self, user_id: str, device: str = "") -> dict[str, str]:
        """Return the ids of a logged-in user, proven by the shop's server."""
        with clock.frozen(self.at):
            token = identity_token(user_id, expires_at=self.at + timedelta(hours=1))
        ids = {"userId": user_id, "userToken": token}
        return ids | ({"anonymousId": device} if device else {})


@pytest.fixture
def walk(transactional_db: None) -> Walk:
    """Return a walk through a shop with twenty products and one shelf."""
    with clock.frozen(NOW):
        products = [
            {"key": f"{taste}{n}", "title": f"{taste.title()}{n}"}
            for taste in "ab"
            for n in range(10)
        ]
        upsert_products(products, actor="t", now=NOW)
        _, public = create_key(name="browser", kind="public", actor="t")
        _, secret = create_key(name="server", kind="secret", actor="t")
        made = Walk(public, secret)
    shelf = {"key": SHELF, "kind": "recommendations", "strategy": "for-you", "count": 5}
    made.call("POST", "/api/placements/", shelf, secret=True, status=201)
    return made
