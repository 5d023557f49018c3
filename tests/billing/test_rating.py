"""The price of a use: the specification's own examples, step sizes, limits, rounding, words."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.money import half_up
from billing.services.rating import NotRatable, Rated, estimate, rate
from billing.usage import Usage, UsagePeriod, from_json, to_json
from billing.words import line_words, price_words

pytestmark = pytest.mark.nodb
EXAMPLES = json.loads(
    (Path(__file__).parent / "data" / "ocpi_tariff_examples.json").read_text(), parse_float=Decimal
)["examples"]
START = datetime(2026, 3, 2, 8, tzinfo=UTC)


def tariff(*components: tuple[Any, ...], **more: Any) -> dict[str, Any]:
    """A frozen tariff of one element; components are (type, price[, vat[, step_size]])."""
    shaped = [
        dict(zip(("type", "price", "vat", "step_size"), (*one, *(None, 1)[len(one) - 2 :]), strict=True))
        for one in components
    ]
    return {"currency": "EUR", "elements": [{"price_components": shaped}], "tax_included": False} | more


def usage(*periods: tuple[float, str, bool]) -> Usage:
    """Periods of (minutes, Wh, charging), one after another."""
    at, found = START, []
    for minutes, energy_wh, charging in periods:
        until = at + timedelta(minutes=minutes)
        found.append(UsagePeriod(at, until, Decimal(energy_wh), charging))
        at = until
    return Usage(START, at, "Europe/Berlin", tuple(found))


def frozen(example: dict[str, Any]) -> dict[str, Any]:
    """The example's tariff in the shape that a session keeps."""
    told = example["tariff_2_3_0"]
    names = {"before_taxes": "excl_tax", "after_taxes": "incl_tax"}
    limits = {
        name: {names[side]: str(amount) for side, amount in told[name].items()} if name in told else None
        for name in ("min_price", "max_price")
    }
    return {
        "currency": told["currency"],
        "elements": told["elements"],
        "tax_included": told["tax_included"] == "YES",
        **limits,
    }


def used(example: dict[str, Any]) -> Usage:
    periods = tuple(
        UsagePeriod(
            datetime.fromisoformat(phase["start"]),
            datetime.fromisoformat(phase["end"]),
            Decimal(phase["kwh"]) * 1000,
            phase["state"] == "CHARGING",
        )
        for phase in example["session"]["phases"]
    )
    return Usage(periods[0].start, periods[-1].end, example["time_zone"], periods)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["id"])
def test_specification_example(example: dict[str, Any]) -> None:
    rated = rate(tariff=frozen(example), usage=used(example))
    expected, tolerance = example["expected"], Fraction(example["expected"]["tolerance"])
    if expected["before_taxes"] is not None:
        assert abs(rated.exact_excl_tax - Fraction(expected["before_taxes"])) <= tolerance
    if expected["after_taxes"] is not None:
        assert abs(rated.exact_incl_tax - Fraction(expected["after_taxes"])) <= tolerance
    told = [
        (line.component, line.unit, line.quantity) for line in rated.lines if not _is_limit(line.component)
    ]
    assert sorted(told) == sorted(
        (line["dimension"], line["unit"], Decimal(line["quantity"])) for line in expected["breakdown"]
    )


def _is_limit(component: str) -> bool:
    return component in ("MIN_PRICE", "MAX_PRICE")


def test_enough_examples_are_there() -> None:
    assert len(EXAMPLES) >= 20


def test_price_to_the_cent() -> None:
    rated = rate(tariff=tariff(("ENERGY", "0.49", "19")), usage=usage((60, "23180", True)))
    assert (rated.excl_tax, rated.tax, rated.incl_tax) == (
        Decimal("11.36"),
        Decimal("2.16"),
        Decimal("13.52"),
    )


def test_prices_that_include_tax_give_the_net_amount() -> None:
    rated = rate(tariff=tariff(("ENERGY", "0.49", "19"), tax_included=True), usage=usage((60, "10000", True)))
    assert rated.incl_tax == Decimal("4.90")
    assert rated.excl_tax == Decimal("4.12")  # 4.90 / 1.19 = 4.1176
    assert rated.tax == Decimal("0.78")


def test_rounding_happens_once_at_the_totals() -> None:
    """Three times 0.334 is 1.00, not 3 x 0.33."""
    components = [(kind, "0.334") for kind in ("FLAT", "ENERGY", "TIME")]
    rated = rate(tariff=tariff(*components), usage=usage((60, "1000", True)))
    assert rated.incl_tax == Decimal("1.00")


def test_halves_are_rounded_up_even_where_decimals_do_not_end() -> None:
    # 20 minutes at 0.375 an hour are exactly 0.125; a third of an hour is no finite decimal.
    rated = rate(tariff=tariff(("TIME", "0.375")), usage=usage((20, "0", True)))
    assert rated.incl_tax == Decimal("0.13")


def test_charging_again_after_a_pause_rounds_parking_alone() -> None:
    tariffs = tariff(("TIME", "6", None, 900), ("PARKING_TIME", "6", None, 900))
    rated = rate(tariff=tariffs, usage=usage((10, "1000", True), (20, "0", False), (10, "1000", True)))
    assert [(line.component, line.quantity) for line in rated.lines] == [
        ("TIME", 1200),
        ("PARKING_TIME", 1800),
    ]


def test_parking_without_a_price_does_not_spare_charging_time_its_steps() -> None:
    rated = rate(tariff=tariff(("TIME", "6", None, 900)), usage=usage((10, "1000", True), (20, "0", False)))
    assert [(line.component, line.quantity) for line in rated.lines] == [("TIME", 900)]


