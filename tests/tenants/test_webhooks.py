"""Facts are sent to the tenant's own systems: signed, again until taken, never into our own network."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, TypeVar

import pytest
from django.utils import timezone

from tenants import tasks
from tenants.context import tenant_scope
from tenants.errors import Conflict, Forbidden, Invalid
from tenants.models import AuditRecord, FactDelivery, Role, Tenant, Webhook
from tenants.permissions import system
from tenants.services import dispatch, facts, outbound, webhooks

ACTOR = system("tests")
Server = TypeVar("Server", bound=ThreadingHTTPServer)


class Receiver(ThreadingHTTPServer):
    """A system of the tenant: keeps what it is sent, answers as told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hooks?from=voltyard"


class Dripping(ThreadingHTTPServer):
    """Answers in the end, but a byte at a time."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Dripper)


class _Dripper(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        with contextlib.suppress(OSError):
            for byte in b"HTTP/1.1 200 OK\r\n" + b"X-Padding: " + b"x" * 200 + b"\r\n\r\n":
                self.wfile.write(bytes([byte]))
                time.sleep(0.05)

    def log_message(self, *args: Any) -> None:
        pass


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers), body))
        self.send_response(self.server.status)
        self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with serving(Receiver()) as server:
        yield server


@contextlib.contextmanager
def serving(server: Server) -> Iterator[Server]:
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_receiver_that_drips_its_answer_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time; all of them together do not."""
    monkeypatch.setattr(outbound, "DEADLINE_S", 0.5)
    with serving(Dripping()) as server, pytest.raises(OSError):
        outbound.post(f"http://127.0.0.1:{server.server_port}/", b"{}", {})


def create(tenant: Tenant, url: str, *kinds: str) -> tuple[Webhook, str]:
    with tenant_scope(tenant.pk):
        return webhooks.create_webhook(tenant_id=tenant.pk, actor=ACTOR, url=url, kinds=kinds)


def happen(tenant: Tenant, kind: str = "session.ended") -> None:
    with tenant_scope(tenant.pk):
        facts.publish(
            tenant_id=tenant.pk,
            kind=kind,
            subject_type="session",
            subject_id=9,
            payload={"energy_wh": "23180"},
        )


def deliver(tenant: Tenant) -> int:
    dispatch.dispatch(tenant_id=tenant.pk)
    return webhooks.deliver_due(tenant_id=tenant.pk)


def make_due(tenant: Tenant) -> None:
    with tenant_scope(tenant.pk):
        FactDelivery.objects.filter(tenant=tenant, done_at=None).update(next_attempt_at=timezone.now())


def waiting(tenant: Tenant) -> list[FactDelivery]:
    with tenant_scope(tenant.pk):
        return list(FactDelivery.objects.filter(tenant=tenant, done_at=None))


def test_a_fact_arrives_signed(tenant: Tenant, receiver: Receiver) -> None:
    _hook, secret = create(tenant, receiver.url)
    happen(tenant)
    assert deliver(tenant) == 1
    [(headers, body)] = receiver.got
    told = json.loads(body)
    assert (told["kind"], told["tenant"], told["data"]) == (
        "session.ended",
        tenant.slug,
        {"energy_wh": "23180"},
    )
    at, _comma, digest = headers[webhooks.SIGNATURE].partition(",v1=")
    expected = hmac.new(secret.encode(), at.removeprefix("t=").encode() + b"." + body, hashlib.sha256)
    assert digest == expected.hexdigest()
    assert deliver(tenant) == 0
    assert waiting(tenant) == []


def test_only_the_kinds_asked_for_are_sent(tenant: Tenant, receiver: Receiver) -> None:
    create(tenant, receiver.url, "session.ended")
    happen(tenant, "session.started")
    happen(tenant, "session.ended")
    deliver(tenant)
    assert [json.loads(body)["kind"] for _headers, body in receiver.got] == ["session.ended"]


def test_another_company_s_facts_are_never_sent(
    tenant: Tenant, other_tenant: Tenant, receiver: Receiver
) -> None:
    create(tenant, receiver.url)
    happen(other_tenant)
    deliver(other_tenant)
    deliver(tenant)
    assert receiver.got == []


@pytest.mark.parametrize("status", [500, 404, 302])
def test_what_was_not_taken_is_sent_again_later(tenant: Tenant, receiver: Receiver, status: int) -> None:
    create(tenant, receiver.url)
    receiver.status = status
    happen(tenant)
    happen(tenant)
    assert deliver(tenant) == 1  # the second waits too: the receiver is in trouble
    assert [one.next_attempt_at > timezone.now() for one in waiting(tenant)] == [True, True]
    assert f"answered {status}" in "".join(one.last_error for one in waiting(tenant))
    receiver.status = 204
    make_due(tenant)
    assert deliver(tenant) == 2
    assert waiting(tenant) == []


def test_a_receiver_that_is_down_holds_up_no_other(tenant: Tenant, receiver: Receiver) -> None:
    create(tenant, "http://127.0.0.1:1/nobody")
    create(tenant, receiver.url)
    happen(tenant)
    deliver(tenant)
    assert len(receiver.got) == 1
    assert [one.last_error.startswith("No answer") for one in waiting(tenant)] == [True]


