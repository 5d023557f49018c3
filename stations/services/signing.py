"""Certificates of stations: asked for, checked, signed, handed over, renewed, taken back (A02, A03)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from cryptography import x509
from django.db.models import Exists, OuterRef
from django.utils import timezone

from stations import live, pki
from stations.models import (
    CHANGE_OPEN,
    Approval,
    Authority,
    Command,
    CommandKind,
    CommandState,
    Evse,
    ProfileChange,
    SigningRequest,
    SigningState,
    SigningUse,
    Station,
    StationCertificate,
)
from stations.neutral import SignAnswer, SignRequest
from stations.services import authority, commands
from stations.services.stations import close_socket, locked
from tenants.errors import Conflict, DomainError, Invalid
from tenants.permissions import Actor, Permission, system
from tenants.services import audit, facts

MOST_AN_HOUR = 6  # requests of one station; more are refused unread
MOST_TRIES = 3  # of handing a certificate over
WAITS_SECONDS = 86_400
ASKED_WITHIN = timedelta(hours=24)
REASONS = tuple(pki.REASONS)
_US = system("Certificate authority")


def receive(*, tenant_id: int, requests: Sequence[SignRequest]) -> list[SignAnswer]:
    """SignCertificate. Accepted: we look at it; the certificate follows by a command (A02.FR.05)."""
    return [_receive(tenant_id, request) for request in requests]


def _receive(tenant_id: int, asked: SignRequest) -> SignAnswer:
    station = locked(tenant_id=tenant_id, station_id=asked.station_id)
    recent = SigningRequest.objects.filter(
        tenant_id=tenant_id, station=station, received_at__gt=timezone.now() - timedelta(hours=1)
    )
    if recent.count() >= MOST_AN_HOUR:
        return SignAnswer(False, "TooMany", f"More than {MOST_AN_HOUR} requests within an hour.")
    row = SigningRequest(
        tenant_id=tenant_id, station=station, use=asked.use, csr=asked.csr[:5500].replace("\0", ""),
        request_id=asked.request_id, root_hash=asked.root_hash, received_at=asked.received_at,
    )  # fmt: skip
    try:
        wish = pki.wish(asked.csr)
        row.common_name, row.key = wish.common_name[:200], wish.key
        _check(station, row, wish)
    except Invalid as error:
        row.state, row.detail, row.decided_at = SigningState.REFUSED, str(error)[:300], timezone.now()
        row.decided_by = _US.label
        row.save()
        _tell(row)
        return SignAnswer(False, "InvalidCSR", str(error))
    # A newer request of the same kind takes the place of one that still waits.
    SigningRequest.objects.filter(
        tenant_id=tenant_id, station=station, use=row.use, state=SigningState.PENDING
    ).update(state=SigningState.REFUSED, detail="A newer request came.", decided_at=timezone.now())
    row.detail = _why_wait(station, row, wish)
    row.save()
    if not row.detail:
        try:
            _sign(row, _US)
        except DomainError as error:
            row.detail = str(error)[:300]
            row.save(update_fields=["detail"])
    _tell(row)
    return SignAnswer(True)


def _check(station: Station, row: SigningRequest, wish: pki.Wish) -> None:
    """What nobody could approve. A02.FR.11, A00.FR.404: the subject is the station's."""
    if row.use == SigningUse.STATION and wish.common_name != station.identity:
        raise Invalid(
            f"The request is for {wish.common_name[:60] or 'nobody'}; this station is {station.identity}."
        )
    if row.use != SigningUse.STATION:
        evses = Evse.objects.filter(tenant_id=station.tenant_id, station=station).exclude(evse_id="")
        names = {station.identity, station.serial_number, *evses.values_list("evse_id", flat=True)} - {""}
        if wish.common_name not in names:
            raise Invalid(f"The request is for {wish.common_name[:60] or 'nobody'}, not for this station.")
    for old in StationCertificate.objects.filter(
        tenant_id=station.tenant_id, station=station, revocation_reason="key_compromise"
    )[:50]:
        if pki.one(old.pem).public_key() == wish.request.public_key():
            raise Invalid("The request uses a key again that was given up as compromised.")