def test_the_first_element_with_a_component_prices_it() -> None:
    two = tariff(("ENERGY", "0.30"))
    two["elements"].append(
        {"price_components": [{"type": "ENERGY", "price": "9"}, {"type": "FLAT", "price": "1"}]}
    )
    assert rate(tariff=two, usage=usage((60, "10000", True))).incl_tax == Decimal("4.00")


def test_a_limit_on_one_side_bears_the_tax_of_the_session() -> None:
    capped = tariff(("ENERGY", "1", "19"), max_price={"excl_tax": "10"})
    rated = rate(tariff=capped, usage=usage((60, "20000", True)))
    assert (rated.excl_tax, rated.incl_tax) == (Decimal("10.00"), Decimal("11.90"))
    assert rated.lines[-1].component == "MAX_PRICE"


def test_a_least_price_is_owed_with_tax_when_nothing_was_taken() -> None:
    least = tariff(("ENERGY", "1", "19"), min_price={"excl_tax": "2"})
    rated = rate(tariff=least, usage=usage((60, "0", True)))
    assert (rated.excl_tax, rated.incl_tax) == (Decimal("2.00"), Decimal("2.38"))


def test_yen_have_no_cents() -> None:
    rated = rate(tariff=tariff(("ENERGY", "50.5"), currency="JPY"), usage=usage((60, "1000", True)))
    assert rated.incl_tax == Decimal("51")


def test_a_tariff_with_restrictions_is_refused_rather_than_priced_wrong() -> None:
    limited = tariff(("ENERGY", "0.30"))
    limited["elements"][0]["restrictions"] = {"start_time": "18:00"}
    with pytest.raises(NotRatable):
        rate(tariff=limited, usage=usage((60, "1000", True)))


def test_lines_are_explained_in_words() -> None:
    rated = rate(
        tariff=tariff(("FLAT", "0.5"), ("ENERGY", "0.49"), ("PARKING_TIME", "6", None, 900)),
        usage=usage((60, "23180", True), (40, "0", False)),
    )
    assert [line_words(line.to_json(), "EUR") for line in rated.lines] == [
        "1 × 0.50 EUR",
        "23.18 kWh × 0.49 EUR",
        "45 min (40 min, rounded up) × 6.00 EUR/h",
    ]


def test_a_tariff_is_told_in_words() -> None:
    told = price_words(tariff(("ENERGY", "0.495"), ("TIME", "1.2", None, 60)))
    assert told == ["0.495 EUR per kWh", "1.20 EUR per hour of charging, in steps of 1 min"]


def test_live_cost_is_the_price_if_it_ended_now() -> None:
    price = tariff(("ENERGY", "0.40"), ("PARKING_TIME", "6"))
    now = START + timedelta(minutes=90)
    rated = estimate(
        tariff=price,
        started_at=START,
        at=now,
        time_zone="Europe/Berlin",
        energy_wh=Decimal(5000),
        parking=timedelta(minutes=30),
    )
    assert rated.incl_tax == Decimal("5.00")


def test_usage_survives_storage() -> None:
    told = usage((60, "23180.125", True), (40, "0", False))
    assert from_json(json.loads(json.dumps(to_json(told)))) == told


@pytest.mark.parametrize(("minutes", "energy"), [(-1, "1"), (1, "-1")])
def test_impossible_usage_is_refused(minutes: float, energy: str) -> None:
    with pytest.raises(ValueError):
        usage((minutes, energy, True))


PRICES = st.decimals("0", "100", places=4)


@given(
    energy=st.integers(0, 200_000),
    minutes=st.integers(0, 3000),
    parked=st.integers(0, 3000),
    flat=PRICES,
    kwh=PRICES,
    hour=PRICES,
    vat=st.sampled_from(["0", "7", "19", "25.5"]),
    included=st.booleans(),
)
def test_lines_add_up_to_the_total(
    energy: int,
    minutes: int,
    parked: int,
    flat: Decimal,
    kwh: Decimal,
    hour: Decimal,
    vat: str,
    included: bool,
) -> None:
    price = tariff(
        ("FLAT", flat, vat),
        ("ENERGY", kwh, vat),
        ("TIME", hour, vat),
        ("PARKING_TIME", hour, "0"),
        tax_included=included,
    )
    rated = rate(tariff=price, usage=usage((minutes, str(energy), True), (parked, "0", False)))
    _adds_up(rated)


def _adds_up(rated: Rated) -> None:
    assert sum((line.excl for line in rated.lines), Fraction(0)) == rated.exact_excl_tax
    assert sum((line.incl for line in rated.lines), Fraction(0)) == rated.exact_incl_tax
    assert abs(Fraction(rated.incl_tax) - rated.exact_incl_tax) <= Fraction(1, 200)
    assert rated.excl_tax + rated.tax == rated.incl_tax


@given(energy=st.integers(1, 200_000), minutes=st.integers(2, 3000), cut=st.integers(1, 99))
def test_splitting_a_session_never_changes_its_price(energy: int, minutes: int, cut: int) -> None:
    price = tariff(("ENERGY", "0.4321", "19", 0), ("TIME", "1.23", "19", 0))
    first, first_minutes = energy * cut // 100, minutes * cut // 100
    whole = rate(tariff=price, usage=usage((minutes, str(energy), True)))
    halves = usage((first_minutes, str(first), True), (minutes - first_minutes, str(energy - first), True))
    assert rate(tariff=price, usage=halves).exact_incl_tax == whole.exact_incl_tax


@pytest.mark.parametrize(
    ("amount", "rounded"), [("0.005", "0.01"), ("-0.005", "-0.01"), ("0.0049999", "0.00"), ("2.675", "2.68")]
)
def test_half_up(amount: str, rounded: str) -> None:
    assert half_up(Decimal(amount), 2) == Decimal(rounded)
