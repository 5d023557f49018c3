"""What the tests themselves stand on: a database per worker, used as the application role."""

from __future__ import annotations

from django.db import connection


def test_tests_work_as_the_application_role_on_their_own_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_database(), current_user, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user"
        )
        assert cursor.fetchone() == (connection.settings_dict["NAME"], "voltyard_app", False, False)
    assert connection.settings_dict["NAME"].startswith("test_")


def test_the_server_is_postgresql_18() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version_num")
        assert int(cursor.fetchone()[0]) // 10000 == 18
