"""The proofs that companies are kept apart inside PostgreSQL, read from its own catalogue."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.db import DatabaseError, IntegrityError, connection, connections, transaction

from cpo.databases import role_name
from fleets.models import Driver, Token
from stations.models import Session
from tenants import row_security
from tenants.context import TenantMismatch, as_platform, tenant_scope
from tenants.models import AuditRecord, Membership, Role, Site, Tenant, TenantModel
from tenants.services import audit
from tests.people import actor_of, join, make_user

# Tables without a tenant, reviewed one by one. A new table that is neither here nor secured fails the census.
GLOBAL_TABLES = {
    "django_migrations": "what was migrated",
    "django_content_type": "names of models",
    "django_session": "logins of the portal: random keys, no tenant's data",
    "django_admin_log": "what platform staff did in the admin; read by nobody else",
    "auth_permission": "Django's permissions of the admin",
    "auth_group": "groups of platform staff",
    "auth_group_permissions": "the same",
    "stations_gatewayprocess": "which gateway processes live: names and times of our own machines",
    "tenants_tenant": "the list of companies: known before one is entered, nothing confidential",
    "tenants_user": "people are global; memberships say where they belong",
    "tenants_user_groups": "groups of platform staff",
    "tenants_user_user_permissions": "the same",
}
# Numbers of rows that are no foreign key, reviewed one by one: row security keeps them inside the tenant all the same.
LOOSE_REFERENCES = {
    "stations_batteryswap.command_id": "the command that asked for it, which may be gone by then",
    "stations_batteryswap.request_id": "as the station tells it: its own number, or that of our command",
    "stations_displaymessage.command_id": "the newest command about it, which may be gone by then",
    "stations_sessioncost.stop_command_id": "the command that ended it, which may be gone by then",
    "stations_stationtariff.command_id": "the newest command about it, which may be gone by then",
    "stations_webpayment.start_command_id": "the command that started it, which may be gone by then",
    "stations_issue.command_id": "the step under way; the command is looked up in the tenant",
    "stations_configurationrun.template_id": "outlives the template that was applied",
    "stations_customerquery.request_id": "a number on the wire, made of the command's",
    "stations_devicereport.request_id": "a number on the wire; a station may tell one of its own",
    "stations_journalcursor.applied_id": "a position among frames",
    "stations_journalhead.last_id": "a position among frames",
    "stations_reading.session_id": "set where the session is known; a key would cost each reading a lookup",
    "stations_signingrequest.request_id": "the station's own number of its request",
    "stations_session.charge_id": "written by the verb that made the charge; the charge names its session",
    "stations_session.remote_command_id": "as the station tells it: may be a number that is none of ours",
    "tenants_fact.subject_id": "of any kind of thing, which may be gone when the fact is read",
}
ROLES_THAT_LOG_IN = ("app", "gateway", "platform")


def rows(statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with connections["owner"].cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


def test_every_table_is_forced_under_row_security_or_reviewed_as_global() -> None:
    found = rows(
        """
        SELECT relname, relrowsecurity AND relforcerowsecurity FROM pg_class
        WHERE relkind IN ('r', 'p', 'f', 'm', 'v') AND relnamespace = 'public'::regnamespace
        """
    )
    secured = {name for name, forced in found if forced}
    bare = {name for name, forced in found if not forced}
    assert bare == set(GLOBAL_TABLES)
    assert len(secured) > 40  # partitions among them
    assert any(name.startswith("stations_frame_") for name in secured)
    assert any(name.startswith("stations_reading_") for name in secured)


def test_every_tenant_model_is_among_the_secured_tables() -> None:
    secured = {name for name, _partition in row_security.tenant_tables(connections["owner"].cursor())}
    models = {model._meta.db_table for model in apps.get_models() if issubclass(model, TenantModel)}
    assert models <= secured
    assert "stations_frame" in secured


def test_every_table_admits_tenants_by_one_rule_alone() -> None:
    """For app and gateway: their tenant's rows, to read and to write. For the functions' owners: what is reviewed."""
    found = rows(
        """
        SELECT p.tablename, p.policyname, p.roles::text[], p.permissive, p.qual, p.with_check, p.cmd
        FROM pg_policies p WHERE p.schemaname = 'public'
        """
    )
    allowed_names = {"tenant", "platform", "resolver", "ingest"}
    assert {policy for _table, policy, *_rest in found} <= allowed_names
    for table, policy, roles, permissive, qual, check, _command in found:
        assert permissive == "PERMISSIVE"
        if policy == "tenant":
            assert sorted(roles) == [role_name("app"), role_name("gateway")], table
            assert "current_setting('app.tenant'::text, true)" in qual, table
            assert qual == check, table
        else:
            assert roles == [role_name(policy)], table
    parents = {
        name for name, partition in row_security.tenant_tables(connections["owner"].cursor()) if not partition
    }
    assert {table for table, policy, *_rest in found if policy == "tenant"} == parents
    opened = {(table, policy) for table, policy, *_rest in found if policy in ("resolver", "ingest")}
    assert {table for table, policy in opened if policy == "resolver"} == {
        "energy_gridconnection",
        "energy_steering",
        "stations_authority",
        "stations_command",
        "stations_fileticket",
        "stations_journalcursor",
        "stations_journalhead",
        "stations_station",
        "tenants_apikey",
        "tenants_fact",
        "tenants_membership",
    }
    assert {table for table, policy in opened if policy == "ingest"} == {
        "stations_frame",
        "stations_journalcursor",
        "stations_journalhead",
        "stations_station",
    }


def test_partitions_are_reached_through_their_parent_alone() -> None:
    tables = row_security.tenant_tables(connections["owner"].cursor())
    partitions = [name for name, partition in tables if partition]
    assert partitions
    for name in partitions:
        for role in ROLES_THAT_LOG_IN:
            [[may]] = rows("SELECT has_table_privilege(%s, %s, 'SELECT')", role_name(role), f"public.{name}")
            assert not may, f"{role} may read {name} directly"


def test_every_reference_between_tenants_rows_is_a_composite_key() -> None:
    links = sorted(set(row_security._tenant_foreign_keys()))
    assert len(links) > 30
    present = {
        (table, column, target)
        for table, columns, target in rows(
            """
            SELECT c.conrelid::regclass::text,
                   (SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(c.conkey) WITH ORDINALITY AS k(num, n)
                    JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.num),
                   c.confrelid::regclass::text
            FROM pg_constraint c WHERE c.contype = 'f' AND c.convalidated AND cardinality(c.conkey) = 2
            """
        )
        if columns[0] == "tenant_id"
        for column in columns[1:]
    }
    assert [link for link in links if link not in present] == []


def test_every_column_that_refers_by_number_has_a_key_or_is_reviewed() -> None:
    keyed = {
        (table, column)
        for table, column in rows(
            """
            SELECT c.conrelid::regclass::text, a.attname::text FROM pg_constraint c
            JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey) WHERE c.contype = 'f'
            """
        )
    }
    numbers = rows(
        r"""
        SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace
          AND a.attname LIKE '%%\_id' AND a.atttypid IN ('int4'::regtype, 'int8'::regtype) AND a.attnum > 0
        """
    )
    tenants_tables = {name for name, _partition in row_security.tenant_tables(connections["owner"].cursor())}
    loose = {f"{t}.{c}" for t, c in numbers if t in tenants_tables and (t, c) not in keyed}
    assert loose - {"stations_frame.tenant_id", "stations_reading.tenant_id"} == set(LOOSE_REFERENCES)


def test_no_plain_foreign_key_leads_from_one_tenant_table_to_another() -> None:
    """A ForeignKey where TenantForeignKey belongs would let a row point across."""
    tenant_models = [model for model in apps.get_models() if issubclass(model, TenantModel)]
    plain = [
        f"{model._meta.label}.{field.name}"
        for model in tenant_models
        for field in model._meta.local_fields
        if field.many_to_one
        and issubclass(field.related_model, TenantModel)  # type: ignore[arg-type]
        and not isinstance(field, row_security.TenantForeignKey)
    ]
    assert plain == []


@pytest.mark.parametrize("role", [*ROLES_THAT_LOG_IN, *row_security.FUNCTION_ROLES])
def test_no_role_of_ours_stands_above_row_security(role: str) -> None:
    [[superuser, bypass, create_role, create_db, login, owns]] = rows(
        """
        SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolcanlogin,
               EXISTS (SELECT FROM pg_class WHERE relowner = r.oid AND relkind IN ('r', 'p'))
        FROM pg_roles r WHERE rolname = %s
        """,
        role_name(role),
    )
    assert (superuser, bypass, create_role, create_db, owns) == (False, False, False, False, False)
    assert login == (role in ROLES_THAT_LOG_IN)


@pytest.mark.parametrize("role", ROLES_THAT_LOG_IN)
def test_no_role_that_logs_in_belongs_to_another(role: str) -> None:
    found = rows(
        "SELECT roleid::regrole::text FROM pg_auth_members WHERE member = %s::regrole", role_name(role)
    )
    assert found == []


def test_tests_speak_as_the_application() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, session_user")
        assert cursor.fetchone() == (role_name("app"), role_name("app"))


@pytest.mark.parametrize(
    "statement",
    [
        "SET ROLE {owner}",
        "SET ROLE {platform}",
        "SET ROLE {resolver}",
        "SET ROLE {ingest}",
        "SET SESSION AUTHORIZATION {owner}",
        "ALTER TABLE tenants_site DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE tenants_site NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY tenant ON tenants_site",
        "CREATE POLICY open ON tenants_site USING (true)",
        "CREATE TABLE loot (id int)",
        "CREATE TEMPORARY TABLE stations_station (id int)",
        "CREATE FUNCTION loot() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER FUNCTION tenants_memberships_of(bigint) OWNER TO {app}",
        "ALTER ROLE {app} BYPASSRLS",
        "TRUNCATE tenants_site",
        "COPY tenants_site TO PROGRAM 'cat'",
    ],
)
def test_the_application_cannot_lift_row_security(tenant: Tenant, statement: str) -> None:
    names = {name: role_name(name) for name in ("app", "platform", "resolver", "ingest")}
    owner = connections["owner"].settings_dict["USER"]
    with pytest.raises(DatabaseError) as error, tenant_scope(tenant.pk), connection.cursor() as cursor:
        cursor.execute(statement.format(owner=f'"{owner}"', **names))
    cause = error.value.__cause__
    assert isinstance(cause, psycopg.errors.InsufficientPrivilege), cause


def test_turning_row_security_off_refuses_instead_of_showing(tenant: Tenant, site: Site) -> None:
    with pytest.raises(DatabaseError), tenant_scope(tenant.pk), connection.cursor() as cursor:
        cursor.execute("SET LOCAL row_security = off")
        cursor.execute("SELECT count(*) FROM tenants_site")


def test_without_a_tenant_there_are_no_rows(site: Site, tenant: Tenant) -> None:
    assert not Site.objects.exists()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM tenants_site")
        assert cursor.fetchone() == (0,)
    with tenant_scope(tenant.pk):
        assert Site.objects.count() == 1


def test_without_a_tenant_nothing_is_written(tenant: Tenant) -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        Site.objects.create(tenant=tenant, name="Nowhere")


def test_inside_a_tenant_no_other_s_rows_are_read_changed_or_written(
    tenant: Tenant, other_tenant: Tenant, site: Site, make_site: Any
) -> None:
    theirs = make_site(tenant=other_tenant, name="Theirs")
    with tenant_scope(tenant.pk):
        assert list(Site.objects.all()) == [site]
        assert Site.objects.filter(pk=theirs.pk).update(name="Ours now") == 0
        assert Site.objects.filter(pk=theirs.pk).delete()[0] == 0
        with pytest.raises(DatabaseError), transaction.atomic():
            Site.objects.create(tenant=other_tenant, name="Smuggled")
        with pytest.raises(DatabaseError), transaction.atomic():
            Site.objects.filter(pk=site.pk).update(tenant=other_tenant)
    with tenant_scope(other_tenant.pk):
        assert Site.objects.get(pk=theirs.pk).name == "Theirs"


def test_a_row_cannot_point_across_companies(
    tenant: Tenant, other_tenant: Tenant, make_driver: Any, make_token: Any
) -> None:
    """The database refuses it even to the platform role, which sees both."""
    driver: Driver = make_driver()
    token: Token = make_token(tenant=other_tenant)
    with as_platform(), pytest.raises(IntegrityError), transaction.atomic(using="platform"):
        Token.objects.filter(pk=token.pk).update(driver_id=driver.pk)


def test_an_id_alone_never_suffices(
    tenant: Tenant, other_tenant: Tenant, station: Any, make_session: Any
) -> None:
    session: Session = make_session(station)
    with tenant_scope(other_tenant.pk):
        assert not Session.objects.filter(pk=session.pk).exists()
        with pytest.raises(Session.DoesNotExist):
            session.refresh_from_db()


def test_a_second_tenant_inside_the_transaction_of_the_first_raises(
    tenant: Tenant, other_tenant: Tenant
) -> None:
    with tenant_scope(tenant.pk):
        with tenant_scope(tenant.pk):
            pass
        with pytest.raises(TenantMismatch), tenant_scope(other_tenant.pk):
            pass


def test_a_tenant_is_not_entered_in_mid_transaction(tenant: Tenant) -> None:
    with transaction.atomic(), pytest.raises(TenantMismatch), tenant_scope(tenant.pk):
        pass


def _setting() -> str | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('app.tenant', true)")
        return str(cursor.fetchone()[0] or "")


def test_the_tenant_ends_with_its_transaction(tenant: Tenant) -> None:
    with tenant_scope(tenant.pk):
        assert _setting() == str(tenant.pk)
    assert _setting() == ""
    with pytest.raises(RuntimeError), tenant_scope(tenant.pk):
        raise RuntimeError
    assert _setting() == ""


def test_nothing_leaks_through_the_pool(
    tenant: Tenant, other_tenant: Tenant, site: Site, make_site: Any
) -> None:
    """Many threads, few connections: each sees its own company's rows and nothing outside."""
    make_site(tenant=other_tenant, name="Theirs")
    companies, gate = (tenant.pk, other_tenant.pk), threading.Barrier(6)

    def work(number: int) -> list[tuple[int, set[int], int]]:
        gate.wait()
        seen = []
        for turn in range(25):
            mine = companies[(number + turn) % 2]
            try:
                with tenant_scope(mine):
                    inside = set(Site.objects.values_list("tenant_id", flat=True))
                    if turn % 5 == 0:
                        raise ValueError("some requests end badly")
            except ValueError:
                pass
            seen.append((mine, inside, Site.objects.count()))
            connections.close_all()  # back to the pool, as after a request
        return seen

    with ThreadPoolExecutor(6) as pool:
        seen = [one for found in pool.map(work, range(6)) for one in found]
    assert len(seen) == 150
    assert all(inside == {mine} and outside == 0 for mine, inside, outside in seen)


