"""Logs: one JSON event a line, and nothing secret in them. Health. Metrics."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test import Client, RequestFactory

from cpo import metrics
from cpo.observability import JsonFormatter, masked
from tests.people import ApiClient

SECRETS = [
    "Authorization: Basic Q1AtMTpzZWNyZXRzZWNyZXQ=",
    "Authorization: Bearer vy_abcdefgh_hunter2hunter2",
    "postgresql://owner:hunter2@db:5432/voltyard",
    "redis://:hunter2@127.0.0.1/0",
    "key vy_abcdefgh_hunter2hunter2 was used",
    'payload {"password": "hunter2"}',
    "password=hunter2",
    'AuthorizationKey: "hunter2"',
    "api_key = hunter2",
]


def _logged(**extra: Any) -> dict[str, Any]:
    record = logging.LogRecord("voltyard.test", logging.INFO, "f.py", 1, "it happened", None, None)
    for name, value in extra.items():
        setattr(record, name, value)
    text = JsonFormatter().format(record)
    assert "\n" not in text
    told: dict[str, Any] = json.loads(text)
    return told


@pytest.mark.nodb
@pytest.mark.parametrize("text", SECRETS)
def test_secrets_are_masked_in_a_message(text: str) -> None:
    assert "hunter2" not in masked(text) and "c2VjcmV0" not in masked(text)
    assert "Q1AtMTpzZWNyZXRzZWNyZXQ=" not in masked(text)
    assert "***" in masked(text)


@pytest.mark.nodb
def test_secrets_are_masked_in_fields_and_tracebacks() -> None:
    try:
        raise RuntimeError("cannot reach postgresql://owner:hunter2@db/x")
    except RuntimeError as error:
        exc_info = (type(error), error, error.__traceback__)
        told = _logged(exc_info=exc_info, url="redis://:hunter2@db/0", nested={"password": "hunter2"})
    assert "hunter2" not in json.dumps(told)
    assert "RuntimeError" in told["traceback"]


@pytest.mark.nodb
def test_a_field_keeps_its_name_and_place() -> None:
    told = _logged(station="CP-1", frames=3)
    assert (told["event"], told["station"], told["frames"], told["level"]) == (
        "it happened",
        "CP-1",
        3,
        "info",
    )


@pytest.mark.nodb
def test_a_request_that_django_logs_leaves_its_query_out() -> None:
    request = RequestFactory().get("/t/x/?token=hunter2")
    assert "hunter2" not in json.dumps(_logged(request=request))


def test_a_request_is_one_event_with_the_id_of_its_answer(
    api_client: Callable[..., ApiClient], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="voltyard.request"):
        response = api_client().call("GET", "/sites?q=hunter2")
    (event,) = [record for record in caplog.records if record.name == "voltyard.request"]
    assert event.request_id == response["X-Request-Id"]  # type: ignore[attr-defined]
    assert "hunter2" not in JsonFormatter().format(event)


def test_health_tells_whether_the_process_can_work(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.get("/health/live").json() == {"status": "live"}
    assert client.get("/health/ready").json() == {"status": "ready"}

    def refuse(*_args: Any, **_values: Any) -> Any:
        raise DatabaseError("connection to owner:hunter2 refused")

    monkeypatch.setattr(connection, "cursor", refuse)
    response = client.get("/health/ready")
    assert response.status_code == 503 and b"hunter2" not in response.content
    assert client.get("/health/live").status_code == 200


def _figure(text: str, name: str) -> float:
    (line,) = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[-1])


def test_metrics_count_what_is_there(
    client: Client, make_station: Callable[..., Any], make_session: Any
) -> None:
    def read() -> str:
        metrics_of_the_installation.read_at = float("-inf")
        return client.get("/metrics").content.decode()

    metrics_of_the_installation = metrics.INSTALLATION
    before = read()
    station = make_station(online=True)
    make_session(station)
    after = read()
    for name in ('voltyard_stations{online="true"}', 'voltyard_connectors{status="available"}'):
        assert _figure(after, name) >= 1
    active = 'voltyard_sessions_open{state="active"}'
    held_before = _figure(before, active) if active in before else 0
    assert _figure(after, active) >= held_before + 1
    assert _figure(after, "voltyard_database_up") == 1
    assert 'voltyard_http_requests_total{method="GET",route="metrics",status="200"}' in after


def test_metrics_are_counted_by_route_and_not_by_address(client: Client) -> None:
    client.get("/nothing/like/this")
    client.generic("PROPFIND", "/health/live")
    text = client.get("/metrics").content.decode()
    assert "nothing/like" not in text and "PROPFIND" not in text


def test_metrics_are_for_this_machine_unless_a_token_is_set(client: Client, settings: Any) -> None:
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", REMOTE_ADDR="192.0.2.1").status_code == 403
    behind_a_proxy = client.get("/metrics", headers={"x-forwarded-for": "192.0.2.1"})
    assert behind_a_proxy.status_code == 403
    settings.METRICS_TOKEN = "m" * 32
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"authorization": "Bearer wrong"}).status_code == 401
    right = client.get("/metrics", headers={"authorization": f"Bearer {'m' * 32}"}, REMOTE_ADDR="192.0.2.1")
    assert right.status_code == 200


def test_metrics_survive_a_database_that_is_away(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    class Away:
        def cursor(self) -> Any:
            raise DatabaseError("away")

    monkeypatch.setattr(metrics, "connections", {"platform": Away()})
    metrics.INSTALLATION.read_at = float("-inf")
    text = client.get("/metrics").content.decode()
    assert _figure(text, "voltyard_database_up") == 0
    metrics.INSTALLATION.read_at = float("-inf")
