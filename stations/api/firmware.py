"""Firmware: images, updates of single stations, campaigns, publications of local controllers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import django_filters
from django.conf import settings
from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from stations import visible
from stations.api.commands import CommandOut
from stations.api.common import BelowStation
from stations.api.logs import AnyAccept
from stations.models import (
    Blocker,
    Campaign,
    CampaignState,
    FirmwareImage,
    FirmwarePublication,
    FirmwareUpdate,
    Protocol,
    PublicationState,
    UpdateState,
)
from stations.services.files import campaigns, giving, images, publications, store, updates
from stations.services.files.campaigns import Choice, Rules
from tenants.errors import NotFound
from tenants.permissions import Permission
from tenants.rest import Filters, IdFilter, In, Out, TenantView, Verb

_ID: dict[str, Any] = {"min_value": 1, "max_value": 2**63 - 1}


class ImageOut(Out):
    signed = serializers.BooleanField()
    ready = serializers.BooleanField()

    class Meta:
        model = FirmwareImage
        fields = [
            "id", "vendor", "version", "models_allowed", "from_versions", "notes", "ready", "name", "size_bytes",
            "sha256", "md5", "signed", "signed_by", "signature_scheme", "certificate_until", "created_at",
            "created_by",
        ]  # fmt: skip


class ImageChange(In):
    models_allowed = serializers.ListField(
        child=serializers.CharField(max_length=64), required=False, max_length=50,
        help_text="Models that may take it; * stands for any letters. Empty: all of the vendor",
    )  # fmt: skip
    from_versions = serializers.ListField(
        child=serializers.CharField(max_length=64), required=False, max_length=50,
        help_text="Versions that may take it. Empty: any",
    )  # fmt: skip
    notes = serializers.CharField(max_length=10_000, required=False, allow_blank=True)


class ImageIn(ImageChange):
    vendor = serializers.CharField(max_length=64)
    version = serializers.CharField(max_length=64, help_text="As stations report it once it runs")


class SignatureIn(In):
    signature = serializers.CharField(max_length=800, help_text="Base64, over the file, SHA-256")
    certificate = serializers.CharField(max_length=5500, help_text="PEM of who signed")


class ImageFilter(Filters):
    vendor = django_filters.CharFilter(lookup_expr="iexact")
    version = django_filters.CharFilter()


class ImageView(TenantView):
    def rows(self) -> QuerySet[FirmwareImage]:
        return FirmwareImage.objects.filter(tenant_id=self.tenant_id)


class ImageList(ImageView):
    """Firmware images. A new one gets its file by a PUT to `firmware/<id>/file`."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=ImageOut, many=True, says="List firmware images"),
        "POST": Verb(
            Permission.STATION_CONFIGURE,
            takes=ImageIn,
            gives=ImageOut,
            status=201,
            says="Enter a firmware image",
        ),
    }
    filterset_class = ImageFilter

    def get(self, request: Request) -> Response:
        return self.page()

    def post(self, request: Request) -> Response:
        return self.answer(images.create(tenant_id=self.tenant_id, actor=self.actor, **self.given()))