def _why_wait(station: Station, row: SigningRequest, wish: pki.Wish) -> str:
    """Why a person must look at this request; empty: sign it."""
    policy = authority.policy(station.tenant_id)
    signer = authority.current(station.tenant_id, _use_of(row))
    if signer is None and row.use != SigningUse.STATION:
        return "There is no V2G authority yet. Add one under Security, Authority."
    if signer is not None and not signer.key:
        return f"{signer.name} signs elsewhere: export the request and bring the certificate."
    if policy.approval == Approval.MANUAL:
        return "Each request is approved by a person here."
    ours = authority.organisation(station.tenant_id)
    if wish.organisation not in ("", ours):
        return f"It names the organisation {wish.organisation[:60]}; the certificate will say {ours}."
    if not _expected(station, row.use, policy.renew_days):
        return "Nobody asked the station for it, and it holds no certificate that must be renewed."
    return ""


def _use_of(row: SigningRequest) -> str:
    """Authorities are for logging in or for ISO 15118; the latter's editions share theirs."""
    return SigningUse.STATION if row.use == SigningUse.STATION else SigningUse.V2G


def _asked(station: Station, *messages: str) -> str:
    """Which of these requests for a certificate somebody triggered last, within a day; empty: none."""
    found = Command.objects.filter(
        tenant_id=station.tenant_id, station=station, kind__in=_TRIGGERS, arguments__message__in=messages,
        created_at__gt=timezone.now() - ASKED_WITHIN,
    )  # fmt: skip
    newest = found.order_by("-id").first()
    return str(newest.arguments["message"]) if newest else ""


def _expected(station: Station, use: str, renew_days: int) -> bool:
    """Whether we asked for it, a change of profile needs it, or a certificate is due for renewal (A02, A03)."""
    now = timezone.now()
    mine = {"tenant_id": station.tenant_id, "station": station}
    rising = ProfileChange.objects.filter(**mine, state__in=CHANGE_OPEN, to_profile=3)
    if _asked(station, *_ASKS[use]) or (use == SigningUse.STATION and rising.exists()):
        return True
    newest = StationCertificate.objects.filter(**mine, use=use, revoked_at=None).first()
    return newest is not None and newest.not_after < now + timedelta(days=renew_days)


def _sign(row: SigningRequest, actor: Actor) -> None:
    """Make the certificate and hand it over."""
    station, policy = row.station, authority.policy(row.tenant_id)
    if row.use == SigningUse.STATION:
        issuer: Authority | None = authority.ensure(row.tenant_id)
    else:
        issuer = authority.current(row.tenant_id, _use_of(row))
    if issuer is None:
        raise Conflict("There is no V2G authority yet. Add one under Security, Authority.")
    if issuer.not_after <= timezone.now():
        raise Conflict(f"{issuer.name} has expired. Enter another authority under Security, Authority.")
    made = pki.issue(
        request=pki.wish(row.csr).request, common_name=row.common_name,
        organisation=authority.organisation(row.tenant_id), days=policy.certificate_days,
        issuer=authority.signer(issuer), crl_url=authority.crl_url(issuer),
        logs_in=row.use == SigningUse.STATION, towards_cars=row.use != SigningUse.STATION or _is_for_both(row),
    )  # fmt: skip
    _hand_over(row, _keep(station, issuer, made, row.use), actor)


def _keep(
    station: Station, issuer: Authority, certificate: x509.Certificate, use: str = SigningUse.STATION
) -> StationCertificate:
    return StationCertificate.objects.create(
        tenant_id=station.tenant_id, station=station, use=use, authority=issuer, serial=pki.serial(certificate),
        subject=pki.name(certificate), key=pki.strong(certificate.public_key()), pem=pki.pem(certificate),
        fingerprint=pki.fingerprint(certificate), not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )  # fmt: skip


def _hand_over(row: SigningRequest, certificate: StationCertificate, actor: Actor) -> None:
    row.certificate, row.state, row.detail = certificate, SigningState.SIGNED, ""
    row.decided_by, row.decided_at = actor.label[:120], timezone.now()
    _send(row)
    facts.publish(
        tenant_id=row.tenant_id, kind="certificate.issued", subject_type="stationcertificate",
        subject_id=certificate.pk,
        payload={"certificate": certificate.pk, "station": row.station_id, "serial": certificate.serial},
    )  # fmt: skip
    audit.record(
        tenant_id=row.tenant_id, actor=actor, action="certificate.sign", subject=row.station,
        site_id=row.station.site_id,
        detail={"serial": certificate.serial, "until": certificate.not_after.isoformat(), "use": row.use},
    )  # fmt: skip