def test_a_receiver_that_never_recovers_is_switched_off_with_the_reason(
    tenant: Tenant, receiver: Receiver
) -> None:
    hook, _secret = create(tenant, receiver.url)
    receiver.status = 410
    happen(tenant)
    for _ in range(webhooks.ATTEMPTS):
        make_due(tenant)
        deliver(tenant)
    with tenant_scope(tenant.pk):
        hook.refresh_from_db()
    assert not hook.active
    assert "answered 410" in hook.disabled_reason
    assert waiting(tenant) == []
    happen(tenant)
    deliver(tenant)
    assert len(receiver.got) == webhooks.ATTEMPTS


def test_a_process_that_died_in_mid_delivery_leaves_it_to_another(
    tenant: Tenant, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(tenant, receiver.url)
    happen(tenant)

    def die(_claimed: Any) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(webhooks, "_send", die)
        deliver(tenant)
    assert deliver(tenant) == 0  # still claimed
    make_due(tenant)  # the claim runs out
    assert deliver(tenant) == 1
    assert len(receiver.got) == 1


def test_a_removed_webhook_is_not_waited_for(tenant: Tenant, receiver: Receiver) -> None:
    hook, _secret = create(tenant, receiver.url)
    happen(tenant)
    dispatch.dispatch(tenant_id=tenant.pk)
    with tenant_scope(tenant.pk):
        webhooks.delete_webhook(hook=hook, actor=ACTOR)
    deliver(tenant)
    assert receiver.got == []
    assert waiting(tenant) == []


def test_the_task_serves_every_company(tenant: Tenant, other_tenant: Tenant, receiver: Receiver) -> None:
    for company in (tenant, other_tenant):
        create(company, receiver.url)
        happen(company)
    tasks.dispatch_facts()
    tasks.deliver_webhooks()
    told = {json.loads(body)["tenant"] for _headers, body in receiver.got}
    assert {tenant.slug, other_tenant.slug} <= told


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
    ],
)
def test_addresses_of_our_own_network_are_not_public(address: str) -> None:
    assert not outbound.is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert outbound.is_public(address)


def test_in_production_nothing_is_sent_to_a_private_address(
    tenant: Tenant, receiver: Receiver, settings: Any
) -> None:
    create(tenant, receiver.url)
    settings.PRODUCTION = True
    happen(tenant)
    with pytest.raises(outbound.Refused):
        outbound.resolve("localhost", receiver.server_port)
    deliver(tenant)
    assert receiver.got == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "ftp://example.com/",
        "http://",
        "https://user:pw@example.com/",
        "https://example.com/a b",
        "https://example.com:99999/",
        "https://[::1/",
        "https://example.com/" + "x" * 400,
        "javascript:alert(1)",
    ],
)
def test_what_is_no_web_address_is_refused(tenant: Tenant, url: str) -> None:
    with pytest.raises(Invalid) as error:
        create(tenant, url)
    assert "url" in error.value.fields


def test_plain_http_is_refused_in_production(tenant: Tenant, settings: Any) -> None:
    settings.PRODUCTION = True
    with pytest.raises(Invalid):
        create(tenant, "http://example.com/hook")


def test_secrets_are_kept_encrypted_and_out_of_the_audit(tenant: Tenant) -> None:
    from django.db import connection

    hook, secret = create(tenant, "https://example.com/hook")
    with tenant_scope(tenant.pk):
        renewed = webhooks.renew_secret(hook=hook, actor=ACTOR)
        with connection.cursor() as cursor:
            cursor.execute("SELECT secret FROM tenants_webhook WHERE tenant_id = %s", [tenant.pk])
            [[raw]] = cursor.fetchall()
        told = json.dumps(list(AuditRecord.objects.filter(tenant=tenant).values("detail", "object_label")))
    assert renewed not in raw
    assert secret not in told
    assert renewed not in told


def test_only_who_may_edit_keys_edits_webhooks(tenant: Tenant, make_actor: Any) -> None:
    with pytest.raises(Forbidden), tenant_scope(tenant.pk):
        webhooks.create_webhook(
            tenant_id=tenant.pk, actor=make_actor(Role.OPERATOR), url="https://example.com"
        )


def test_a_test_goes_to_this_webhook_alone_and_can_be_repeated(tenant: Tenant, receiver: Receiver) -> None:
    with serving(Receiver()) as other:
        hook, _secret = create(tenant, receiver.url)
        create(tenant, other.url)
        with tenant_scope(tenant.pk):
            delivery = webhooks.try_out(hook=hook, actor=ACTOR)
        deliver(tenant)
        with tenant_scope(tenant.pk):
            delivery.refresh_from_db()
            assert (delivery.done_at is not None, delivery.last_error) == (True, "")
            webhooks.repeat(hook=hook, delivery=delivery, actor=ACTOR)
        deliver(tenant)
        assert [json.loads(body)["kind"] for _headers, body in receiver.got] == ["webhook.test"] * 2
        assert other.got == []


def test_one_that_is_switched_off_is_not_tried(tenant: Tenant, receiver: Receiver) -> None:
    hook, _secret = create(tenant, receiver.url)
    with tenant_scope(tenant.pk):
        webhooks.update_webhook(hook=hook, actor=ACTOR, active=False)
        with pytest.raises(Conflict):
            webhooks.try_out(hook=hook, actor=ACTOR)
