"""Firmware: images, campaigns with their preview and live progress, publications of local controllers."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from stations import visible
from stations.models import (
    UNDER_WAY,
    Campaign,
    FirmwareImage,
    PublicationState,
    UpdateState,
)
from stations.services.files import campaigns, giving, images, publications, store
from stations.services.files.campaigns import Choice, Rules
from stations.views.common import get_station
from stations.views.files import protocol_choices
from tenants.errors import DomainError, NotFound
from tenants.models import Site
from tenants.pages import Column, PageRequest, PortalForm, go, listing, page
from tenants.permissions import Permission

STATES = (
    UpdateState.INSTALLED, UpdateState.INSTALLING, UpdateState.DOWNLOADED, UpdateState.DOWNLOADING, UpdateState.SENT,
    UpdateState.WAITING, UpdateState.SKIPPED, UpdateState.CANCELLED, UpdateState.FAILED,
)  # fmt: skip
_MOST_SHOWN = 100


class Words(forms.CharField):
    """Words separated by commas."""

    def to_python(self, value: Any) -> Any:
        return [word.strip() for word in str(value or "").replace("\n", ",").split(",") if word.strip()]

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value


class ImageChangeForm(PortalForm):
    models_allowed = Words(
        label=_("Models"),
        required=False,
        help_text=_("Separated by commas; * stands for any letters. Empty: all."),
    )
    from_versions = Words(
        label=_("Versions that may take it"),
        required=False,
        help_text=_("Such as 1.2.*, 1.3.0. Empty: any."),
    )
    notes = forms.CharField(
        label=_("Release notes"), required=False, widget=forms.Textarea(attrs={"rows": 4}), max_length=10_000
    )


class ImageForm(ImageChangeForm):
    vendor = forms.CharField(
        label=_("Vendor"),
        max_length=64,
        widget=forms.TextInput(attrs={"list": "vendors", "autocomplete": "off"}),
    )
    version = forms.CharField(
        label=_("Version"), max_length=64, help_text=_("Exactly as stations report it once it runs.")
    )
    file = forms.FileField(label=_("File"))
    signature = forms.CharField(
        label=_("Signature"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("The maker's signature over the file (SHA-256), in base64."),
    )
    certificate = forms.CharField(
        label=_("Signing certificate"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("In PEM. Stations check the signature by it."),
    )
    field_order = [
        "vendor",
        "version",
        "file",
        "models_allowed",
        "from_versions",
        "notes",
        "signature",
        "certificate",
    ]


class SignForm(PortalForm):
    signature = forms.CharField(label=_("Signature"), widget=forms.Textarea(attrs={"rows": 2}))
    certificate = forms.CharField(label=_("Signing certificate"), widget=forms.Textarea(attrs={"rows": 4}))


class CampaignForm(PortalForm):
    name = forms.CharField(label=_("Name"), max_length=120)
    image_id = forms.TypedChoiceField(label=_("Image"), coerce=int)
    site_ids = forms.TypedMultipleChoiceField(
        label=_("Sites"), coerce=int, required=False, widget=forms.CheckboxSelectMultiple
    )
    models = Words(label=_("Models"), required=False, help_text=_("Empty: all that the image allows."))
    versions = Words(
        label=_("Firmware they have now"), required=False, help_text=_("Such as 1.2.*. Empty: any.")
    )
    station_ids = Words(
        label=_("Only these stations"),
        required=False,
        help_text=_("Identities, separated by commas. Empty: all."),
    )
    canary = forms.IntegerField(label=_("Canary stations"), min_value=1, max_value=20_000, initial=1)
    canary_percent = forms.IntegerField(
        label=_("or, if more, % of all"), min_value=0, max_value=100, initial=0, required=False
    )
    wave_percent = forms.IntegerField(
        label=_("Each next wave, % of all"), min_value=1, max_value=100, initial=25
    )
    success_percent = forms.IntegerField(
        label=_("Success a wave needs, %"), min_value=0, max_value=100, initial=90
    )
    max_failures = forms.IntegerField(
        label=_("Halt after failures"), min_value=1, max_value=20_000, initial=3
    )
    idle_only = forms.BooleanField(
        label=_("Wait until nobody charges at a station"), required=False, initial=True
    )
    window_from = forms.TimeField(
        label=_("Not before"), required=False, widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    )
    window_until = forms.TimeField(
        label=_("Not after"), required=False, widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    )
    max_per_site = forms.IntegerField(label=_("At once at a site"), min_value=1, max_value=1000, initial=2)
    max_attempts = forms.IntegerField(label=_("Attempts a station"), min_value=1, max_value=10, initial=2)
    retry_minutes = forms.IntegerField(
        label=_("Minutes between attempts"), min_value=0, max_value=10_080, initial=15
    )
    signed_only = forms.BooleanField(label=_("Signed or not at all"), required=False)
    use_publications = forms.BooleanField(
        label=_("Fetch from a local controller of the site where it is published"),
        required=False,
        initial=True,
    )
    protocol = forms.ChoiceField(label=_("Way of download"), required=False)
    rollback_of = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, request: PageRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tenant_id, self.actor = request.tenant.pk, request.actor
        ready = FirmwareImage.objects.filter(tenant_id=self.tenant_id).exclude(storage_name="")
        sites = Site.objects.filter(tenant_id=self.tenant_id, archived_at=None)
        if self.actor.site_ids is not None:
            sites = sites.filter(pk__in=self.actor.site_ids)
        fields: dict[str, Any] = self.fields
        fields["image_id"].choices = [(image.pk, str(image)) for image in ready]
        fields["site_ids"].choices = [(site.pk, str(site)) for site in sites]
        fields["protocol"].choices = protocol_choices()
        self.turned_back = self._turned_back()
        if self.turned_back is not None:
            fields["station_ids"].help_text = _t(
                "Identities, separated by commas. Empty: all that “%(name)s” has updated."
            ) % {"name": self.turned_back.name}

    def _turned_back(self) -> Campaign | None:
        """The campaign that this one takes back."""
        number = str(self.data.get("rollback_of") or self.initial.get("rollback_of") or "")
        if not number.isdecimal() or len(number) > 18:
            return None
        return campaigns.visible_to(self.tenant_id, self.actor).filter(pk=int(number)).first()

    def clean_station_ids(self) -> list[int]:
        wanted = self.cleaned_data["station_ids"]
        found = dict(
            visible.stations(self.tenant_id, self.actor)
            .filter(identity__in=wanted)
            .values_list("identity", "pk")
        )
        if missing := [name for name in wanted if name not in found]:
            raise forms.ValidationError(_t("Unknown: %(names)s.") % {"names": ", ".join(missing)[:200]})
        return list(found.values())

    def image(self) -> FirmwareImage:
        return FirmwareImage.objects.get(tenant_id=self.tenant_id, pk=self.cleaned_data["image_id"])

    def choice(self) -> Choice:
        given = self.cleaned_data
        back = self.turned_back.pk if self.turned_back and not given["station_ids"] else None
        return Choice(given["site_ids"], given["models"], given["versions"], given["station_ids"], back)

    def rules(self) -> Rules:
        names = Rules.__dataclass_fields__
        given = {name: value for name, value in self.cleaned_data.items() if name in names}
        return Rules(**(given | {"canary_percent": given.get("canary_percent") or 0}))


# --- images ---


@page(Permission.STATION_VIEW)
def firmware(request: PageRequest) -> HttpResponse:
    """What runs where, campaigns, images."""
    rows = campaigns.visible_to(request.tenant.pk, request.actor)
    fleet = Counter(
        visible.stations(request.tenant.pk, request.actor)
        .exclude(vendor="")
        .values_list("vendor", "model", "firmware_version")
    )
    context = {
        "campaigns": [_card(request, campaign) for campaign in rows[:30]],
        "images": [_image_row(image, fleet) for image in _all(request)[:200]],
        "fleet": sorted(fleet.items(), key=lambda pair: (-pair[1], pair[0]))[:30],
        "most": max(fleet.values(), default=1),
    }
    return render(request, "stations/firmware.html", context)


def _all(request: PageRequest) -> QuerySet[FirmwareImage]:
    return FirmwareImage.objects.filter(tenant_id=request.tenant.pk)


def _card(request: PageRequest, campaign: Campaign) -> dict[str, Any]:
    counts = campaigns.states(campaign, **campaigns.narrowed(request.actor))
    total = sum(counts.values())
    return {
        "campaign": campaign,
        "bar": [(state.value, counts.get(state, 0)) for state in STATES if counts.get(state)],
        "total": total,
        "installed": counts.get(UpdateState.INSTALLED, 0),
        "failed": counts.get(UpdateState.FAILED, 0),
    }


def _image_row(image: FirmwareImage, fleet: Counter[tuple[str, str, str]]) -> dict[str, Any]:
    same = [(key, count) for key, count in fleet.items() if key[0].lower() == image.vendor.lower()]
    return {
        "image": image,
        "running": sum(count for key, count in same if key[2] == image.version),
        "could": sum(
            count
            for key, count in same
            if key[2] != image.version
            and images.matches(key[1], image.models_allowed)
            and images.matches(key[2], image.from_versions)
        ),
    }


@page(Permission.STATION_CONFIGURE)
def image_new(request: PageRequest) -> HttpResponse:
    form = ImageForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        given = dict(form.cleaned_data)
        upload, signature, certificate = given.pop("file"), given.pop("signature"), given.pop("certificate")
        spooled = store.spool(settings.FIRMWARE_MAX_MB * 1_000_000)
        try:
            for data in upload.chunks(store.CHUNK):
                spooled.write(data)
            image = images.add(
                tenant_id=request.tenant.pk, actor=request.actor, spooled=spooled, name=upload.name,
                signature=signature, certificate=certificate, **given,
            )  # fmt: skip
        except DomainError as error:
            form.refused(error)
        else:
            messages.success(
                request, _t("The image is stored and checked. Roll it out, or update a single station.")
            )
            return go(request, "firmware-image", image.pk)
        finally:
            spooled.discard()
    vendors = (
        visible.stations(request.tenant.pk, request.actor)
        .exclude(vendor="")
        .order_by("vendor")
        .values_list("vendor", flat=True)
        .distinct()[:50]
    )
    context = {"form": form, "vendors": vendors, "most_mb": settings.FIRMWARE_MAX_MB}
    return render(request, "stations/firmware_new.html", context, status=422 if form.is_bound else 200)


def _image(request: PageRequest, image_id: int) -> FirmwareImage:
    found = FirmwareImage.objects.filter(tenant_id=request.tenant.pk, pk=image_id).first()
    if found is None:
        raise NotFound
    return found


@page(Permission.STATION_VIEW)
def image(request: PageRequest, image_id: int) -> HttpResponse:
    """One image: what it is, who could take it, where it went."""
    return _image_page(request, _image(request, image_id))


def _image_page(
    request: PageRequest, found: FirmwareImage, refused: PortalForm | None = None
) -> HttpResponse:
    stations = list(
        visible.stations(request.tenant.pk, request.actor)
        .filter(vendor__iexact=found.vendor)
        .select_related("site")
    )
    reasons = Counter(images.obstacle(found, station) for station in stations)
    controllers = [station for station in stations if station.is_v2]
    context = {
        "image": found,
        "fit": reasons.pop("", 0),
        "running": sum(station.firmware_version == found.version for station in stations),
        "reasons": reasons.most_common(8),
        "updates": visible.updates(request.tenant.pk, request.actor)
        .filter(image=found)
        .select_related("station", "campaign", "image")[:20],
        "publications": visible.publications(request.tenant.pk, request.actor)
        .filter(image=found)
        .select_related("station", "station__site")[:50],
        "controllers": controllers[:200],
        "change_form": refused
        if isinstance(refused, ImageChangeForm)
        else ImageChangeForm(
            initial={
                "models_allowed": found.models_allowed,
                "from_versions": found.from_versions,
                "notes": found.notes,
            },
            auto_id="change-%s",
        ),
        "sign_form": refused if isinstance(refused, SignForm) else SignForm(auto_id="sign-%s"),
        "refused": refused,
        "used": found.updates.exists() or found.campaigns.exists() or found.publications.exists(),
    }
    return render(request, "stations/firmware_image.html", context, status=422 if refused else 200)


@require_POST
@page(Permission.STATION_CONFIGURE)
def image_edit(request: PageRequest, image_id: int) -> HttpResponse:
    found, form = _image(request, image_id), ImageChangeForm(request.POST, auto_id="change-%s")
    if not form.is_valid():
        return _image_page(request, found, form)
    try:
        images.edit(image=found, actor=request.actor, **form.cleaned_data)
    except DomainError as error:
        form.refused(error)
        return _image_page(request, found, form)
    messages.success(request, _t("Saved."))
    return go(request, "firmware-image", found.pk)


@require_POST
@page(Permission.STATION_CONFIGURE)
def image_sign(request: PageRequest, image_id: int) -> HttpResponse:
    found, form = _image(request, image_id), SignForm(request.POST, auto_id="sign-%s")
    if not form.is_valid():
        return _image_page(request, found, form)
    try:
        images.sign(image=found, actor=request.actor, **form.cleaned_data)
    except DomainError as error:
        form.refused(error)
        return _image_page(request, found, form)
    messages.success(request, _t("The signature fits. Stations get it with the image from now on."))
    return go(request, "firmware-image", found.pk)


@require_POST
@page(Permission.STATION_CONFIGURE)
def image_delete(request: PageRequest, image_id: int) -> HttpResponse:
    images.delete(image=_image(request, image_id), actor=request.actor)
    messages.success(request, _t("The image is deleted."))
    return go(request, "firmware")


@page(Permission.STATION_CONFIGURE)
def image_download(request: PageRequest, image_id: int) -> Any:
    found = _image(request, image_id)
    if not found.ready:
        raise NotFound
    return giving.attachment(found.storage_name, found.name, found.size_bytes)


@page(Permission.STATION_CONFIGURE)
def station_publish(request: PageRequest, station_id: int) -> HttpResponse:
    """The images that this local controller could offer, and those that it does."""
    station = get_station(request, station_id)
    offered = {
        row.image_id: row
        for row in visible.publications(request.tenant.pk, request.actor)
        .filter(station=station)
        .order_by("id")
    }
    ready = _all(request).exclude(storage_name="")
    context = {
        "station": station,
        "tab": "files",
        "rows": [(image, offered.get(image.pk)) for image in ready[:200]],
    }
    return render(request, "stations/station_publish.html", context)


@require_POST
@page(Permission.STATION_CONFIGURE)
def publish(request: PageRequest, image_id: int) -> HttpResponse:
    """Publish the image at a local controller, or withdraw it there."""
    found = _image(request, image_id)
    number = request.POST.get("station", "")
    if not number.isdecimal() or len(number) > 18:
        messages.error(request, _t("Choose a local controller."))
        return go(request, "firmware-image", found.pk)
    try:
        if request.POST.get("withdraw"):
            there = visible.publications(request.tenant.pk, request.actor).filter(
                station_id=int(number), image=found, state=PublicationState.PUBLISHED
            )
            publication = there.select_related("station", "image").first()
            if publication is None:
                raise NotFound
            publications.withdraw(publication=publication, actor=request.actor)
        else:
            publications.publish(
                tenant_id=request.tenant.pk, station_id=int(number), image_id=found.pk, actor=request.actor
            )
    except DomainError as error:
        if isinstance(error, NotFound):
            raise
        messages.error(request, str(error.detail))
    return go(request, "firmware-image", found.pk)


# --- campaigns ---


@page(Permission.STATION_CONFIGURE)
def campaign_new(request: PageRequest) -> HttpResponse:
    """Compose a campaign; what it would do stands beside it while one types."""
    form = (
        CampaignForm(request.POST, request=request)
        if request.method == "POST"
        else CampaignForm(initial=_initial(request), request=request)
    )
    if form.is_bound and form.is_valid():
        try:
            campaign = campaigns.start(
                tenant_id=request.tenant.pk,
                name=form.cleaned_data["name"],
                image=form.image(),
                choice=form.choice(),
                rules=form.rules(),
                actor=request.actor,
                rollback_of=form.turned_back,
            )
            return go(request, "campaign", campaign.pk)
        except DomainError as error:
            form.refused(error)
    choices: Any = form.fields["image_id"]
    context = {"form": form, "any_image": bool(choices.choices)}
    return render(request, "stations/campaign_new.html", context, status=422 if form.is_bound else 200)


def _initial(request: PageRequest) -> dict[str, Any]:
    """From ?image=, or of a rollback from ?rollback=: the image from before, for those that have the new one."""
    chosen: dict[str, Any] = {"image_id": request.GET.get("image", "")}
    number = request.GET.get("rollback", "")
    if not number.isdecimal() or len(number) > 18:
        return chosen
    campaign = campaigns.visible_to(request.tenant.pk, request.actor).filter(pk=int(number)).first()
    if campaign is None:
        raise NotFound
    before = campaigns.previous_image(campaign)
    return {
        "image_id": before.pk if before else "",
        "name": _t("Back from %(version)s: %(name)s")
        % {"version": campaign.image.version, "name": campaign.name},
        "rollback_of": campaign.pk,
        "canary": 1,
        "wave_percent": 50,
    }


@page(Permission.STATION_CONFIGURE)
def campaign_preview(request: PageRequest) -> HttpResponse:
    """For htmx: the waves, who is left out and why, what would wait."""
    form = CampaignForm(request.GET, request=request)
    form.fields["name"].required = False
    context: dict[str, Any] = {"form": form}
    if form.is_valid():
        found = campaigns.preview(
            tenant_id=request.tenant.pk,
            image=form.image(),
            choice=form.choice(),
            rules=form.rules(),
            actor=request.actor,
        )
        reasons = Counter(why for _station, why in found.excluded)
        context |= {
            "preview": found,
            "targets": found.targets[:_MOST_SHOWN],
            "excluded": found.excluded[:_MOST_SHOWN],
            "reasons": reasons.most_common(),
            "image": form.image(),
        }
    return render(request, "stations/_campaign_preview.html", context)


_COLUMNS = [
    Column("station", _("Station"), ("station__name", "station__identity")),
    Column("site", _("Site"), ("station__site__name",), narrow=False),
    Column("state", _("State"), ("state",)),
    Column("wave", _("Wave"), ("wave",), numeric=True),
    Column("detail", _("What it waits for, or why")),
    Column("version", _("Firmware"), ("station__firmware_version",)),
    Column("changed", _("Changed"), ("-changed_at",)),
]


@page(Permission.STATION_VIEW)
def campaign(request: PageRequest, campaign_id: int) -> HttpResponse:
    """A campaign while it runs: how far, what blocks, each station."""
    found = _campaign(request, campaign_id)
    rows = (
        visible.updates(request.tenant.pk, request.actor)
        .filter(campaign=found)
        .select_related("station", "station__site", "image", "campaign")
    )
    counts = campaigns.states(found, **campaigns.narrowed(request.actor))
    wanted = request.GET.get("state", "")
    shown = rows.filter(state=wanted) if wanted in UpdateState.values else rows
    context = {
        "campaign": found,
        "bar": [(state.value, counts.get(state, 0)) for state in STATES if counts.get(state)],
        "chips": [(state.value, counts.get(state, 0)) for state in STATES if counts.get(state)],
        "state": wanted,
        "total": sum(counts.values()),
        "installed": counts.get(UpdateState.INSTALLED, 0),
        "failed": counts.get(UpdateState.FAILED, 0),
        "under_way": sum(counts.get(state, 0) for state in UNDER_WAY),
        "waiting": counts.get(UpdateState.WAITING, 0),
        "blockers": _blockers(rows),
        "waves": _waves(rows, found),
        "listing": listing(request, shown, _COLUMNS, default="wave", size=50),
        "opens": _opens(found, rows),
    }
    return render(request, "stations/campaign.html", context)


def _campaign(request: PageRequest, campaign_id: int) -> Campaign:
    found = campaigns.visible_to(request.tenant.pk, request.actor).filter(pk=campaign_id).first()
    if found is None:
        raise NotFound
    return found


def _blockers(rows: Any) -> list[tuple[str, int]]:
    """(what they wait for, how many) of those that wait."""
    counted = Counter(
        update.get_blocked_by_display() or _t("its turn") for update in rows.filter(state=UpdateState.WAITING)
    )
    return counted.most_common()


def _waves(rows: Any, found: Campaign) -> list[dict[str, Any]]:
    counted: dict[int, Counter[str]] = {}
    for wave, state in rows.order_by().values_list("wave", "state"):
        counted.setdefault(wave, Counter())[state] += 1
    return [
        {
            "number": wave + 1,
            "canary": wave == 0,
            "current": found.is_open and wave == found.wave,
            "total": sum(counts.values()),
            "installed": counts[UpdateState.INSTALLED],
            "failed": counts[UpdateState.FAILED],
            "bar": [(state.value, counts[state]) for state in STATES if counts[state]],
        }
        for wave, counts in sorted(counted.items())
    ]


def _opens(found: Campaign, rows: Any) -> Any:
    """When the window opens next, at the site where that is first; None where one is open or there is none."""
    if not found.is_open or found.window_from is None:
        return None
    zones = set(
        rows.filter(state=UpdateState.WAITING)
        .order_by()
        .values_list("station__site__time_zone", flat=True)
        .distinct()
    )
    times = [campaigns.next_window(found, zone, timezone.now()) for zone in zones]
    return None if None in times else min(cast(list[Any], times), default=None)


@require_POST
@page(Permission.STATION_CONFIGURE)
def campaign_turn(request: PageRequest, campaign_id: int) -> HttpResponse:
    """Pause, resume, cancel, or try again what failed."""
    found = _campaign(request, campaign_id)
    turns = {"pause": campaigns.pause, "resume": campaigns.resume, "cancel": campaigns.cancel}
    verb = request.POST.get("verb", "")
    if verb in turns:
        turns[verb](campaign=found, actor=request.actor)
    elif verb == "retry":
        campaigns.retry_failed(campaign=found, actor=request.actor)
    return go(request, "campaign", found.pk)
