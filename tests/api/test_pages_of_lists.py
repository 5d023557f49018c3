"""Lists come in pages that stay stable while rows are added, and are filtered by the address."""

from collections.abc import Callable

from stations.models import Station
from tenants.models import Site, Tenant
from tests.people import ApiClient


def test_pages_follow_each_other_without_gap_or_repeat(
    api_client: Callable[..., ApiClient], make_station: Callable[..., Station], site: Site
) -> None:
    api = api_client()
    made = {make_station(site=site, evses=0).pk for _ in range(5)}
    first = api.read("/stations", page_size=2)
    make_station(site=site, evses=0)  # comes in between, and moves nothing
    seen = [row["id"] for row in first["results"]]
    following = first["next"]
    while following:
        page = api.call("GET", following.removeprefix("http://testserver")).json()
        seen += [row["id"] for row in page["results"]]
        following = page["next"]
    assert len(seen) == 5 and set(seen) == made


def test_filters_narrow_a_list(
    api_client: Callable[..., ApiClient],
    make_station: Callable[..., Station],
    make_site: Callable[..., Site],
) -> None:
    api = api_client()
    harbour, depot = make_site(), make_site()
    one = make_station(site=harbour, online=True, identity="ALPHA-1")
    other = make_station(site=depot, name="Bravo")

    def found(**query: str) -> list[int]:
        return [row["id"] for row in api.read("/stations", **query)["results"]]

    assert found(site_id=str(harbour.pk)) == [one.pk]
    assert found(online="true") == [one.pk]
    assert found(q="bravo") == [other.pk]
    assert found(identity="ALPHA-1") == [one.pk]
    assert sorted(found(status="available")) == sorted([one.pk, other.pk])
    assert found(status="charging") == []


def test_a_page_is_never_larger_than_the_bound(api_client: Callable[..., ApiClient], tenant: Tenant) -> None:
    assert len(api_client().read("/sites", page_size="100000")["results"]) <= 500
