"""The OpenAPI description is valid, whole, and true: whatever is sent by it, nothing breaks."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS, reset_generator_stats
from drf_spectacular.validation import validate_schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cpo.schema import document
from tests import samples
from tests.samples import World
from tests.walks.addresses import Address, addresses

REST = [address for address in addresses() if address.is_api]
NASTY_TEXT = [
    "",
    " ",
    "a" * 5000,
    "\u202e",
    "🔌",
    "'; drop table x;--",
    "{{7*7}}",
    "%s",
    "../..",
    "-0",
    "1e999",
    "NaN",
]
nasty = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**40, 0.1, 1e308]),
    st.sampled_from([*NASTY_TEXT, "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "2026-02-30"]),
    st.text(max_size=20),
    st.just([]),
    st.just({}),
    st.just([None]),
    st.just({"a": {"b": [1, "x"]}}),
)


def _path_of(address: Address) -> str:
    path = "/" + address.route
    for name in address.names:
        path = path.replace(f"<int:{name}>", "{" + name + "}")
    return path


@pytest.mark.nodb
def test_it_is_valid_openapi_and_nothing_in_it_was_guessed() -> None:
    reset_generator_stats()
    document.__wrapped__()
    assert not GENERATOR_STATS._warn_cache and not GENERATOR_STATS._error_cache
    validate_schema(document())


@pytest.mark.nodb
def test_it_names_every_endpoint_and_method_with_its_scope() -> None:
    paths = document()["paths"]
    assert set(paths) == {_path_of(address) for address in REST}
    for address in REST:
        described = paths[_path_of(address)]
        verbs = address.view.cls.verbs  # type: ignore[attr-defined]
        assert {method.upper() for method in described} == set(verbs)
        for method, verb in verbs.items():
            told = described[method.lower()]
            assert told["summary"] and told["security"] == [{"apiKey": []}]
            assert verb.needs is None or f"`{verb.needs.value}`" in told["description"]


def test_anybody_may_read_it() -> None:
    told = Client().get("/api/schema/?format=json")
    assert told.status_code == 200 and json.loads(told.content)["openapi"].startswith("3.0")


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema of OpenAPI 3.0 that a JSON Schema validator takes: `nullable` becomes a type."""
    text = json.dumps(schema).replace("#/components/schemas/", "#/$defs/")
    parsed: dict[str, Any] = json.loads(text)

    def fix(part: Any) -> Any:
        if isinstance(part, list):
            return [fix(one) for one in part]
        if not isinstance(part, dict):
            return part
        part = {name: fix(value) for name, value in part.items()}
        return {"anyOf": [part, {"type": "null"}]} if part.pop("nullable", False) else part

    fixed: dict[str, Any] = fix(parsed)
    return fixed


@pytest.fixture(scope="module")
def world(worker_database: str) -> World:
    return samples.build()


@pytest.mark.parametrize("address", [a for a in REST if "GET" in a.methods], ids=lambda a: a.route)
def test_answers_are_what_it_says(address: Address, world: World) -> None:
    operation = document()["paths"][_path_of(address)]["get"]
    content = operation["responses"]["200"].get("content", {}).get("application/json")
    response = world.api.call("GET", address.path(world))
    assert response.status_code == 200
    if "json" in response["Content-Type"] and not address.route.endswith(".jsonl") and content:
        schema = {**_resolved(content["schema"]), "$defs": _resolved(document()["components"]["schemas"])}
        jsonschema_rs.validate(schema, response.json())


@pytest.mark.parametrize("address", REST, ids=lambda a: a.route)
def test_nothing_sent_by_it_breaks_anything(address: Address, world: World) -> None:
    """Bodies and queries of the described shape with nasty values never give a 500."""
    operations = document()["paths"][_path_of(address)]

    @settings(
        max_examples=6,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def send(data: st.DataObject) -> None:
        for method, operation in operations.items():
            if method == "delete":
                continue
            body, query = _body(data, operation, address, method, world), _query(data, operation)
            response = world.api.call(method.upper(), address.path(world), body, **query)
            assert response.status_code < 500, (method, address.route, query, body, response.content[:300])

    send()


def _query(data: st.DataObject, operation: dict[str, Any]) -> dict[str, Any]:
    names = [one["name"] for one in operation.get("parameters", []) if one["in"] == "query"]
    if not names:
        return {}
    chosen = data.draw(st.lists(st.sampled_from(names), max_size=2, unique=True))
    values = st.one_of(
        st.sampled_from([*NASTY_TEXT, "\0", "true", "2026-13-01", "9" * 400]), st.text(max_size=10)
    )
    return {
        name: data.draw(values.filter(lambda text: text.isprintable() or text == "\0")) for name in chosen
    }


def _body(data: st.DataObject, operation: dict[str, Any], address: Address, method: str, world: World) -> Any:
    """The body that works, with one or two of its fields made nasty."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    reference = content["schema"].get("$ref", "").rpartition("/")[2]
    known = list(document()["components"]["schemas"].get(reference, {}).get("properties", {}))
    body = address.body(method.upper(), world)
    for name in data.draw(st.lists(st.sampled_from(known), max_size=2, unique=True)) if known else []:
        body[name] = data.draw(nasty)
    return body
