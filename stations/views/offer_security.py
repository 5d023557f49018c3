"""Forms of the certificate commands."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from stations.models import CertificateUse, InstalledCertificate, TrustAnchor
from stations.views.command_form import CommandForm


def _uses(station: Any, *, read: bool = False) -> list[tuple[str, Any]]:
    """What this station's version can trust certificates for."""
    if not station.is_v2:
        known = [
            CertificateUse.CSMS_ROOT,
            CertificateUse.MANUFACTURER_ROOT,
            CertificateUse.V2G_ROOT,  # what is for Plug & Charge goes wrapped into DataTransfer
            CertificateUse.MO_ROOT,
            *([CertificateUse.V2G_CHAIN] if read else []),
        ]
    else:
        known = [
            use
            for use in CertificateUse
            if (use != CertificateUse.OEM_ROOT or station.ocpp_version != "2.0.1")
            and (use != CertificateUse.V2G_CHAIN or read)
        ]
    return [(use.value, use.label) for use in known]


class InstallForm(CommandForm):
    anchor = forms.ModelChoiceField(
        label=_("Certificate"), queryset=TrustAnchor.objects.none(), empty_label=_("Choose a root")
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["anchor"].queryset = TrustAnchor.objects.filter(  # type: ignore[attr-defined]
            tenant_id=self.station.tenant_id,
            archived_at=None,
            not_after__gt=timezone.now(),
            use__in=[use for use, _label in _uses(self.station)],
        )
        self.fields["anchor"].help_text = _t("Roots are kept under Security, Certificates.")

    def arguments(self) -> dict[str, Any]:
        anchor = self.cleaned_data["anchor"]
        return {"use": anchor.use, "certificate": anchor.pem}


class DeleteForm(CommandForm):
    held = forms.ModelChoiceField(
        label=_("Certificate"), queryset=InstalledCertificate.objects.none(), empty_label=_("Choose one")
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["held"].queryset = (  # type: ignore[attr-defined]
            InstalledCertificate.objects.filter(
                tenant_id=self.station.tenant_id, station=self.station
            ).select_related("anchor")
        )
        self.fields["held"].help_text = _t("Those that the station told it holds; list them first.")

    def arguments(self) -> dict[str, Any]:
        held = self.cleaned_data["held"]
        return {
            "hash_algorithm": held.hash_algorithm,
            "issuer_name_hash": held.issuer_name_hash,
            "issuer_key_hash": held.issuer_key_hash,
            "serial_number": held.serial,
        }


class ListForm(CommandForm):
    use = forms.ChoiceField(label=_("Which"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        every = [("", _t("All"))] if self.station.is_v2 else []
        self.fields["use"].choices = [*every, *_uses(self.station, read=True)]  # type: ignore[attr-defined]

    def arguments(self) -> dict[str, Any]:
        use = self.cleaned_data["use"]
        return {"uses": [use]} if use else {}


class HandOverForm(CommandForm):
    chain = forms.CharField(
        label=_("Certificate chain"),
        max_length=10_000,
        widget=forms.Textarea(attrs={"rows": 5, "class": "mono"}),
        help_text=_(
            "PEM, the station's certificate first. Usually this goes out by itself once a request is signed."
        ),
    )