def _send(row: SigningRequest) -> None:
    if row.certificate is None:
        raise LookupError("nothing was signed")
    chain = row.certificate.pem + row.certificate.authority.pem + row.certificate.authority.above
    # A02: a certificate for both connections goes back without a type, as its request came.
    use = "both" if _is_for_both(row) else row.use
    arguments = {"chain": chain, "use": use, "request_id": row.request_id}
    row.tries += 1
    row.command = commands.request_command(
        tenant_id=row.tenant_id, station_id=row.station_id, kind=CommandKind.SEND_CERTIFICATE,
        arguments={name: value for name, value in arguments.items() if value is not None}, actor=_US,
        expires_in_seconds=WAITS_SECONDS,
    )  # fmt: skip
    row.save()


def _is_for_both(row: SigningRequest) -> bool:
    """Whether the station was asked for one certificate to log in and to show cars."""
    return row.use == SigningUse.STATION and _asked(row.station, ASK, ASK_COMBINED) == ASK_COMBINED


def handed_over(*, command: Command) -> None:
    """Follows the command: the station took its certificate, or did not."""
    row = (
        SigningRequest.objects.select_for_update(of=("self",))
        .select_related("station", "certificate")
        .filter(tenant_id=command.tenant_id, command=command, state=SigningState.SIGNED)
        .first()
    )
    if row is None or row.certificate is None:
        return
    if command.state == CommandState.ACCEPTED:
        row.state, row.detail = SigningState.INSTALLED, ""
        row.certificate.installed_at = command.settled_at
        row.certificate.save(update_fields=["installed_at"])
    elif command.state in (CommandState.TIMED_OUT, CommandState.EXPIRED) and row.tries < MOST_TRIES:
        _send(row)
        return
    else:
        row.state = SigningState.FAILED
        row.detail = command.detail or f"The station answered {command.answer or command.state}."
    row.save(update_fields=["state", "detail"])
    _tell(row)
    _settle_change(row)


def _settle_change(row: SigningRequest) -> None:
    """A change to profile 3 waits for the certificate to log in by, and for no other."""
    if row.use == SigningUse.STATION:
        from stations.services import security_profiles

        security_profiles.certificate_settled(
            station=row.station, installed=row.state == SigningState.INSTALLED, why=row.detail
        )


# --- decided by people


def approve(*, row: SigningRequest, actor: Actor) -> SigningRequest:
    """Sign a request that waits. Conflict where it does not, or where the authority signs elsewhere."""
    actor.require(Permission.STATION_CONFIGURE, site_id=row.station.site_id)
    row = _waiting(row)
    _sign(row, actor)
    _tell(row)
    return row


def refuse(*, row: SigningRequest, actor: Actor, reason: str = "") -> SigningRequest:
    """Do not sign a request that waits. A change of profile that needs it fails by this."""
    actor.require(Permission.STATION_CONFIGURE, site_id=row.station.site_id)
    locked(tenant_id=row.tenant_id, station_id=row.station_id)  # before its requests, as where they come in
    row = _waiting(row)
    row.state, row.detail = SigningState.REFUSED, (reason.strip() or "Refused.")[:300]
    row.decided_by, row.decided_at = actor.label[:120], timezone.now()
    row.save()
    audit.record(
        tenant_id=row.tenant_id, actor=actor, action="certificate.refuse", subject=row.station,
        site_id=row.station.site_id, detail={"request": row.pk, "reason": row.detail},
    )  # fmt: skip
    _tell(row)
    _settle_change(row)
    return row


