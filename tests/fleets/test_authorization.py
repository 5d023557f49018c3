"""Whether a token may charge: one path, in neutral words, for a whole batch at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from fleets.models import Reason, TokenSite, Verdict
from fleets.services.authorization import Judgement, Shown, judge
from tenants import rows
from tenants.context import tenant_scope
from tenants.models import Site, Tenant

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def verdict(tenant: Tenant, site: Site, uid: str, at: datetime = NOW) -> Verdict:
    return judgement(tenant, site, uid, at).verdict


def judgement(tenant: Tenant, site: Site, uid: str, at: datetime = NOW) -> Judgement:
    [found] = judged(tenant, [Shown(uid, site.pk, at)])
    return found


def judged(tenant: Tenant, shown: list[Shown]) -> list[Judgement]:
    with tenant_scope(tenant.pk):
        return rows.alone(tenant.pk, judge(shown))


def test_a_known_token_is_accepted_with_whose_it_is(
    tenant: Tenant, site: Site, make_token: Any, make_driver: Any, make_fleet: Any
) -> None:
    fleet = make_fleet()
    driver = make_driver(fleet=fleet)
    until = NOW + HOUR
    token = make_token(driver=driver, group="VANS", expires_at=until, concurrent=True)
    assert judgement(tenant, site, token.uid) == Judgement(
        Verdict.ACCEPTED, token.pk, driver.pk, fleet.pk, "VANS", until, True, kind="iso14443"
    )


def test_the_token_s_own_fleet_counts_before_its_driver_s(
    tenant: Tenant, site: Site, make_token: Any, make_driver: Any, make_fleet: Any
) -> None:
    own = make_fleet()
    token = make_token(driver=make_driver(fleet=make_fleet()), fleet=own)
    assert judgement(tenant, site, token.uid).fleet_id == own.pk


def test_case_and_white_space_do_not_matter(tenant: Tenant, site: Site, make_token: Any) -> None:
    make_token(uid="04AB12CD")
    assert verdict(tenant, site, " 04ab12Cd\t") == Verdict.ACCEPTED


def test_an_unknown_token_is_invalid(tenant: Tenant, site: Site) -> None:
    assert judgement(tenant, site, "04FFFFFF") == Judgement(Verdict.INVALID, reason=Reason.UNKNOWN)


def test_another_company_s_token_is_unknown_here(
    tenant: Tenant, other_tenant: Tenant, site: Site, make_token: Any
) -> None:
    token = make_token(tenant=other_tenant)
    assert judgement(tenant, site, token.uid) == Judgement(Verdict.INVALID, reason=Reason.UNKNOWN)


def test_a_blocked_token_or_driver_is_blocked(
    tenant: Tenant, site: Site, make_token: Any, make_driver: Any
) -> None:
    token = make_token(blocked=True)
    found = judgement(tenant, site, token.uid)
    assert (found.verdict, found.token_id) == (Verdict.BLOCKED, token.pk)
    of_blocked = make_token(driver=make_driver(blocked=True))
    assert verdict(tenant, site, of_blocked.uid) == Verdict.BLOCKED


def test_a_token_is_good_from_its_first_moment_to_before_its_last(
    tenant: Tenant, site: Site, make_token: Any
) -> None:
    uid = make_token(valid_from=NOW, expires_at=NOW + HOUR).uid
    moments = (NOW - timedelta(seconds=1), NOW, NOW + HOUR - timedelta(seconds=1), NOW + HOUR)
    assert [verdict(tenant, site, uid, at) for at in moments] == [
        Verdict.EXPIRED,
        Verdict.ACCEPTED,
        Verdict.ACCEPTED,
        Verdict.EXPIRED,
    ]


def test_a_token_limited_to_sites_is_invalid_elsewhere(
    tenant: Tenant, site: Site, make_site: Any, make_token: Any
) -> None:
    token, elsewhere = make_token(), make_site(name="Elsewhere")
    with tenant_scope(tenant.pk):
        TokenSite.objects.create(tenant=tenant, token=token, site=site)
    assert verdict(tenant, site, token.uid) == Verdict.ACCEPTED
    assert verdict(tenant, elsewhere, token.uid) == Verdict.INVALID


def test_blocked_is_told_before_expired_before_elsewhere(
    tenant: Tenant, site: Site, make_site: Any, make_token: Any
) -> None:
    expired = make_token(expires_at=NOW - HOUR)
    both = make_token(expires_at=NOW - HOUR, blocked=True)
    with tenant_scope(tenant.pk):
        TokenSite.objects.create(tenant=tenant, token=expired, site=make_site(name="Elsewhere"))
    assert verdict(tenant, site, expired.uid) == Verdict.EXPIRED
    assert verdict(tenant, site, both.uid) == Verdict.BLOCKED


def test_text_that_no_token_can_bear_harms_no_neighbour(tenant: Tenant, site: Site, make_token: Any) -> None:
    good = make_token()
    uids = ["\0", "\ud800", "", "  ", good.uid, "x" * 10_000, '"\\', good.uid + "\0"]
    found = judged(tenant, [Shown(uid, site.pk, NOW) for uid in uids])
    assert [one.verdict == Verdict.ACCEPTED for one in found] == [uid == good.uid for uid in uids]


def test_a_batch_is_judged_in_order_by_one_statement(
    tenant: Tenant, site: Site, make_token: Any, round_trips: list[int]
) -> None:
    good, blocked = make_token(), make_token(blocked=True)
    shown = [Shown(uid, site.pk, NOW) for uid in [good.uid, "04DEAD", blocked.uid] * 7]
    found = judged(tenant, shown)
    assert [one.verdict for one in found] == [Verdict.ACCEPTED, Verdict.INVALID, Verdict.BLOCKED] * 7
    assert round_trips == [1]
    assert judged(tenant, []) == []
