"""The people and objects that all other tests build upon."""

from collections.abc import Callable

from django.test import Client

from stations.models import Connector, Station
from tenants.context import tenant_scope
from tenants.models import Role, Tenant, User
from tests.people import ApiClient, make_user


def test_a_member_can_log_in_with_the_password_given(make_member: Callable[..., tuple[User, str]]) -> None:
    user, password = make_member(Role.OPERATOR)
    assert Client().login(username=user.email, password=password)
    assert not Client().login(username=user.email, password=password + "x")


def test_a_station_comes_with_evses_and_connectors(
    make_station: Callable[..., Station], tenant: Tenant
) -> None:
    station = make_station(evses=2, connectors=2)
    with tenant_scope(tenant.pk):
        assert Connector.objects.filter(evse__station=station).count() == 4


def test_a_station_is_invisible_to_another_company(
    make_station: Callable[..., Station], other_tenant: Tenant
) -> None:
    station = make_station()
    with tenant_scope(other_tenant.pk):
        assert not Station.objects.filter(pk=station.pk).exists()


def test_a_key_reaches_its_own_company(api_client: Callable[..., ApiClient]) -> None:
    assert api_client().call("GET", "/no-such-thing").status_code == 404


def test_two_users_of_one_name_do_not_collide() -> None:
    assert make_user("Bob").email != make_user("Bob").email