def bring(*, row: SigningRequest, actor: Actor, certificate: str) -> SigningRequest:
    """Hand over what was signed elsewhere. Invalid, in words, for what does not answer this request."""
    actor.require(Permission.STATION_CONFIGURE, site_id=row.station.site_id)
    row = _waiting(row)
    found = pki.one(certificate)
    if found.public_key() != pki.wish(row.csr).request.public_key():
        raise Invalid(fields={"certificate": "This certificate is not for the key of this request."})
    if pki.common_name(found.subject) != row.common_name:
        raise Invalid(fields={"certificate": f"This certificate is not for {row.common_name}."})
    if not found.not_valid_before_utc <= timezone.now() < found.not_valid_after_utc:
        raise Invalid(fields={"certificate": "This certificate is not valid today."})
    if row.use == SigningUse.STATION and (pki.is_authority(found) or not pki.for_clients(found)):
        raise Invalid(fields={"certificate": "This certificate is not made for logging in."})
    issuer = next(
        (
            one
            for one in authority.trusted(row.tenant_id, _use_of(row))
            if pki.issued_by(found, pki.one(one.pem))
        ),
        None,
    )
    if issuer is None:
        raise Invalid(fields={"certificate": "None of the authorities entered here signed this certificate."})
    if StationCertificate.objects.filter(
        tenant_id=row.tenant_id, authority=issuer, serial=pki.serial(found)
    ).exists():
        raise Conflict("This certificate was handed over before.")
    _hand_over(row, _keep(row.station, issuer, found, row.use), actor)
    _tell(row)
    return row


def _waiting(row: SigningRequest) -> SigningRequest:
    found = (
        SigningRequest.objects.select_for_update(of=("self",))
        .select_related("station")
        .filter(tenant_id=row.tenant_id, pk=row.pk, state=SigningState.PENDING)
        .first()
    )
    if found is None:
        raise Conflict("This request was decided already.")
    return found


# --- renewed and taken back

ASK, ASK_COMBINED = "sign_certificate", "sign_combined_certificate"
_ASKS: dict[str, tuple[str, ...]] = {  # what brings a request for each use
    SigningUse.STATION: (ASK, ASK_COMBINED),
    SigningUse.V2G: ("sign_v2g_certificate", ASK_COMBINED),
    SigningUse.V2G20: ("sign_v2g20_certificate",),
}
_TRIGGERS = ("trigger", "extended_trigger")


def trigger_kind(station: Station) -> str:
    """1.6 asks for it by a message of the security whitepaper."""
    old = station.ocpp_version in ("", "1.6")
    return CommandKind.EXTENDED_TRIGGER if old else CommandKind.TRIGGER


def ask(*, station: Station, actor: Actor, use: str = SigningUse.STATION) -> Command:
    """Have the station make a key and ask for a certificate (A02; 1.6: ExtendedTriggerMessage, and for one towards cars
    the message of Plug & Charge)."""
    kind = trigger_kind(station) if use == SigningUse.STATION else CommandKind.TRIGGER
    return commands.request_command(
        tenant_id=station.tenant_id, station_id=station.pk, kind=kind, arguments={"message": _ASKS[use][0]},
        actor=actor, expires_in_seconds=WAITS_SECONDS,
    )  # fmt: skip


def due(tenant_id: int) -> list[StationCertificate]:
    """Certificates that end soon, of stations that are online, have no newer one of the use and were not asked for one
    within a day."""
    policy = authority.policy(tenant_id)
    now = timezone.now()
    found = StationCertificate.objects.filter(
        tenant_id=tenant_id, revoked_at=None, station__archived_at=None, station__online=True,
        not_after__lt=now + timedelta(days=policy.renew_days), not_after__gt=now,
    ).select_related("station")  # fmt: skip
    same = StationCertificate.objects.filter(
        tenant_id=tenant_id, station_id=OuterRef("station_id"), use=OuterRef("use")
    )
    # Whatever came of it: what is signed by an authority that ends soon itself is due at once.
    asked = same.filter(renewal_asked_at__gte=now - ASKED_WITHIN)
    lasting = same.filter(revoked_at=None, not_after__gte=now + timedelta(days=policy.renew_days))
    found = found.exclude(Exists(lasting)).exclude(Exists(asked))
    return list(found.order_by("not_after")[:500])


def renew_due(*, tenant_id: int) -> int:
    """Ask stations that are online for a new certificate before theirs ends. Once a day each."""
    asked = set()
    for certificate in due(tenant_id):
        key = certificate.station_id, certificate.use
        if key not in asked:
            ask(station=certificate.station, actor=system("Renewal of certificates"), use=certificate.use)
            certificate.renewal_asked_at = timezone.now()
            certificate.save(update_fields=["renewal_asked_at"])
            asked.add(key)
    return len(asked)