class ImageOne(ImageView):
    """One image. It can be deleted until a station was to get it."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=ImageOut, says="Read a firmware image"),
        "PATCH": Verb(
            Permission.STATION_CONFIGURE,
            takes=ImageChange,
            gives=ImageOut,
            says="Change who may take an image",
        ),
        "DELETE": Verb(Permission.STATION_CONFIGURE, status=204, says="Delete a firmware image"),
    }

    def get(self, request: Request, image_id: int) -> Response:
        return self.answer(self.one(self.rows(), pk=image_id))

    def patch(self, request: Request, image_id: int) -> Response:
        image = self.one(self.rows(), pk=image_id)
        return self.answer(images.edit(image=image, actor=self.actor, **self.given()))

    def delete(self, request: Request, image_id: int) -> Response:
        images.delete(image=self.one(self.rows(), pk=image_id), actor=self.actor)
        return self.answer()


class _Raw(BaseParser):
    """The body as it is; it is read piece by piece, not here."""

    media_type = "*/*"


class ImageFile(ImageView):
    """The file of a new image: PUT its bytes as they are, with any content type."""

    verbs = {"PUT": Verb(Permission.STATION_CONFIGURE, gives=ImageOut, says="Upload a firmware image's file")}
    parser_classes = [_Raw]

    def put(self, request: Request, new_image_id: int) -> Response:
        image = self.one(self.rows(), pk=new_image_id)
        spooled = store.spool(settings.FIRMWARE_MAX_MB * 1_000_000)
        try:
            while data := request._request.read(store.CHUNK):
                spooled.write(data)
            name = f"{image.vendor}-{image.version}.bin"
            image = images.attach(image=image, spooled=spooled, name=name, actor=self.actor)
        finally:
            spooled.discard()
        return self.answer(image)


class ImageSignature(ImageView):
    """The maker's detached signature, checked before it is taken."""

    verbs = {
        "PUT": Verb(
            Permission.STATION_CONFIGURE,
            takes=SignatureIn,
            gives=ImageOut,
            says="Add a signature to an image",
        )
    }

    def put(self, request: Request, image_id: int) -> Response:
        image = self.one(self.rows(), pk=image_id)
        return self.answer(images.sign(image=image, actor=self.actor, **self.given()))


class ImageContent(ImageView):
    verbs = {
        "GET": Verb(Permission.STATION_CONFIGURE, gives=OpenApiTypes.BINARY, says="Download a firmware image")
    }
    content_negotiation_class = AnyAccept

    def get(self, request: Request, image_id: int) -> StreamingHttpResponse:
        image = self.one(self.rows(), pk=image_id)
        if not image.ready:
            raise NotFound("Its file was not uploaded yet.")
        return giving.attachment(image.storage_name, image.name, image.size_bytes)


# --- single updates ---


class UpdateOut(Out):
    percent = serializers.IntegerField(allow_null=True)

    class Meta:
        model = FirmwareUpdate
        fields = [
            "id", "station_id", "image_id", "campaign_id", "wave", "state", "blocked_by", "reason", "station_word",
            "command_id", "protocol", "idle_only", "signed_only", "signed", "note", "install_at", "attempts",
            "max_attempts", "retry_at", "bytes_sent", "percent", "from_version", "to_version", "origin_label",
            "created_at", "sent_at", "downloaded_at", "settled_at",
        ]  # fmt: skip


class UpdateIn(In):
    image_id = serializers.IntegerField(**_ID)
    idle_only = serializers.BooleanField(
        required=False, default=True, help_text="Wait until nobody charges there"
    )
    signed_only = serializers.BooleanField(required=False, default=False)
    protocol = serializers.ChoiceField(Protocol.choices, required=False, default="")
    install_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="Not before; OCPP 2 or signed"
    )
    max_attempts = serializers.IntegerField(min_value=1, max_value=10, required=False, default=1)
    anyway = serializers.BooleanField(
        required=False, default=False, help_text="Though the image names other models or versions"
    )


class UpdateTurn(In):
    state = serializers.ChoiceField([("cancelled", "cancelled"), ("waiting", "waiting")])


class UpdateFilter(Filters):
    station_id = IdFilter()
    image_id = IdFilter()
    campaign_id = IdFilter()
    state = django_filters.ChoiceFilter(choices=UpdateState.choices)
    blocked_by = django_filters.ChoiceFilter(choices=Blocker.choices)


