"""Security: policy, authorities, certificates and requests, roots, rollouts, profiles, passwords, events."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from stations import visible
from stations import visible_security as seen
from stations.api.common import BelowStation
from stations.models import (
    Approval,
    Authority,
    InstalledCertificate,
    PasswordChange,
    ProfileChange,
    Rollout,
    SecurityEvent,
    SecurityPolicy,
    SigningRequest,
    SigningState,
    SigningUse,
    StationCertificate,
    TrustAnchor,
)
from stations.models.journal import Severity
from stations.services import (
    authority,
    expiry,
    passwords,
    rollouts,
    security_events,
    security_profiles,
    signing,
    trust,
)
from stations.services.stations import PASSWORD_HINT
from tenants.permissions import Permission
from tenants.rest import Filters, IdFilter, In, Out, TenantView, Verb

PEM_CHARACTERS = 20_000


def _pem(**more: Any) -> serializers.CharField:
    return serializers.CharField(max_length=PEM_CHARACTERS, trim_whitespace=False, help_text="PEM", **more)


# --- policy and authorities


class PolicyOut(Out):
    class Meta:
        model = SecurityPolicy
        fields = ["approval", "certificate_days", "renew_days", "organisation", "transition_minutes"]


class PolicyIn(In):
    approval = serializers.ChoiceField(Approval.choices, required=False)
    certificate_days = serializers.IntegerField(min_value=1, max_value=3650, required=False)
    renew_days = serializers.IntegerField(min_value=1, max_value=365, required=False)
    transition_minutes = serializers.IntegerField(min_value=1, max_value=10_080, required=False)
    organisation = serializers.CharField(max_length=64, allow_blank=True, required=False)


class Policy(TenantView):
    """How requests of stations are decided, and how long things last."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=PolicyOut, says="Read the security policy"),
        "PATCH": Verb(
            Permission.TENANT_EDIT, takes=PolicyIn, gives=PolicyOut, says="Change the security policy"
        ),
    }

    def get(self, request: Request) -> Response:
        return self.answer(authority.policy(self.tenant_id))

    def patch(self, request: Request) -> Response:
        changed = authority.set_policy(tenant_id=self.tenant_id, actor=self.actor, changes=self.given())
        return self.answer(changed)


class AuthorityOut(Out):
    crl_url = serializers.SerializerMethodField()
    signs_here = serializers.SerializerMethodField()

    class Meta:
        model = Authority
        fields = [
            "id", "kind", "use", "parent_id", "name", "pem", "subject", "serial", "fingerprint", "not_before",
            "not_after", "active", "created_at", "retired_at", "crl_url", "signs_here",
        ]  # fmt: skip

    def get_crl_url(self, row: Authority) -> str:
        return authority.crl_url(row)

    def get_signs_here(self, row: Authority) -> bool:
        return bool(row.key)


class AuthorityIn(In):
    chain = _pem(required=False)
    key = serializers.CharField(
        max_length=10_000, required=False, help_text="PEM; left out: it signs elsewhere"
    )
    password = serializers.CharField(max_length=200, required=False, help_text="Of the key")
    use = serializers.ChoiceField([SigningUse.STATION, SigningUse.V2G], required=False)