def test_functions_that_act_before_a_tenant_is_known_are_pinned() -> None:
    found = rows(
        """
        SELECT p.oid::regprocedure::text, o.rolname, p.proconfig,
               has_function_privilege('public', p.oid, 'EXECUTE')
        FROM pg_proc p JOIN pg_roles o ON o.oid = p.proowner
        WHERE p.prosecdef AND p.pronamespace = 'public'::regnamespace
        """
    )
    owners = {signature: owner for signature, owner, _config, _public in found}
    assert "stations_find(json)" in owners
    assert "tenants_find_api_key(text)" in owners
    for signature, owner, config, public in found:
        assert not public, f"everybody may call {signature}"
        path = next(
            entry.removeprefix("search_path=") for entry in config if entry.startswith("search_path=")
        )
        # Unnamed, pg_temp would come first: a caller's temporary table would be read in place of ours.
        assert path in ("pg_catalog, public, pg_temp", "public, pg_temp"), signature
        if owner not in (role_name("resolver"), role_name("ingest")):
            # Only the owner of tables may make and drop partitions: these two take no names from callers.
            assert signature in ("stations_ensure_partitions()", "stations_drop_frames(integer)")


@pytest.mark.parametrize("role", [*ROLES_THAT_LOG_IN, *row_security.FUNCTION_ROLES])
def test_nobody_makes_temporary_tables(role: str) -> None:
    """As provisioned, and in the copy of it that the tests work on."""
    for database in ("template_voltyard", connections["owner"].settings_dict["NAME"]):
        found = rows("SELECT has_database_privilege(%s, %s, 'TEMP')", role_name(role), database)
        assert found == [(False,)], database