class StationUpdates(BelowStation):
    """Firmware updates of one station. A POST begins one, as soon as the station is online and idle."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=UpdateOut, many=True, says="List a station's updates"),
        "POST": Verb(
            Permission.STATION_CONFIGURE, takes=UpdateIn, gives=UpdateOut, status=202, says="Update a station"
        ),
    }
    filterset_class = UpdateFilter

    def rows(self) -> QuerySet[FirmwareUpdate]:
        return (
            visible.updates(self.tenant_id, self.actor).filter(station=self.station()).select_related("image")
        )

    def get(self, request: Request, station_id: int) -> Response:
        return self.page()

    def post(self, request: Request, station_id: int) -> Response:
        station = self.station()
        return self.answer(
            updates.plan(tenant_id=self.tenant_id, station_id=station.pk, actor=self.actor, **self.given())
        )


class UpdateView(TenantView):
    def rows(self) -> QuerySet[FirmwareUpdate]:
        return visible.updates(self.tenant_id, self.actor).select_related("image", "station", "campaign")


class UpdateList(UpdateView):
    """Updates of all stations, newest first."""

    verbs = {"GET": Verb(Permission.STATION_VIEW, gives=UpdateOut, many=True, says="List firmware updates")}
    filterset_class = UpdateFilter

    def get(self, request: Request) -> Response:
        return self.page()


class UpdateOne(UpdateView):
    """One update. `cancelled` takes back what was not sent; `waiting` tries again what failed."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=UpdateOut, says="Read a firmware update"),
        "PATCH": Verb(
            Permission.STATION_CONFIGURE, takes=UpdateTurn, gives=UpdateOut, says="Cancel or retry an update"
        ),
    }

    def get(self, request: Request, update_id: int) -> Response:
        return self.answer(self.one(self.rows(), pk=update_id))

    def patch(self, request: Request, update_id: int) -> Response:
        update = self.one(self.rows(), pk=update_id)
        match self.given().get("state"):
            case "cancelled":
                updates.cancel(update=update, actor=self.actor)
            case "waiting":
                updates.retry(update=update, actor=self.actor)
        return self.answer(self.one(self.rows(), pk=update_id))


# --- campaigns ---


class CampaignOut(Out):
    stations = serializers.SerializerMethodField(help_text="How many are in which state")

    class Meta:
        model = Campaign
        fields = [
            "id", "name", "image_id", "state", "reason", "chosen", "wave", "waves", "success_percent", "max_failures",
            "idle_only", "window_from", "window_until", "max_per_site", "max_attempts", "retry_minutes", "signed_only",
            "protocol", "use_publications", "rollback_of_id", "created_at", "created_by", "settled_at", "stations",
        ]  # fmt: skip

    def get_stations(self, campaign: Campaign) -> dict[str, int]:
        return campaigns.states(campaign, **campaigns.narrowed(self.context["actor"]))


class ChoiceIn(In):
    image_id = serializers.IntegerField(**_ID)
    site_ids = serializers.ListField(
        child=serializers.IntegerField(**_ID), required=False, default=list, max_length=1000
    )
    station_ids = serializers.ListField(
        child=serializers.IntegerField(**_ID), required=False, default=list, max_length=10_000
    )
    models = serializers.ListField(
        child=serializers.CharField(max_length=64), required=False, default=list, max_length=50
    )
    versions = serializers.ListField(
        child=serializers.CharField(max_length=64), required=False, default=list, max_length=50,
        help_text="That they have now; * stands for any letters",
    )  # fmt: skip
    canary = serializers.IntegerField(min_value=1, required=False, default=1, max_value=20_000)
    canary_percent = serializers.IntegerField(min_value=0, max_value=100, required=False, default=0)
    wave_percent = serializers.IntegerField(min_value=1, max_value=100, required=False, default=25)
    success_percent = serializers.IntegerField(min_value=0, max_value=100, required=False, default=90)
    max_failures = serializers.IntegerField(min_value=1, max_value=20_000, required=False, default=3)
    idle_only = serializers.BooleanField(required=False, default=True)
    window_from = serializers.TimeField(required=False, allow_null=True, default=None)
    window_until = serializers.TimeField(required=False, allow_null=True, default=None)
    max_per_site = serializers.IntegerField(min_value=1, max_value=1000, required=False, default=2)
    max_attempts = serializers.IntegerField(min_value=1, max_value=10, required=False, default=2)
    retry_minutes = serializers.IntegerField(min_value=0, max_value=10_080, required=False, default=15)
    signed_only = serializers.BooleanField(required=False, default=False)
    protocol = serializers.ChoiceField(Protocol.choices, required=False, default="")
    use_publications = serializers.BooleanField(required=False, default=True)