def revoke(
    *, certificate: StationCertificate, actor: Actor, reason: str = "unspecified"
) -> StationCertificate:
    """Take a certificate back. A socket that it opened is closed; it stands in the revocation list from now on."""
    station = certificate.station
    actor.require(Permission.STATION_CONFIGURE, site_id=station.site_id)
    if reason not in REASONS:
        raise Invalid(fields={"reason": f"Choose one of {', '.join(REASONS)}."})
    # Held: who comes by it in this moment is online already, or finds it taken back (`security_profiles.arrived`).
    station = locked(tenant_id=station.tenant_id, station_id=station.pk)
    changed = StationCertificate.objects.filter(
        tenant_id=certificate.tenant_id, pk=certificate.pk, revoked_at=None
    ).update(revoked_at=timezone.now(), revocation_reason=reason)
    if not changed:
        raise Conflict("This certificate was taken back already.")
    certificate.refresh_from_db()
    if station.online and station.effective_profile == 3 and certificate.last_used_at:
        close_socket(station)
    audit.record(
        tenant_id=certificate.tenant_id, actor=actor, action="certificate.revoke", subject=station,
        site_id=station.site_id, detail={"serial": certificate.serial, "reason": reason},
    )  # fmt: skip
    live.publish(
        station.tenant_id, kind="security", station_id=station.pk, site_id=station.site_id,
        data={"id": certificate.pk},
    )  # fmt: skip
    return certificate


def _tell(row: SigningRequest) -> None:
    live.publish(
        row.tenant_id,
        kind="security",
        station_id=row.station_id,
        site_id=row.station.site_id,
        data={"id": row.pk},
    )


@dataclass(frozen=True, slots=True)
class Shown:
    """A certificate by which somebody claims to be this station. `der` as the handshake or a trusted proxy gave it."""

    station_id: int
    identity: str
    der: bytes


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether it proves that; `reason` in words if not."""

    certificate_id: int | None
    reason: str = ""


def examine(*, tenant_id: int, requests: Sequence[Shown]) -> list[Proof]:
    """Judge certificates at the door (A00.FR.414 to 429): of this company's authority, for this station, valid now, not
    taken back."""
    issuers = [(one, pki.one(one.pem)) for one in authority.trusted(tenant_id)]
    return [_examine(tenant_id, shown, issuers) for shown in requests]


def _examine(tenant_id: int, shown: Shown, issuers: list[tuple[Authority, x509.Certificate]]) -> Proof:
    try:
        found = pki.from_der(shown.der)
    except Invalid:
        return Proof(None, "The certificate cannot be read.")
    now = timezone.now()
    issuer = next((one for one, certificate in issuers if pki.issued_by(found, certificate)), None)
    if issuer is None:
        return Proof(None, f"No authority of this company signed it ({found.issuer.rfc4514_string()[:100]}).")
    if pki.common_name(found.subject) != shown.identity:
        return Proof(None, f"It is for {pki.common_name(found.subject)[:60] or 'nobody'}.")
    if not found.not_valid_before_utc <= now < found.not_valid_after_utc:
        return Proof(None, f"It was valid until {found.not_valid_after_utc:%d %B %Y, %H:%M} UTC.")
    if not pki.for_clients(found) or pki.is_authority(found):
        return Proof(None, "It is not made for logging in.")
    row = StationCertificate.objects.filter(
        tenant_id=tenant_id, authority=issuer, serial=pki.serial(found)
    ).first()
    if row is None:
        return _first_seen(tenant_id, shown, issuer, found)
    if row.revoked_at:
        return Proof(None, f"It was taken back on {row.revoked_at:%d %B %Y}.")
    if row.station_id != shown.station_id or row.use != SigningUse.STATION:
        return Proof(None, "It was made for another station.")
    return Proof(row.pk)


def _first_seen(tenant_id: int, shown: Shown, issuer: Authority, found: x509.Certificate) -> Proof:
    """One that an authority of the company's own PKI signed without us, in the factory perhaps: entered, so that it can
    be seen and taken back. All that we signed is known."""
    if issuer.kind == "issuing":
        return Proof(None, "It is not among those that were issued here.")
    ours = authority.organisation(tenant_id)
    if pki.organisation(found.subject) != ours:
        return Proof(
            None, f"It names the organisation {pki.organisation(found.subject)[:60]!r}, not {ours!r}."
        )
    try:
        pki.strong(found.public_key())
    except Invalid as error:
        return Proof(None, str(error))
    station = Station.objects.get(tenant_id=tenant_id, pk=shown.station_id)
    return Proof(_keep(station, issuer, found).pk)