def test_nobody_can_put_functions_into_a_pinned_path() -> None:
    for role in (*ROLES_THAT_LOG_IN, *row_security.FUNCTION_ROLES):
        assert rows("SELECT has_schema_privilege(%s, 'public', 'CREATE')", role_name(role)) == [(False,)]


def test_the_audit_cannot_be_rewritten(tenant: Tenant, owner_actor: Any) -> None:
    with tenant_scope(tenant.pk):
        audit.record(tenant_id=tenant.pk, actor=owner_actor, action="test.done")
    for change in (
        lambda: AuditRecord.objects.filter(tenant=tenant).update(action="nothing"),
        lambda: AuditRecord.objects.filter(tenant=tenant).delete(),
    ):
        with pytest.raises(DatabaseError), tenant_scope(tenant.pk):
            change()


def test_the_application_makes_no_companies() -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        Tenant.objects.create(slug="smuggled", name="Smuggled")


def test_a_gateway_reads_no_logins() -> None:
    for table in row_security.NOT_FOR_GATEWAY:
        assert rows("SELECT has_table_privilege(%s, %s, 'SELECT')", role_name("gateway"), table) == [(False,)]


def test_a_member_of_two_companies_is_somebody_else_in_each(tenant: Tenant, other_tenant: Tenant) -> None:
    user = make_user()
    join(user, tenant, Role.OWNER)
    join(user, other_tenant, Role.DRIVER)
    assert actor_of(user, tenant).role == Role.OWNER
    assert actor_of(user, other_tenant).role == Role.DRIVER
    with tenant_scope(tenant.pk):
        assert Membership.objects.filter(user=user).count() == 1
