"""Security events in words."""

from __future__ import annotations

from django.utils.translation import gettext as _


def security_event(name: str) -> str:
    """A security event in words: OCPP's, and those of the gateway's door; an unknown one as the station told it."""
    words = {
        "FirmwareUpdated": _("Firmware updated"),
        "FailedToAuthenticateAtCsms": _("The station could not log in"),
        "CsmsFailedToAuthenticate": _("The station doubted who we are"),
        "SettingSystemTime": _("Clock set"),
        "StartupOfTheDevice": _("Station started"),
        "ResetOrReboot": _("Station restarted"),
        "SecurityLogWasCleared": _("Security log cleared"),
        "ReconfigurationOfSecurityParameters": _("Security settings changed"),
        "MemoryExhaustion": _("Memory full"),
        "InvalidMessages": _("Invalid messages received"),
        "AttemptedReplayAttacks": _("Messages replayed"),
        "TamperDetectionActivated": _("Housing opened or tampered with"),
        "InvalidFirmwareSignature": _("Firmware with a wrong signature"),
        "InvalidFirmwareSigningCertificate": _("Firmware signed by a wrong certificate"),
        "InvalidCsmsCertificate": _("The station refused our certificate"),
        "InvalidChargingStationCertificate": _("The station's signed certificate was wrong"),
        "InvalidTLSVersion": _("TLS version too old"),
        "InvalidTLSCipherSuite": _("TLS cipher suite too weak"),
        "MaintenanceLoginAccepted": _("Technician logged in at the station"),
        "MaintenanceLoginFailed": _("Failed login at the station"),
        "WrongPassword": _("Wrong password at the door"),
        "ProfileTooLow": _("Security profile too low"),
        "CertificateRefused": _("Certificate refused"),
        "CertificateHeaderForged": _("Forged certificate header"),
    }
    return words.get(name, name)
