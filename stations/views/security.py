"""Security of the company's stations: profiles, certificates, roots, the authority, and what happened."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from stations import visible
from stations import visible_security as seen
from stations.models import (
    Approval,
    Authority,
    AuthorityKind,
    Rollout,
    SecurityProfile,
    SigningState,
    SigningUse,
    TrustAnchor,
)
from stations.models.journal import Severity
from stations.services import authority, expiry, rollouts, security_events, signing, trust
from tenants import queries as tenants
from tenants.errors import DomainError, NotFound
from tenants.models import Site
from tenants.pages import Column, PageRequest, PortalForm, csv_response, go, listing, page
from tenants.permissions import Permission

MOST_EXPORTED = 20_000


@page(Permission.STATION_VIEW)
def overview(request: PageRequest) -> HttpResponse:
    """How many stations are on which profile, what is under way, what expires, what happened."""
    tenant_id, actor = request.tenant.pk, request.actor
    counts = seen.by_profile(tenant_id, actor)
    total = sum(counts.values())
    profiles = [
        {"value": value, "label": SecurityProfile(value).label, "count": counts.get(value, 0)}
        for value in sorted(SecurityProfile.values, reverse=True)
    ]
    context = {
        "part": "security",
        "profiles": profiles,
        "never": counts.get(None, 0),
        "total": total,
        "changes": seen.open_changes(tenant_id, actor)[:50],
        "ended": seen.profile_changes(tenant_id, actor).exclude(ended_at=None)[:10],
        "grave": security_events.open_events(tenant_id, actor.site_ids).select_related("station")[:10],
        "waiting": seen.requests(tenant_id, actor).filter(state=SigningState.PENDING)[:10],
        "expiring": expiry.expiring(tenant_id=tenant_id, site_ids=actor.site_ids)[:12],
    }
    return render(request, "stations/security.html", context)


# --- events


@page(Permission.STATION_VIEW)
def events(request: PageRequest) -> HttpResponse:
    rows = seen.events(request.tenant.pk, request.actor)
    severity = request.GET.get("severity", "")
    if severity in Severity.values:
        rows = rows.filter(severity=severity)
    if request.GET.get("open"):
        rows = rows.filter(acknowledged_at=None)
    if text := request.GET.get("q", "").strip()[:100].replace("\0", ""):
        rows = rows.filter(type__icontains=text) | rows.filter(station__identity__icontains=text)
    if request.GET.get("format") == "csv":
        header = ["time", "station", "event", "severity", "critical", "source", "count", "detail", "noted by"]
        return csv_response(
            "security-events.csv",
            header,
            (
                [
                    row.occurred_at.isoformat(), row.station.identity, row.type, row.severity, row.critical,
                    row.source, row.count, row.tech_info, row.acknowledged_by,
                ]
                for row in rows[:MOST_EXPORTED]
            ),
        )  # fmt: skip
    context = {
        "part": "security-events",
        "listing": listing(request, rows),
        "severity": severity,
        "severities": Severity.choices,
        "any": rows.exists() or bool(request.GET),
        "grave": security_events.open_events(request.tenant.pk, request.actor.site_ids).count(),
    }
    return render(request, "stations/security_events.html", context)


@require_POST
@page(Permission.STATION_COMMAND)
def acknowledge(request: PageRequest, security_event_id: int) -> HttpResponse:
    event = seen.events(request.tenant.pk, request.actor).filter(pk=security_event_id).first()
    if event is None:
        raise NotFound
    security_events.acknowledge(event=event, actor=request.actor)
    return go(request, "security-events")


@require_POST
@page(Permission.STATION_COMMAND)
def acknowledge_all(request: PageRequest) -> HttpResponse:
    count = security_events.acknowledge_all(tenant_id=request.tenant.pk, actor=request.actor)
    text = ngettext("Took note of %(count)s event.", "Took note of %(count)s events.", count)
    messages.success(request, text % {"count": count})
    return go(request, "security-events")


# --- certificates of stations, and their requests

_COLUMNS = (
    Column("station", _("Station"), ("station__identity",)),
    Column("state", _("State")),
    Column("until", _("Valid until"), ("not_after",)),
    Column("used", _("Last used"), ("last_used_at",), narrow=False),
    Column("key", _("Key"), narrow=False),
    Column("authority", _("Signed by"), ("authority__name",), narrow=False),
)


@page(Permission.STATION_VIEW)
def certificates(request: PageRequest) -> HttpResponse:
    rows = seen.certificates(request.tenant.pk, request.actor).select_related("authority")
    now = timezone.now()
    filters: dict[str, dict[str, Any]] = {
        "valid": {"revoked_at": None, "not_after__gt": now},
        "expired": {"revoked_at": None, "not_after__lte": now},
        "revoked": {"revoked_at__isnull": False},
    }
    state = request.GET.get("state", "valid")
    rows = rows.filter(**filters.get(state, {}))
    if text := request.GET.get("q", "").strip()[:100].replace("\0", ""):
        rows = rows.filter(station__identity__icontains=text) | rows.filter(serial__istartswith=text.lower())
    context = {
        "part": "security-certificates",
        "listing": listing(request, rows, _COLUMNS),
        "state": state,
        "states": [
            ("valid", _("Valid")), ("expired", _("Expired")), ("revoked", _("Taken back")), ("all", _("All"))
        ],
        "requests": seen.requests(request.tenant.pk, request.actor)[:10],
        "reasons": signing.REASONS,
    }  # fmt: skip
    return render(request, "stations/security_certificates.html", context)


@require_POST
@page(Permission.STATION_CONFIGURE)
def revoke(request: PageRequest, certificate_id: int) -> HttpResponse:
    found = seen.certificates(request.tenant.pk, request.actor).filter(pk=certificate_id).first()
    if found is None:
        raise NotFound
    reason = request.POST.get("reason", "unspecified")
    signing.revoke(certificate=found, actor=request.actor, reason=reason)
    text = _t("The certificate of %(name)s is taken back. It opens the door no more.")
    messages.success(request, text % {"name": found.station})
    return go(request, "station-security", found.station_id)


class BringForm(PortalForm):
    certificate = forms.CharField(
        label=_("Signed certificate"),
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 8, "class": "mono"}),
        help_text=_("PEM, for exactly this request."),
    )


@page(Permission.STATION_VIEW)
def signing_request(request: PageRequest, signing_id: int) -> HttpResponse:
    """A request with its text, for whoever signs elsewhere; approve, refuse, or bring the certificate."""
    found = seen.requests(request.tenant.pk, request.actor)
    row = found.select_related("certificate", "station").filter(pk=signing_id).first()
    if row is None:
        raise NotFound
    form = BringForm(request.POST if request.POST.get("do") == "bring" else None)
    if request.method == "POST":
        request.actor.require(Permission.STATION_CONFIGURE, site_id=row.station.site_id)
        try:
            if request.POST.get("do") == "refuse":
                signing.refuse(row=row, actor=request.actor, reason=request.POST.get("reason", ""))
            elif request.POST.get("do") == "approve":
                signing.approve(row=row, actor=request.actor)
            elif form.is_valid():
                signing.bring(row=row, actor=request.actor, certificate=form.cleaned_data["certificate"])
        except DomainError as error:
            if not form.is_bound:
                messages.error(request, str(error.detail))
                return go(request, "security-request", row.pk)
            form.refused(error)
        if not form.errors:
            return go(request, "security-request", row.pk)
    signer = authority.current(request.tenant.pk, "station" if row.use == "station" else "v2g")
    context = {
        "part": "security-certificates", "row": row, "form": form, "signer": signer,
        "elsewhere": signer is not None and not signer.key,
    }  # fmt: skip
    return render(request, "stations/security_request.html", context, status=422 if form.errors else 200)


# --- roots


class RootForm(PortalForm):
    use = forms.ChoiceField(
        label=_("What stations trust it for"),
        choices=[(use.value, use.label) for use in trust.INSTALLABLE],
    )
    name = forms.CharField(label=_("Name"), max_length=120, required=False)
    certificate = forms.CharField(
        label=_("Certificate"),
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 8, "class": "mono"}),
        help_text=_("PEM, from BEGIN CERTIFICATE to END CERTIFICATE."),
    )


@page(Permission.STATION_VIEW)
def roots(request: PageRequest) -> HttpResponse:
    form = RootForm(request.POST or None)
    if request.method == "POST":
        request.actor.require(Permission.STATION_CONFIGURE)
        if form.is_valid():
            try:
                made = trust.add_anchor(tenant_id=request.tenant.pk, actor=request.actor, **form.cleaned_data)
            except DomainError as error:
                form.refused(error)
            else:
                messages.success(
                    request, _t("%(name)s is kept. Install it where it is needed.") % {"name": made}
                )
                return go(request, "security-root", made.pk)
    rows = seen.of_company(TrustAnchor, request.tenant.pk, request.actor).filter(archived_at=None)
    context = {
        "part": "security-roots", "form": form, "rows": rows.annotate(held=Count("installed")).order_by("use", "name"),
        "now": timezone.now(), "opened": bool(form.errors),
    }  # fmt: skip
    return render(request, "stations/security_roots.html", context, status=422 if form.errors else 200)


class RolloutForm(PortalForm):
    site = forms.ModelChoiceField(
        label=_("Stations"), queryset=Site.objects.none(), required=False, empty_label=_("All sites")
    )
    remove = forms.TypedChoiceField(
        label=_("What to do"),
        choices=[("no", _("Install it")), ("yes", _("Delete it"))],
        coerce=lambda text: text == "yes",
    )


@page(Permission.STATION_VIEW)
def root(request: PageRequest, anchor_id: int) -> HttpResponse:
    """A root: who holds it, and its rollouts."""
    anchor = seen.of_company(TrustAnchor, request.tenant.pk, request.actor).filter(pk=anchor_id).first()
    if anchor is None:
        raise NotFound
    form = RolloutForm(request.POST or None)
    form.fields["site"].queryset = tenants.sites(request.tenant.pk, request.actor)  # type: ignore[attr-defined]
    every = visible.stations(request.tenant.pk, request.actor)
    if request.method == "POST":
        request.actor.require(Permission.STATION_CONFIGURE)
        if form.is_valid():
            chosen = form.cleaned_data["site"]
            stations = list(every.filter(site=chosen) if chosen else every)
            try:
                rollouts.start(
                    anchor=anchor, actor=request.actor, stations=stations, remove=form.cleaned_data["remove"]
                )
            except DomainError as error:
                form.refused(error)
            else:
                return go(request, "security-root", anchor.pk)
    running = Rollout.objects.filter(tenant_id=request.tenant.pk, anchor=anchor)[:10]
    holders = every.filter(installed__anchor=anchor).distinct()
    context = {
        "part": "security-roots", "anchor": anchor, "form": form, "every": every.count(),
        "holders": holders.order_by("identity")[:200], "held": holders.count(),
        "rollouts": [_progress(rollout) for rollout in running],
    }  # fmt: skip
    return render(request, "stations/security_root.html", context, status=422 if form.errors else 200)


def _progress(rollout: Rollout) -> dict[str, Any]:
    counts = rollouts.counts(rollout)
    failed = rollout.steps.filter(tenant_id=rollout.tenant_id, state="failed").select_related("station")[:20]
    return {"rollout": rollout, "counts": counts, "total": sum(counts.values()), "failed": failed}


@require_POST
@page(Permission.STATION_CONFIGURE)
def archive_root(request: PageRequest, anchor_id: int) -> HttpResponse:
    anchor = seen.of_company(TrustAnchor, request.tenant.pk, request.actor).filter(pk=anchor_id).first()
    if anchor is None:
        raise NotFound
    trust.archive_anchor(anchor=anchor, actor=request.actor)
    return go(request, "security-roots")


@require_POST
@page(Permission.STATION_CONFIGURE)
def cancel_rollout(request: PageRequest, rollout_id: int) -> HttpResponse:
    found = (
        Rollout.objects.filter(tenant_id=request.tenant.pk, pk=rollout_id).select_related("anchor").first()
    )
    if found is None:
        raise NotFound
    rollouts.cancel(rollout=found, actor=request.actor)
    return go(request, "security-root", found.anchor_id)


# --- the authority


class PolicyForm(PortalForm):
    approval = forms.ChoiceField(label=_("Requests of stations"), choices=Approval.choices)
    certificate_days = forms.IntegerField(label=_("Certificates are valid for (days)"))
    renew_days = forms.IntegerField(label=_("Renewed so many days before they end"))
    transition_minutes = forms.IntegerField(
        label=_("Minutes for a change of profile"),
        help_text=_("As long may a station still come by its old profile."),
    )
    organisation = forms.CharField(
        label=_("Organisation in certificates"),
        max_length=64,
        required=False,
        help_text=_("Empty: the company's name. Stations call it CpoName or OrganizationName."),
    )


class DelegateForm(PortalForm):
    use = forms.ChoiceField(
        label=_("Signs certificates"),
        choices=[(use.value, use.label) for use in (SigningUse.STATION, SigningUse.V2G)],
    )
    chain = forms.CharField(
        label=_("Certificate chain"),
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 6, "class": "mono"}),
        help_text=_("PEM: the issuing certificate first, its root last."),
    )
    key = forms.CharField(
        label=_("Private key"),
        max_length=10_000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "class": "mono", "autocomplete": "off"}),
        help_text=_("Empty: it signs elsewhere, and you bring each certificate."),
    )
    password = forms.CharField(
        label=_("Password of the key"),
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )


@page(Permission.STATION_VIEW)
def authorities(request: PageRequest) -> HttpResponse:
    """The authority that signs, its policy, and how to replace it."""
    do = request.POST.get("do", "")
    mine = authority.policy(request.tenant.pk)
    names = tuple(PolicyForm.base_fields)
    policy = PolicyForm(
        request.POST if do == "policy" else None, initial={name: getattr(mine, name) for name in names}
    )
    delegated = DelegateForm(request.POST if do == "delegate" else None, auto_id="delegate-%s")
    if request.method == "POST" and _change_authority(request, do, policy, delegated):
        return go(request, "security-authority")
    rows = seen.of_company(Authority, request.tenant.pk, request.actor)
    current = authority.current(request.tenant.pk) if request.actor.site_ids is None else None
    context = {
        "part": "security-authority", "policy": policy, "delegated": delegated, "current": current,
        "rows": rows.order_by("-active", "-id"), "may_edit": request.actor.may(Permission.TENANT_EDIT),
        "root": rows.filter(kind=AuthorityKind.ROOT, active=True).first(), "opened": bool(delegated.errors),
        "crl": authority.crl_url(current) if current and current.key else "",
    }  # fmt: skip
    status = 422 if policy.errors or delegated.errors else 200
    return render(request, "stations/security_authority.html", context, status=status)


def _change_authority(request: PageRequest, do: str, policy: PolicyForm, delegated: DelegateForm) -> bool:
    """Whether it is done."""
    who: dict[str, Any] = {"tenant_id": request.tenant.pk, "actor": request.actor}
    request.actor.require(Permission.TENANT_EDIT)
    form: PortalForm = policy if do == "policy" else delegated
    try:
        if do == "create":
            made = authority.create(**who)
            messages.success(request, _t("%(name)s signs from now on.") % {"name": made})
        elif do == "policy" and policy.is_valid():
            authority.set_policy(**who, changes=policy.cleaned_data)
            messages.success(request, _t("Saved."))
        elif do == "delegate" and delegated.is_valid():
            made = authority.delegate(**who, **delegated.cleaned_data)
            messages.success(request, _t("%(name)s signs from now on.") % {"name": made})
        else:
            return False
    except DomainError as error:
        form.refused(error)
        return False
    return True