class AuthorityList(TenantView):
    """Who signs stations' certificates. A POST without a chain makes a new authority below the company's own root."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=AuthorityOut, many=True, says="List authorities"),
        "POST": Verb(
            Permission.TENANT_EDIT,
            takes=AuthorityIn,
            gives=AuthorityOut,
            status=201,
            says="Change the authority",
        ),
    }

    def rows(self) -> QuerySet[Authority]:
        return seen.of_company(Authority, self.tenant_id, self.actor)

    def get(self, request: Request) -> Response:
        return self.page()

    def post(self, request: Request) -> Response:
        given = self.given()
        who: dict[str, Any] = {"tenant_id": self.tenant_id, "actor": self.actor}
        made = authority.delegate(**who, **given) if "chain" in given else authority.create(**who)
        return self.answer(made)


# --- certificates and requests


class CertificateOut(Out):
    state = serializers.CharField()

    class Meta:
        model = StationCertificate
        fields = [
            "id", "station_id", "use", "authority_id", "serial", "subject", "key", "fingerprint", "pem", "state",
            "not_before", "not_after", "issued_at", "installed_at", "first_used_at", "last_used_at", "revoked_at",
            "revocation_reason",
        ]  # fmt: skip


class CertificateFilter(Filters):
    station_id = IdFilter()
    serial = django_filters.CharFilter(lookup_expr="iexact")
    use = django_filters.ChoiceFilter(choices=SigningUse.choices)
    revoked = django_filters.BooleanFilter("revoked_at", lookup_expr="isnull", exclude=True)
    expires_before = django_filters.IsoDateTimeFilter("not_after", lookup_expr="lt")


class RevokeIn(In):
    reason = serializers.ChoiceField(signing.REASONS, required=False)


class CertificateList(TenantView):
    """Certificates of stations, newest first."""

    verbs = {
        "GET": Verb(
            Permission.STATION_VIEW, gives=CertificateOut, many=True, says="List station certificates"
        )
    }
    filterset_class = CertificateFilter

    def rows(self) -> QuerySet[StationCertificate]:
        return seen.certificates(self.tenant_id, self.actor)

    def get(self, request: Request) -> Response:
        return self.page()


class CertificateOne(TenantView):
    """A certificate of a station."""

    verbs = {"GET": Verb(Permission.STATION_VIEW, gives=CertificateOut, says="Read a station certificate")}

    def get(self, request: Request, certificate_id: int) -> Response:
        return self.answer(self.one(seen.certificates(self.tenant_id, self.actor), pk=certificate_id))


class CertificateRevoke(TenantView):
    """Take a certificate back. The socket that it opened is closed."""

    verbs = {
        "POST": Verb(
            Permission.STATION_CONFIGURE, takes=RevokeIn, gives=CertificateOut, says="Revoke a certificate"
        )
    }

    def post(self, request: Request, certificate_id: int) -> Response:
        found = self.one(seen.certificates(self.tenant_id, self.actor), pk=certificate_id)
        return self.answer(signing.revoke(certificate=found, actor=self.actor, **self.given()))


class SigningOut(Out):
    class Meta:
        model = SigningRequest
        fields = [
            "id", "station_id", "use", "csr", "common_name", "key", "request_id", "root_hash", "state", "detail",
            "certificate_id", "command_id", "decided_by", "received_at", "decided_at",
        ]  # fmt: skip


class SigningFilter(Filters):
    station_id = IdFilter()
    state = django_filters.ChoiceFilter(choices=SigningState.choices)


class RefuseIn(In):
    reason = serializers.CharField(max_length=200, required=False)


class BringIn(In):
    certificate = _pem()


class SigningList(TenantView):
    """Requests of stations for a certificate, with their CSRs for whoever signs elsewhere."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=SigningOut, many=True, says="List certificate requests")
    }
    filterset_class = SigningFilter

    def rows(self) -> QuerySet[SigningRequest]:
        return seen.requests(self.tenant_id, self.actor)

    def get(self, request: Request) -> Response:
        return self.page()


class SigningOne(TenantView):
    """A request for a certificate."""

    verbs = {"GET": Verb(Permission.STATION_VIEW, gives=SigningOut, says="Read a certificate request")}

    def get(self, request: Request, signing_id: int) -> Response:
        return self.answer(self.one(seen.requests(self.tenant_id, self.actor), pk=signing_id))


class SigningApprove(TenantView):
    """Sign a request that waits, and hand the certificate over."""

    verbs = {"POST": Verb(Permission.STATION_CONFIGURE, takes=In, gives=SigningOut, says="Approve a request")}

    def post(self, request: Request, signing_id: int) -> Response:
        self.given()
        row = self.one(seen.requests(self.tenant_id, self.actor), pk=signing_id)
        return self.answer(signing.approve(row=row, actor=self.actor))


class SigningRefuse(TenantView):
    """Do not sign a request that waits."""

    verbs = {
        "POST": Verb(Permission.STATION_CONFIGURE, takes=RefuseIn, gives=SigningOut, says="Refuse a request")
    }

    def post(self, request: Request, signing_id: int) -> Response:
        row = self.one(seen.requests(self.tenant_id, self.actor), pk=signing_id)
        return self.answer(signing.refuse(row=row, actor=self.actor, **self.given()))


class SigningBring(TenantView):
    """Bring the certificate that was signed elsewhere for a request."""

    verbs = {
        "POST": Verb(
            Permission.STATION_CONFIGURE, takes=BringIn, gives=SigningOut, says="Bring a certificate"
        )
    }

    def post(self, request: Request, signing_id: int) -> Response:
        row = self.one(seen.requests(self.tenant_id, self.actor), pk=signing_id)
        return self.answer(signing.bring(row=row, actor=self.actor, **self.given()))


# --- roots


