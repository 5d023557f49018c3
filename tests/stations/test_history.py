"""The story of a session tells of that session alone; that of a station does not drown in the everyday."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.utils import timezone
from django.utils.translation import override

from fleets.models import Token
from stations import health, history
from stations.models import Authorization, Command, Connection, Session, Station, StationEvent
from tenants.context import tenant_scope
from tenants.permissions import SYSTEM
from tests.stations.telling import Speaker


def _show(speaker: Speaker, card: Token, *times: datetime) -> None:
    with tenant_scope(speaker.tenant_id):
        for at in times:
            Authorization.objects.create(
                tenant_id=speaker.tenant_id, station=speaker.station, token_uid=card.uid, token=card,
                verdict="accepted", at=at,
            )  # fmt: skip


def _cards(speaker: Speaker, session: Session) -> list[datetime]:
    with tenant_scope(speaker.tenant_id):
        return [one.at for one in history.of_session(session) if one.icon == "nfc"]


def test_a_session_shows_the_cards_of_its_own_start_and_end(speaker: Speaker, card: Token) -> None:
    """The same driver charges twice within minutes."""
    began = speaker.began
    minutes = [began + timedelta(minutes=n) for n in range(12)]
    (first,) = speaker.start(at=minutes[1])
    speaker.stop(number=first.transaction_number, at=minutes[4])
    (second,) = speaker.start(at=minutes[6])
    speaker.stop(number=second.transaction_number, at=minutes[9])
    shown = [minutes[0], minutes[4], minutes[5], minutes[9]]
    _show(speaker, card, *shown)
    one, two = speaker.sessions()
    assert _cards(speaker, one) == shown[:2]
    assert _cards(speaker, two) == shown[2:]


def test_everyday_events_of_a_day_are_one_line_and_trouble_stands_alone(
    speaker: Speaker, card: Token
) -> None:
    noon = datetime(2026, 5, 4, 12, tzinfo=UTC)
    _show(speaker, card, *(noon + timedelta(minutes=n) for n in range(5)))
    _show(speaker, card, *(noon + timedelta(days=1, minutes=n) for n in range(3)))
    with tenant_scope(speaker.tenant_id), timezone.override(UTC):
        Authorization.objects.create(
            tenant_id=speaker.tenant_id, station=speaker.station, token_uid="LOST", verdict="blocked",
            at=noon + timedelta(minutes=30),
        )  # fmt: skip
        told = [
            one for one in history.of_station(speaker.station) if one.at.year == 2026 and one.at.month == 5
        ]
    assert [len(one.folded) for one in told] == [0, 0, 0, 0, 5]  # three are too few to be folded
    assert "LOST" in told[3].text
    folded = told[4]
    assert (folded.at, folded.folded[-1].at) == (noon + timedelta(minutes=4), noon)
    assert "since 12:00" in folded.text
    assert "5 cards" in folded.detail


def test_accepted_commands_are_no_cards(speaker: Speaker) -> None:
    with tenant_scope(speaker.tenant_id), timezone.override(UTC):
        for number in range(4):
            Command.objects.create(
                tenant_id=speaker.tenant_id, station=speaker.station, kind="read_configuration", state="accepted",
                origin_kind="task", origin_label="Configuration", expires_at=timezone.now(), arguments={"n": number},
            )  # fmt: skip
        (line,) = (one for one in history.of_station(speaker.station) if one.folded)
    assert (len(line.folded), line.detail) == (4, "")


def test_a_place_of_2x_charges_while_its_session_runs(speaker: Speaker) -> None:
    """OCPP 2.x tells no more of a connector than that it is occupied."""
    ago = {minutes: timezone.now() - timedelta(minutes=minutes) for minutes in (120, 90, 80, 30, 20)}
    with tenant_scope(speaker.tenant_id):
        Connection.objects.create(
            tenant_id=speaker.tenant_id, station=speaker.station, epoch=1, gateway="g", ocpp_version="2.0.1",
            opened_at=ago[120],
        )  # fmt: skip
    for minutes, status in ((120, "available"), (90, "occupied"), (20, "available")):
        speaker.status(status, at=ago[minutes], received_at=ago[minutes])
    number = speaker.start(at=ago[80])[0].transaction_number
    speaker.stop(number=number, at=ago[30], received_at=ago[30])
    with tenant_scope(speaker.tenant_id):
        Station.objects.filter(pk=speaker.station.pk).update(
            online=True, last_seen_at=timezone.now(), epoch=1
        )
        station = Station.objects.select_related("site").get(pk=speaker.station.pk)
        lane = health.picture(station, "1", timezone.now()).rows[1]
    told = [(part.status, round(part.length.total_seconds() / 60)) for part in lane.parts[-5:]]
    assert told == [
        ("available", 30),
        ("occupied", 10),
        ("charging", 50),
        ("occupied", 10),
        ("available", 20),
    ]


def test_what_a_station_told_is_said_in_the_readers_language(speaker: Speaker) -> None:
    told = {
        "Security event: TamperDetectionActivated": "Sicherheitsereignis: Gehäuse geöffnet oder manipuliert",
        "Log: Uploaded": "Protokoll: wurde hochgeladen",
        "Error: CableCoolingFluid#2.Level is 18": "Fehler: CableCoolingFluid#2.Level ist 18",
        "Over: CoolingSystem.FanSpeed is 1240": "Vorbei: CoolingSystem.FanSpeed ist 1240",
        "The lid is open: please close": "The lid is open: please close",
        "Firmware: MakersOwnWord": "Firmware: MakersOwnWord",
    }
    now = timezone.now()
    with tenant_scope(speaker.tenant_id), override("de"):
        for text in told:
            StationEvent.objects.create(
                tenant_id=speaker.tenant_id, station=speaker.station, kind="x", text=text, occurred_at=now,
                received_at=now,
            )  # fmt: skip
        assert {one.text for one in history.of_station(speaker.station)} == set(told.values())
        Command.objects.create(
            tenant_id=speaker.tenant_id, station=speaker.station, kind="reset", origin_kind="task",
            origin_label="Local lists", expires_at=now,
        )  # fmt: skip
        assert any("Lokale Listen" in one.text for one in history.of_station(speaker.station))


def test_all_that_acts_by_itself_has_its_words() -> None:
    root = Path(__file__).parents[2]
    found = {
        label
        for folder in ("stations", "portal", "tenants", "billing", "fleets", "cpo")
        for file in (root / folder).rglob("*.py")
        for label in re.findall(r'\bsystem\("([^"]+)"\)', file.read_text())
    }
    assert found - {"Meike Claasen", "bench"} == set(SYSTEM)
