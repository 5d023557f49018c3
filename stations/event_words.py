"""What a station told, kept as it came in, said in the reader's language."""

from __future__ import annotations

import re

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, override

from stations.models import SEVERITY
from stations.security_words import security_event

_SECURITY = re.compile(r"Security event: (\w+)")
_NOTICE = re.compile(r"(Diagnostics|Log|Firmware|Publishing firmware): (\w+)")
_MONITOR = re.compile(r"(?:(Over|[A-Z][a-z ]+): )?([\w.#\[\]-]+) is (.*)", re.DOTALL)
_ABOUT = {
    "Diagnostics": gettext_lazy("Log"),
    "Log": gettext_lazy("Log"),
    "Firmware": gettext_lazy("Firmware"),
    "Publishing firmware": gettext_lazy("Publishing firmware"),
}
# 2.x: UploadLogStatusEnumType, FirmwareStatusEnumType, PublishFirmwareStatusEnumType; and those of 1.6.
_STATUS = {
    "Idle": gettext_lazy("nothing under way"),
    "Uploading": gettext_lazy("is being uploaded"),
    "Uploaded": gettext_lazy("was uploaded"),
    "UploadFailed": gettext_lazy("the upload failed"),
    "UploadFailure": gettext_lazy("the upload failed"),
    "BadMessage": gettext_lazy("the request was not understood"),
    "NotSupportedOperation": gettext_lazy("the station cannot do this"),
    "PermissionDenied": gettext_lazy("access was denied"),
    "AcceptedCanceled": gettext_lazy("gave way to a newer request"),
    "DownloadScheduled": gettext_lazy("will be downloaded later"),
    "Downloading": gettext_lazy("is being downloaded"),
    "DownloadPaused": gettext_lazy("the download pauses"),
    "Downloaded": gettext_lazy("was downloaded"),
    "DownloadFailed": gettext_lazy("the download failed"),
    "SignatureVerified": gettext_lazy("the signature is good"),
    "InvalidSignature": gettext_lazy("the signature is wrong"),
    "InstallScheduled": gettext_lazy("will be installed later"),
    "Installing": gettext_lazy("is being installed"),
    "InstallRebooting": gettext_lazy("the station restarts to install it"),
    "Installed": gettext_lazy("was installed"),
    "InstallationFailed": gettext_lazy("the installation failed"),
    "InstallVerificationFailed": gettext_lazy("the check before the installation failed"),
    "ChecksumVerified": gettext_lazy("the checksum is good"),
    "InvalidChecksum": gettext_lazy("the checksum is wrong"),
    "Published": gettext_lazy("is published"),
    "PublishFailed": gettext_lazy("publishing failed"),
}


def said(text: str) -> str:
    """`text` of an event; as it is, where it holds the station's own words alone."""
    if told := _SECURITY.fullmatch(text):
        return _("Security event: %(what)s") % {"what": security_event(told[1])}
    if (told := _NOTICE.fullmatch(text)) and told[2] in _STATUS:
        return f"{_ABOUT[told[1]]}: {_STATUS[told[2]]}"
    if told := _MONITOR.fullmatch(text):
        return _monitor(told[1] or "", told[2], told[3], text)
    return text


def _monitor(how: str, name: str, value: str, text: str) -> str:
    words = _("%(name)s is %(value)s") % {"name": name, "value": value}
    if not how:
        return words
    if how == "Over":
        return _("Over: %(what)s") % {"what": words}
    grave = next((label for label in SEVERITY.values() if _untranslated(label) == how), None)
    return f"{grave}: {words}" if grave else text


def _untranslated(label: object) -> str:
    with override(None):
        return str(label)