class RootOut(Out):
    class Meta:
        model = TrustAnchor
        fields = [
            "id", "use", "name", "pem", "subject", "serial", "fingerprint", "not_before", "not_after", "origin",
            "created_at", "archived_at",
        ]  # fmt: skip


class RootIn(In):
    use = serializers.ChoiceField([use.value for use in trust.INSTALLABLE])
    certificate = _pem()
    name = serializers.CharField(max_length=120, required=False)


class RootFilter(Filters):
    use = django_filters.CharFilter()
    fingerprint = django_filters.CharFilter(lookup_expr="iexact")


class RootList(TenantView):
    """Root certificates that can be installed on stations."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=RootOut, many=True, says="List roots"),
        "POST": Verb(
            Permission.STATION_CONFIGURE, takes=RootIn, gives=RootOut, status=201, says="Keep a root"
        ),
    }
    filterset_class = RootFilter

    def rows(self) -> QuerySet[TrustAnchor]:
        return seen.of_company(TrustAnchor, self.tenant_id, self.actor).order_by("id")

    def get(self, request: Request) -> Response:
        return self.page()

    def post(self, request: Request) -> Response:
        return self.answer(trust.add_anchor(tenant_id=self.tenant_id, actor=self.actor, **self.given()))


class RootOne(TenantView):
    """A root. Deleting it here ends its being offered; stations keep it."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=RootOut, says="Read a root"),
        "DELETE": Verb(Permission.STATION_CONFIGURE, status=204, says="No longer offer a root"),
    }

    def rows(self) -> QuerySet[TrustAnchor]:
        return seen.of_company(TrustAnchor, self.tenant_id, self.actor)

    def get(self, request: Request, anchor_id: int) -> Response:
        return self.answer(self.one(self.rows(), pk=anchor_id))

    def delete(self, request: Request, anchor_id: int) -> Response:
        trust.archive_anchor(anchor=self.one(self.rows(), pk=anchor_id), actor=self.actor)
        return self.answer()


class RolloutOut(Out):
    counts = serializers.SerializerMethodField()

    class Meta:
        model = Rollout
        fields = [
            "id", "anchor_id", "remove", "state", "started_by", "created_at", "deadline", "ended_at", "counts",
        ]  # fmt: skip

    def get_counts(self, row: Rollout) -> dict[str, int]:
        return rollouts.counts(row)


class RolloutIn(In):
    anchor_id = serializers.IntegerField()
    station_ids = serializers.ListField(
        child=serializers.IntegerField(),
        required=False,
        max_length=20_000,
        help_text="Left out: all stations",
    )
    site_id = serializers.IntegerField(required=False, help_text="All stations of this site")
    remove = serializers.BooleanField(required=False, default=False)


class RolloutList(TenantView):
    """Roots on their way to many stations, or away from them."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=RolloutOut, many=True, says="List rollouts"),
        "POST": Verb(
            Permission.STATION_CONFIGURE,
            takes=RolloutIn,
            gives=RolloutOut,
            status=201,
            says="Roll a root out",
        ),
    }

    def rows(self) -> QuerySet[Rollout]:
        return seen.of_company(Rollout, self.tenant_id, self.actor)

    def get(self, request: Request) -> Response:
        return self.page()

    def post(self, request: Request) -> Response:
        given = self.given()
        anchor = self.one(TrustAnchor.objects.filter(tenant_id=self.tenant_id), pk=given["anchor_id"])
        stations = visible.stations(self.tenant_id, self.actor)
        if "station_ids" in given:
            stations = stations.filter(pk__in=given["station_ids"])
        if "site_id" in given:
            stations = stations.filter(site_id=given["site_id"])
        made = rollouts.start(
            anchor=anchor, actor=self.actor, stations=list(stations), remove=given["remove"]
        )
        return self.answer(made)


class RolloutOne(TenantView):
    """A rollout with how far it got."""

    verbs = {"GET": Verb(Permission.STATION_VIEW, gives=RolloutOut, says="Read a rollout")}

    def get(self, request: Request, rollout_id: int) -> Response:
        return self.answer(self.one(seen.of_company(Rollout, self.tenant_id, self.actor), pk=rollout_id))


class RolloutCancel(TenantView):
    """Stop a rollout. Stations that were not asked yet are left as they are."""

    verbs = {"POST": Verb(Permission.STATION_CONFIGURE, takes=In, gives=RolloutOut, says="Stop a rollout")}

    def post(self, request: Request, rollout_id: int) -> Response:
        self.given()
        row = self.one(
            Rollout.objects.filter(tenant_id=self.tenant_id).select_related("anchor"), pk=rollout_id
        )
        return self.answer(rollouts.cancel(rollout=row, actor=self.actor))


# --- events, and what expires


class SecurityEventOut(Out):
    class Meta:
        model = SecurityEvent
        fields = [
            "id", "station_id", "type", "severity", "critical", "tech_info", "source", "count", "occurred_at",
            "received_at", "acknowledged_at", "acknowledged_by",
        ]  # fmt: skip


class SecurityEventFilter(Filters):
    station_id = IdFilter()
    type = django_filters.CharFilter(lookup_expr="iexact")
    severity = django_filters.ChoiceFilter(choices=Severity.choices)
    source = django_filters.CharFilter()
    acknowledged = django_filters.BooleanFilter("acknowledged_at", lookup_expr="isnull", exclude=True)
    after = django_filters.IsoDateTimeFilter("occurred_at", lookup_expr="gte")
    before = django_filters.IsoDateTimeFilter("occurred_at", lookup_expr="lt")


class SecurityEventList(TenantView):
    """Security events of all stations, newest first, and who was refused at the gateway's door."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=SecurityEventOut, many=True, says="List security events")
    }
    filterset_class = SecurityEventFilter

    def rows(self) -> QuerySet[SecurityEvent]:
        return seen.events(self.tenant_id, self.actor)

    def get(self, request: Request) -> Response:
        return self.page()


