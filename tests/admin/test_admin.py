"""Platform staff see all companies, change little, and every change stands in the company's audit."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import connections
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from stations.models import Frame, Reading, Station
from tenants.context import as_platform, tenant_scope
from tenants.models import ApiKey, AuditRecord, Membership, Tenant, User
from tenants.staff import Bulk
from tests import samples
from tests.people import PASSWORD, make_user

# Not for staff to look at, each with the reason.
NOT_IN_ADMIN = {
    "admin.LogEntry": "Django's own diary; ours is the audit of each company",
    "auth.Group": "roles are ours: tenants.permissions",
    "auth.Permission": "fixed by Django",
    "contenttypes.ContentType": "fixed by Django",
    "sessions.Session": "log-ins of people: nothing to read there, and a secret each",
}
MODELS = [pytest.param(model, id=model._meta.label) for model in admin.site._registry]
MANY = 20
SECRETS = ("password_hash", "key_hash", "id_secret", "id_password", 'name="secret"', "pbkdf2_sha256")


@pytest.fixture
def staff() -> Client:
    user = make_user("Stefan Staff", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture(scope="module")
def crowd(worker_database: str) -> samples.World:
    """MANY companies with one of everything; the last has MANY frames and readings."""
    for _ in range(MANY):
        world = samples.build()
    with tenant_scope(world.tenant.pk):
        rows: list[Any] = [
            Frame.objects.get(station=world.station),
            Reading.objects.get(station=world.station),
        ]
        for row in rows:
            for _ in range(MANY):
                row.pk += 1
                row.digest = str(row.pk)
                row.save(force_insert=True)
    return world


def _list(model: type[Model], station: Station) -> str:
    path = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    is_bulk = isinstance(admin.site._registry[model], Bulk)
    return f"{path}?{Bulk.station_lookup}={station.pk}" if is_bulk else path


def _page(thing: Model, verb: str = "change") -> str:
    return reverse(f"admin:{thing._meta.app_label}_{thing._meta.model_name}_{verb}", args=[thing.pk])


def _queries(client: Client, path: str, at_least: int) -> int:
    """Queries of a list that shows `at_least` rows."""
    with CaptureQueriesContext(connections["platform"]) as seen:
        response = client.get(path)
    assert response.status_code == 200
    assert response.context["cl"].result_count >= at_least, "the list shows too little to prove anything"
    return len(seen)


def _newest(tenant: Tenant) -> AuditRecord:
    with tenant_scope(tenant.pk):
        return AuditRecord.objects.filter(tenant=tenant).order_by("-id")[0]


@pytest.mark.nodb
def test_every_model_is_in_the_admin_or_reviewed() -> None:
    missing = {model._meta.label for model in apps.get_models() if model not in admin.site._registry}
    assert missing == set(NOT_IN_ADMIN)


@pytest.mark.nodb
@pytest.mark.parametrize("model", MODELS)
def test_every_model_can_be_searched_and_filtered(model: type[Model]) -> None:
    page = admin.site._registry[model]
    assert page.search_fields and page.list_filter


@pytest.mark.parametrize("model", MODELS)
def test_lists_do_not_grow_by_queries(model: type[Model], staff: Client, crowd: samples.World) -> None:
    """A query a row would be MANY and more."""
    assert _queries(staff, _list(model, crowd.station), at_least=MANY) < MANY


@pytest.mark.parametrize("model", MODELS)
def test_rows_can_be_opened_and_show_no_secret(
    model: type[Model], staff: Client, crowd: samples.World
) -> None:
    world = crowd
    with as_platform():
        rows = model._default_manager.all()
        own = rows.filter(tenant=world.tenant) if hasattr(model, "tenant") else rows
        thing = own.order_by("-pk").first()
    if thing is None:
        return
    for path in (_page(thing), _list(model, world.station), f"{_list(model, world.station)[: -0 or None]}"):
        text = staff.get(path).content.decode()
        assert not [secret for secret in SECRETS if secret in text]


@pytest.mark.parametrize("model", MODELS)
def test_search_takes_any_text(model: type[Model], staff: Client, crowd: samples.World) -> None:
    path = _list(model, crowd.station)
    answered = staff.get(path, query_params={"q": "x'%_\\", **_of(path)})
    assert answered.status_code == 200


def _of(path: str) -> dict[str, Any]:
    _path, _mark, query = path.partition("?")
    return dict([query.split("=")]) if query else {}


def test_a_change_is_audited_with_before_and_after(staff: Client) -> None:
    world = samples.build()
    form = {"registration": "pending", "heartbeat_seconds": "60"}
    assert staff.post(_page(world.station), form).status_code == 302
    written = _newest(world.tenant)
    assert (written.actor_kind, written.actor_label) == ("staff", "Stefan Staff")
    assert (written.action, written.object_id) == ("station.edit", str(world.station.pk))
    assert written.detail["changed"]["registration"] == ["accepted", "pending"]


def test_a_new_company_has_its_making_in_its_audit(staff: Client) -> None:
    form = {"slug": f"new-{make_user().pk}", "name": "New CPO", "country": "DE", "party_id": "NEW"}
    form |= {"currency": "EUR", "time_zone": "Europe/Berlin", "language": "en", "accent": ""}
    assert staff.post(reverse("admin:tenants_tenant_add"), form).status_code == 302
    made = Tenant.objects.get(slug=form["slug"])
    assert (_newest(made).action, _newest(made).actor_kind) == ("tenant.create", "staff")


def test_a_person_is_made_with_a_password_and_given_a_role(staff: Client) -> None:
    world = samples.build()
    email = f"first-{world.marker}@example.com"
    form = {"email": email, "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    assert staff.post(reverse("admin:tenants_user_add"), form).status_code == 302
    person = User.objects.get(email=email)
    assert person.check_password(PASSWORD)
    role = {"user": person.pk, "tenant": world.tenant.pk, "role": "owner", "active": "on"}
    role |= {"sites-TOTAL_FORMS": "0", "sites-INITIAL_FORMS": "0"}
    assert staff.post(reverse("admin:tenants_membership_add"), role).status_code == 302
    with tenant_scope(world.tenant.pk):
        assert Membership.objects.get(user=person).role == "owner"
    assert _newest(world.tenant).action == "membership.create"


def test_a_change_of_a_person_stands_with_each_of_their_companies(staff: Client) -> None:
    world = samples.build()
    form = {"email": world.owner.email, "name": "Olga Newname", "language": "", "is_active": "on"}
    assert staff.post(_page(world.owner), form).status_code == 302
    assert _newest(world.tenant).detail["changed"]["name"] == ["Olga Owner", "Olga Newname"]


def test_a_new_password_is_audited_but_not_told(staff: Client) -> None:
    world = samples.build()
    form = {"usable_password": "true", "password1": "another long phrase", "password2": "another long phrase"}
    path = reverse("admin:auth_user_password_change", args=[world.owner.pk])
    assert staff.post(path, form).status_code == 302
    written = _newest(world.tenant)
    assert written.action == "user.edit"
    assert "another long phrase" not in str(written.detail) and "pbkdf2" not in str(written.detail)


def test_staff_can_revoke_a_key(staff: Client) -> None:
    world = samples.build()
    form = {"action": "revoke", "_selected_action": [world.key.pk]}
    assert staff.post(reverse("admin:tenants_apikey_changelist"), form).status_code == 302
    with tenant_scope(world.tenant.pk):
        assert ApiKey.objects.get(pk=world.key.pk).revoked_at is not None
    assert _newest(world.tenant).action == "key.revoke"


@pytest.mark.parametrize("name", ["auditrecord", "fact", "site"])
def test_what_is_to_be_looked_at_cannot_be_changed(name: str, staff: Client) -> None:
    world = samples.build()
    with as_platform():
        thing = apps.get_model("tenants", name)._default_manager.filter(tenant=world.tenant).first()
    assert thing is not None
    assert staff.post(_page(thing), {"name": "x", "action": "x"}).status_code == 403
    assert staff.post(_page(thing, "delete"), {"post": "yes"}).status_code == 403


def test_a_member_who_is_no_staff_is_sent_away() -> None:
    client = Client()
    client.force_login(make_user())
    assert client.get("/admin/").status_code == 302
