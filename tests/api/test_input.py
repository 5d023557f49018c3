"""What strangers send: refused early, in a problem document that names what is wrong, and never a 500."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.people import ApiClient

PROBLEM = "application/problem+json"


@pytest.fixture
def api(api_client: Callable[..., ApiClient]) -> ApiClient:
    return api_client()


def _fields(response: Any) -> list[str]:
    return [error["field"] for error in response.json()["errors"]]


def _is_problem(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == PROBLEM
    told: dict[str, Any] = response.json()
    assert told["status"] == status and told["type"].startswith("urn:voltyard:problem:") and told["detail"]
    return told


def test_unknown_fields_are_refused_by_name(api: ApiClient) -> None:
    response = api.call("POST", "/sites", {"name": "Depot", "naem": "x"})
    _is_problem(response, 422)
    assert _fields(response) == ["naem"]


def test_missing_fields_are_named(api: ApiClient) -> None:
    response = api.call("POST", "/stations", {})
    _is_problem(response, 422)
    assert set(_fields(response)) == {"identity", "site_id"}


@pytest.mark.parametrize(
    "body",
    [
        b'{"name": "a\\u0000b"}',
        b'{"name": "\\ud800"}',
        b'{"a\\u0000b": 1}',
        b'{"name": {"x": ["\\udfff"]}}',
    ],
)
def test_text_that_cannot_be_stored_is_refused(body: bytes, api: ApiClient) -> None:
    _is_problem(api.call("POST", "/sites", body), 422)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b'{"name": NaN}',
        b'{"name": "a", "name": "b"}',
        b"[" * 100_000,
        b'{"name": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_json_is_refused(body: bytes, api: ApiClient) -> None:
    _is_problem(api.call("POST", "/sites", body), 400)


def test_deep_nesting_is_refused(api: ApiClient, station: Any) -> None:
    deep: Any = "x"
    for _ in range(50):
        deep = [deep]
    body = {"kind": "data_transfer", "arguments": {"data": deep}}
    _is_problem(api.call("POST", f"/stations/{station.pk}/commands", body), 422)


@pytest.mark.parametrize("body", [[], "text", 5, None, True])
def test_a_body_that_is_no_object_is_refused(body: Any, api: ApiClient) -> None:
    text = b"null" if body is None else body
    _is_problem(api.call("POST", "/sites", text), 422)


def test_a_huge_body_is_refused(api: ApiClient) -> None:
    _is_problem(api.call("POST", "/sites", b'{"name": "' + b"x" * 3_000_000 + b'"}'), 413)


def test_another_media_type_is_refused(api: ApiClient) -> None:
    _is_problem(api.post("/api/v1/sites", {"name": "x"}, content_type="application/xml"), 415)
    _is_problem(api.get("/api/v1/sites", headers={"accept": "text/html"}), 406)


def test_unknown_filters_are_refused_by_name(api: ApiClient) -> None:
    response = api.call("GET", "/stations?onlien=true")
    _is_problem(response, 422)
    assert _fields(response) == ["onlien"]


@pytest.mark.parametrize(
    "query",
    [
        "q=%00",
        "site_id=abc",
        "site_id=-1",
        f"site_id={'9' * 400}",
        "site_id=1e999999",
        "online=perhaps",
        "status=nonsense",
    ],
)
def test_filters_with_nonsense_are_refused(query: str, api: ApiClient) -> None:
    response = api.call("GET", f"/stations?{query}")
    assert response.status_code in (200, 422), response.content  # an unreadable flag counts as not given


@pytest.mark.parametrize("position", ["abc", "1' or 1=1", "9" * 100, "\0", "-1"])
def test_a_cursor_of_ones_own_making_is_refused(position: str, api: ApiClient) -> None:
    cursor = base64.b64encode(f"p={position}".encode()).decode()
    _is_problem(api.call("GET", "/stations", cursor=cursor), 404)


@pytest.mark.parametrize("number", ["0", "999999999", "9" * 30])
def test_a_number_that_nobody_has_is_not_found(number: str, api: ApiClient) -> None:
    _is_problem(api.call("GET", f"/stations/{number}"), 404)


def test_an_address_that_is_none_is_a_problem_too(api: ApiClient) -> None:
    for path in ("/api/", "/api/v1/", "/api/v1/nothing", "/api/v2/sites", "/api/v1/stations/x"):
        _is_problem(api.call("GET", path), 404)


def test_a_method_that_is_none_is_a_problem(api: ApiClient) -> None:
    for method in ("PUT", "DELETE", "OPTIONS", "TRACE"):
        _is_problem(api.call(method, "/sites"), 405)


def test_an_error_of_ours_tells_nothing(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from tenants.services import sites

    def broken(**_values: Any) -> None:
        raise RuntimeError("secret inner state")

    monkeypatch.setattr(sites, "create_site", broken)
    response = api.call("POST", "/sites", {"name": "Depot"})
    told = _is_problem(response, 500)
    assert "secret" not in str(told) and "Traceback" not in response.content.decode()
    assert response["X-Request-Id"]


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer x", "Bearer vy_a_b", "Basic dnk6dnk=", "Bearer vy_\xff_\xff"]
)
def test_a_key_that_is_none_is_refused(header: str) -> None:
    response = Client().get("/api/v1/sites", headers={"authorization": header})
    _is_problem(response, 401)
    assert response["WWW-Authenticate"] == "Bearer"