class SecurityEventNote(TenantView):
    """Take note of an event."""

    verbs = {
        "POST": Verb(
            Permission.STATION_COMMAND, takes=In, gives=SecurityEventOut, says="Take note of an event"
        )
    }

    def post(self, request: Request, security_event_id: int) -> Response:
        self.given()
        event = self.one(seen.events(self.tenant_id, self.actor), pk=security_event_id)
        return self.answer(security_events.acknowledge(event=event, actor=self.actor))


class ExpiringOut(serializers.Serializer[Any]):
    kind = serializers.CharField(help_text="station, authority, root or gateway")
    name = serializers.CharField()
    not_after = serializers.DateTimeField()
    id = serializers.IntegerField(allow_null=True)
    station_id = serializers.IntegerField(allow_null=True)
    stations = serializers.IntegerField(help_text="That hold this root")


class ExpiringBody(serializers.Serializer[Any]):
    expiring = ExpiringOut(many=True)


class Expiring(TenantView):
    """Certificates that end within 90 days, the soonest first."""

    verbs = {"GET": Verb(Permission.STATION_VIEW, gives=ExpiringBody, says="What expires")}

    def get(self, request: Request) -> Response:
        found = expiry.expiring(tenant_id=self.tenant_id, site_ids=self.actor.site_ids)
        return self.answer({"expiring": found})


# --- of one station


class InstalledOut(Out):
    class Meta:
        model = InstalledCertificate
        fields = [
            "id", "station_id", "use", "anchor_id", "hash_algorithm", "issuer_name_hash", "issuer_key_hash", "serial",
            "children", "installed_at", "told_at",
        ]  # fmt: skip


class InstalledList(BelowStation):
    """Roots that a station holds, as far as it told. Ask it anew by the command `read_certificates`."""

    verbs = {
        "GET": Verb(
            Permission.STATION_VIEW, gives=InstalledOut, many=True, says="List installed certificates"
        )
    }

    def rows(self) -> QuerySet[InstalledCertificate]:
        return InstalledCertificate.objects.filter(tenant_id=self.tenant_id, station=self.station())

    def get(self, request: Request, station_id: int) -> Response:
        return self.page()


class SecurityProfileOut(serializers.Serializer[Any]):
    least = serializers.IntegerField(help_text="It must come by this profile at least")
    effective = serializers.IntegerField(allow_null=True, help_text="It last came by this one")
    highest = serializers.IntegerField(help_text="The best it was seen under")


class SecurityProfileIn(In):
    profile = serializers.IntegerField(min_value=1, max_value=3)
    reset = serializers.BooleanField(
        required=False, default=False, help_text="True, for owners: also below what it had"
    )