class CampaignIn(ChoiceIn):
    name = serializers.CharField(max_length=120)
    rollback_of_id = serializers.IntegerField(required=False, **_ID)


class TargetOut(serializers.Serializer[Any]):
    station_id = serializers.IntegerField()
    wave = serializers.IntegerField()


class ExcludedOut(serializers.Serializer[Any]):
    station_id = serializers.IntegerField()
    why = serializers.CharField()


class CampaignPreviewOut(serializers.Serializer[Any]):
    waves = serializers.ListField(child=serializers.IntegerField())
    offline = serializers.IntegerField()
    busy = serializers.IntegerField()
    targets = TargetOut(many=True)
    excluded = ExcludedOut(many=True)


class CampaignTurn(In):
    state = serializers.ChoiceField(
        [("paused", "paused"), ("running", "running"), ("cancelled", "cancelled")]
    )


class CampaignFilter(Filters):
    image_id = IdFilter()
    state = django_filters.ChoiceFilter(choices=CampaignState.choices)


class CampaignView(TenantView):
    def rows(self) -> QuerySet[Campaign]:
        return campaigns.visible_to(self.tenant_id, self.actor)

    def split(self, given: dict[str, Any]) -> tuple[FirmwareImage, Choice, Rules]:
        self.row_for(given, "image", FirmwareImage.objects.filter(tenant_id=self.tenant_id))
        image = given.pop("image")
        stations = visible.stations(self.tenant_id, self.actor)
        self.rows_for("station_ids", given["station_ids"], stations)
        choice = Choice(*(given.pop(name) for name in ("site_ids", "models", "versions", "station_ids")))
        return image, choice, Rules(**given)


class CampaignList(CampaignView):
    """Roll-outs, newest first. A POST begins one at once; ask for the preview first. With `rollback_of_id` and without
    `station_ids` it reaches the stations that the other campaign has updated."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=CampaignOut, many=True, says="List campaigns"),
        "POST": Verb(
            Permission.STATION_CONFIGURE,
            takes=CampaignIn,
            gives=CampaignOut,
            status=201,
            says="Start a campaign",
        ),
    }
    filterset_class = CampaignFilter

    def get(self, request: Request) -> Response:
        return self.page()

    def post(self, request: Request) -> Response:
        given = self.given()
        name, number = given.pop("name"), given.pop("rollback_of_id", None)
        rolled_back = self.one(self.rows(), pk=number) if number else None
        image, choice, rules = self.split(given)
        if rolled_back is not None and not choice.station_ids:
            choice = replace(choice, installed_by=rolled_back.pk)
        return self.answer(
            campaigns.start(
                tenant_id=self.tenant_id, name=name, image=image, choice=choice, rules=rules, actor=self.actor,
                rollback_of=rolled_back,
            )
        )  # fmt: skip


class CampaignPreview(CampaignView):
    """Which stations a campaign would reach, in which wave, and which not and why. Changes nothing."""

    verbs = {
        "POST": Verb(
            Permission.STATION_VIEW, takes=ChoiceIn, gives=CampaignPreviewOut, says="Preview a campaign"
        )
    }

    def post(self, request: Request) -> Response:
        image, choice, rules = self.split(self.given())
        found = campaigns.preview(
            tenant_id=self.tenant_id, image=image, choice=choice, rules=rules, actor=self.actor
        )
        return self.answer(
            {
                "waves": found.waves,
                "offline": found.offline,
                "busy": found.busy,
                "targets": [{"station_id": station.pk, "wave": wave} for station, wave in found.targets],
                "excluded": [{"station_id": station.pk, "why": why} for station, why in found.excluded],
            }
        )


class CampaignOne(CampaignView):
    """One campaign; its stations are `updates?campaign_id=`. Pause, resume or cancel it by its state."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=CampaignOut, says="Read a campaign"),
        "PATCH": Verb(
            Permission.STATION_CONFIGURE,
            takes=CampaignTurn,
            gives=CampaignOut,
            says="Pause, resume or cancel",
        ),
    }

    def get(self, request: Request, campaign_id: int) -> Response:
        return self.answer(self.one(self.rows(), pk=campaign_id))

    def patch(self, request: Request, campaign_id: int) -> Response:
        campaign = self.one(self.rows(), pk=campaign_id)
        turns = {"paused": campaigns.pause, "running": campaigns.resume, "cancelled": campaigns.cancel}
        if wanted := self.given().get("state"):
            turns[wanted](campaign=campaign, actor=self.actor)
        return self.answer(self.one(self.rows(), pk=campaign_id))


