"""Storefronts on other origins may call the wire, never the back office."""

import pytest
from django.test import Client


def test_wire__foreign_origin__may_call_without_cookies() -> None:
    response = Client().options(
        "/v1/batch",
        headers={
            "origin": "https://shop.example",
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization, content-type",
        },
    )

    assert response["Access-Control-Allow-Origin"] == "*"
    assert "authorization" in response["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in response


@pytest.mark.parametrize("path", ["/api/products/", "/admin/login/"])
def test_back_office__foreign_origin__is_not_allowed(path: str) -> None:
    response = Client().options(
        path, headers={"origin": "https://shop.example", "access-control-request-method": "POST"}
    )

    assert "Access-Control-Allow-Origin" not in response