class StationProfile(BelowStation):
    """The security profile that a station must come by. To take it to a higher one, see profile-changes."""

    verbs = {
        "GET": Verb(
            Permission.STATION_VIEW, gives=SecurityProfileOut, says="Read a station's security profile"
        ),
        "PUT": Verb(
            Permission.STATION_CONFIGURE,
            takes=SecurityProfileIn,
            gives=SecurityProfileOut,
            says="Require a security profile",
        ),
    }

    def get(self, request: Request, station_id: int) -> Response:
        return self._answer()

    def put(self, request: Request, station_id: int) -> Response:
        given = self.given()
        verb = security_profiles.reset if given["reset"] else security_profiles.require
        verb(station=self.station(), actor=self.actor, profile=given["profile"])
        return self._answer()

    def _answer(self) -> Response:
        station = self.station()
        told = {
            "least": security_profiles.current(station), "effective": station.effective_profile,
            "highest": station.highest_profile,
        }  # fmt: skip
        return self.answer(told)


class SecurityProfileChangeOut(Out):
    class Meta:
        model = ProfileChange
        fields = [
            "id", "station_id", "from_profile", "to_profile", "anchor_id", "url", "slot", "state", "failed_in",
            "detail", "command_id", "started_by", "created_at", "deadline", "ended_at",
        ]  # fmt: skip


class SecurityProfileChangeIn(In):
    profile = serializers.IntegerField(min_value=1, max_value=3)
    anchor_id = serializers.IntegerField(required=False, help_text="A root to install first")
    url = serializers.CharField(
        max_length=512, required=False, help_text="OCPP 2: where the new connection leads"
    )
    slot = serializers.IntegerField(min_value=0, max_value=1000, required=False)
    interface = serializers.CharField(max_length=12, required=False)


class SecurityProfileChangeList(BelowStation):
    """A station on its way to a higher security profile, and its earlier ways."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=SecurityProfileChangeOut, many=True, says="List changes of profile"),
        "POST": Verb(
            Permission.STATION_CONFIGURE, takes=SecurityProfileChangeIn, gives=SecurityProfileChangeOut, status=201,
            says="Take a station to a higher profile",
        ),
    }  # fmt: skip

    def rows(self) -> QuerySet[ProfileChange]:
        return ProfileChange.objects.filter(tenant_id=self.tenant_id, station=self.station())

    def get(self, request: Request, station_id: int) -> Response:
        return self.page()

    def post(self, request: Request, station_id: int) -> Response:
        given = self.given()
        if "anchor_id" in given:
            anchors = TrustAnchor.objects.filter(tenant_id=self.tenant_id, archived_at=None)
            given["anchor"] = self.one(anchors, pk=given.pop("anchor_id"))
        return self.answer(security_profiles.start(station=self.station(), actor=self.actor, **given))


class SecurityProfileChangeCancel(BelowStation):
    """Give a change of profile up."""

    verbs = {
        "POST": Verb(
            Permission.STATION_CONFIGURE,
            takes=In,
            gives=SecurityProfileChangeOut,
            says="Give up a change of profile",
        )
    }

    def post(self, request: Request, station_id: int, change_id: int) -> Response:
        self.given()
        rows = ProfileChange.objects.filter(tenant_id=self.tenant_id, station=self.station())
        return self.answer(security_profiles.cancel(change=self.one(rows, pk=change_id), actor=self.actor))


class PasswordChangeOut(Out):
    class Meta:
        model = PasswordChange
        fields = ["id", "station_id", "state", "detail", "command_id", "started_by", "created_at", "ended_at"]


class PasswordChangeIn(In):
    password = serializers.CharField(
        max_length=40, required=False, trim_whitespace=False, help_text=PASSWORD_HINT
    )


class PasswordChangeList(BelowStation):
    """A station's password, changed through its own connection. The old one opens until the new one was used."""

    verbs = {
        "GET": Verb(
            Permission.STATION_VIEW, gives=PasswordChangeOut, many=True, says="List password changes"
        ),
        "POST": Verb(
            Permission.STATION_EDIT, takes=PasswordChangeIn, gives=PasswordChangeOut, status=201,
            says="Tell a station a new password",
        ),
    }  # fmt: skip

    def rows(self) -> QuerySet[PasswordChange]:
        return PasswordChange.objects.filter(tenant_id=self.tenant_id, station=self.station())

    def get(self, request: Request, station_id: int) -> Response:
        return self.page()

    def post(self, request: Request, station_id: int) -> Response:
        return self.answer(passwords.rotate(station=self.station(), actor=self.actor, **self.given()))


class Renewal(BelowStation):
    """Have a station make a new key and ask for a certificate."""

    verbs = {
        "POST": Verb(Permission.STATION_COMMAND, takes=In, status=204, says="Ask for a certificate request")
    }

    def post(self, request: Request, station_id: int) -> Response:
        self.given()
        signing.ask(station=self.station(), actor=self.actor)
        return self.answer()