class RetriedOut(serializers.Serializer[Any]):
    stations = serializers.IntegerField()


class CampaignRetry(CampaignView):
    """Another attempt for all stations of it that failed."""

    verbs = {
        "POST": Verb(Permission.STATION_CONFIGURE, takes=In, gives=RetriedOut, says="Retry what failed in it")
    }

    def post(self, request: Request, campaign_id: int) -> Response:
        self.given()
        campaign = self.one(self.rows(), pk=campaign_id)
        return self.answer({"stations": campaigns.retry_failed(campaign=campaign, actor=self.actor)})


# --- publications ---


class PublicationOut(Out):
    class Meta:
        model = FirmwarePublication
        fields = [
            "id", "station_id", "image_id", "state", "station_word", "reason", "locations", "command_id",
            "origin_label", "created_at", "settled_at",
        ]  # fmt: skip


class PublicationIn(In):
    station_id = serializers.IntegerField(help_text="The local controller", **_ID)
    image_id = serializers.IntegerField(**_ID)
    protocol = serializers.ChoiceField(Protocol.choices, required=False, default="")


class PublicationFilter(Filters):
    station_id = IdFilter()
    image_id = IdFilter()
    state = django_filters.ChoiceFilter(choices=PublicationState.choices)


class PublicationView(TenantView):
    def rows(self) -> QuerySet[FirmwarePublication]:
        return visible.publications(self.tenant_id, self.actor).select_related("station", "image")


class PublicationList(PublicationView):
    """Images that local controllers (OCPP 2) offer to the stations behind them."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=PublicationOut, many=True, says="List publications"),
        "POST": Verb(
            Permission.STATION_CONFIGURE, takes=PublicationIn, gives=PublicationOut, status=202,
            says="Publish an image at a local controller",
        ),
    }  # fmt: skip
    filterset_class = PublicationFilter

    def get(self, request: Request) -> Response:
        return self.page()

    def post(self, request: Request) -> Response:
        return self.answer(publications.publish(tenant_id=self.tenant_id, actor=self.actor, **self.given()))


class PublicationOne(PublicationView):
    """One publication. A DELETE asks the controller to withdraw it and gives the command to watch."""

    verbs = {
        "GET": Verb(Permission.STATION_VIEW, gives=PublicationOut, says="Read a publication"),
        "DELETE": Verb(
            Permission.STATION_CONFIGURE, gives=CommandOut, status=202, says="Withdraw a published image"
        ),
    }

    def get(self, request: Request, publication_id: int) -> Response:
        return self.answer(self.one(self.rows(), pk=publication_id))

    def delete(self, request: Request, publication_id: int) -> Response:
        publication = self.one(self.rows(), pk=publication_id)
        return self.answer(publications.withdraw(publication=publication, actor=self.actor))
