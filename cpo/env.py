"""The one table of settings that an installation may set through its environment.

`docs/settings.md` is made from this table (`manage.py document_settings`) and a test compares the two.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


class SettingError(Exception):
    """A setting in the environment cannot be used; the text says which one and what to write instead."""


@dataclass(frozen=True)
class Setting:
    name: str
    kind: str  # text | secret | flag | count | seconds | list | url
    default: str
    help: str


SETTINGS: tuple[Setting, ...] = (
    Setting("VOLTYARD_MODE", "text", "production", "demo, test or production. `up` sets demo; production refuses unsafe settings."),
    Setting("VOLTYARD_PROCESS", "text", "manage", "Role of this process: web, gateway, worker, beat or manage. `serve` sets it."),
    Setting("VOLTYARD_DATA_DIR", "text", "", "Where embedded services, uploads and logs live. Empty: `.voltyard` in the checkout."),
    Setting("SECRET_KEY", "secret", "", "Signs sessions and derives station keys and role passwords. At least 40 random characters."),
    Setting("ENCRYPTION_KEYS", "list", "", "Fernet keys for stored secrets, newest first, separated by commas. Older ones still decrypt."),
    Setting("DEBUG", "flag", "false", "Django's debug pages. Refused in production."),
    Setting("ALLOWED_HOSTS", "list", "", "Host names under which the portal is reached, separated by commas."),
    Setting("PUBLIC_URL", "url", "", "Address of the portal as browsers see it, such as https://cpo.example. Must be https in production."),
    Setting("GATEWAY_URL", "url", "", "Address of the OCPP gateway as stations see it, such as wss://ocpp.example. Must be wss in production."),
    Setting("TRUSTED_PROXIES", "list", "", "Addresses or networks of the TLS proxies in front, whose X-Forwarded-For, X-Forwarded-Proto and client certificate headers are believed."),
    Setting("DATABASE_URL", "secret", "", "PostgreSQL address of the owner role: postgresql://owner:password@host:port/name. The other roles derive from it."),
    Setting("DATABASE_ROLE_PREFIX", "text", "voltyard", "Prefix of the roles that `provision` creates: <prefix>_app, _gateway, _platform, _resolver."),
    Setting("DATABASE_URL_APP", "secret", "", "Address for the application role, if its password is not derived from SECRET_KEY."),
    Setting("DATABASE_URL_GATEWAY", "secret", "", "Address for the gateway role, if its password is not derived from SECRET_KEY."),
    Setting("DATABASE_URL_PLATFORM", "secret", "", "Address for the platform role (Django admin), if its password is not derived."),
    Setting("DATABASE_POOL_SIZE", "count", "8", "Most connections of one process to PostgreSQL. A gateway takes at least 48."),
    Setting("REDIS_URL", "secret", "", "Redis address for live updates and the task queue: redis://:password@host:port/0. Disposable."),
    Setting("MAP_TILE_URL", "text", "", "Tile template such as https://tiles.example/{z}/{x}/{y}.png. Empty: the offline outline of countries. The CSP admits its host."),
    Setting("MAP_ATTRIBUTION", "text", "", "Credit shown on the map for MAP_TILE_URL."),
    Setting("EMAIL_URL", "secret", "", "SMTP address: smtp://user:password@host:587. Empty: mails are written to the log."),
    Setting("EMAIL_FROM", "text", "voltyard@localhost", "Sender of mails, such as Voltyard <no-reply@cpo.example>."),
    Setting("FRAME_RETENTION_DAYS", "count", "30", "How many days OCPP frames are kept before their partition is dropped."),
    Setting("OCPP_MAX_FRAME_BYTES", "count", "262144", "Largest OCPP frame accepted from a station; a larger one closes its socket with 1009."),
    Setting("OCPP_MAX_DEPTH", "count", "32", "Deepest nesting of JSON accepted in an OCPP frame."),
    Setting("OCPP_FRAMES_PER_SECOND", "count", "50", "Frames a second that one station may send on average; more and the gateway reads it slower."),
    Setting("OCPP_FRAME_BURST", "count", "500", "Frames that one station may send at once before OCPP_FRAMES_PER_SECOND counts."),
    Setting("OCPP_PING_SECONDS", "seconds", "30", "A station silent for this long is pinged; silent for twice as long, its socket is closed."),
    Setting("OCPP_CALL_TIMEOUT_SECONDS", "seconds", "30", "How long a station may take to answer a command before it counts as timed out."),
    Setting("OCPP_ERRAND_SECONDS", "seconds", "20", "How long a certificate provider or an OCSP responder may take before a station is answered without it."),
    Setting("OCPP_HEARTBEAT_SECONDS", "seconds", "300", "Heartbeat interval told to stations that have none of their own."),
    Setting("FILES_URL", "url", "", "Address under which stations upload logs and download firmware, such as https://ocpp.example. Empty: that of GATEWAY_URL, whose process serves both."),
    Setting("FILES_PLAIN_URL", "url", "", "The same for stations that know no TLS, such as http://files.example. Empty: plain http is refused in production."),
    Setting("FILES_STORAGE_URL", "secret", "", "Where files are kept: s3://key:secret@bucket/folder?endpoint=https://s3.example&region=eu-central-1. Empty: `media` in VOLTYARD_DATA_DIR."),
    Setting("FILES_TICKET_HOURS", "count", "24", "How long the one-time address of an upload or download is good."),
    Setting("FILES_TRANSFERS", "count", "100", "Most uploads and downloads at once in one process; more are asked to come again."),
    Setting("LOG_MAX_MB", "count", "200", "Largest log that one request may bring."),
    Setting("LOG_TENANT_MB", "count", "20000", "How much the logs of one company may take in all; what comes beyond is refused."),
    Setting("LOG_PATIENCE_MINUTES", "count", "30", "How long to wait for the next sign of a log before the request has failed."),
    Setting("LOG_RETENTION_DAYS", "count", "90", "How many days uploaded logs are kept."),
    Setting("FIRMWARE_MAX_MB", "count", "1024", "Largest firmware image."),
    Setting("FIRMWARE_PATIENCE_MINUTES", "count", "60", "How long to wait for the next sign of an update before the attempt has failed."),
    Setting("FTP_URL", "url", "", "Public address of `serve ftp` for old stations, such as ftp://files.example:21. Empty: no FTP."),
    Setting("FTPS_URL", "url", "", "Public address of `serve ftp` with TLS from the first byte, such as ftps://files.example:990. Empty: no FTPS."),
    Setting("FTP_PASSIVE_PORTS", "text", "", "Ports for the data of FTP, such as 50000-50100; open them in the firewall. Empty: any."),
    Setting("FTP_PASSIVE_ADDRESS", "text", "", "Public IPv4 address told for data connections, where the server stands behind NAT."),
    Setting("FTPS_CERTIFICATE", "text", "", "Path of the PEM file with certificate chain and key of FTPS."),
    Setting("COST_UPDATE_SECONDS", "seconds", "60", "A station that shows the running cost is told a changed one at most this often."),
    Setting("WEB_PAYMENT_PROVIDER", "text", "", "Who takes payments behind the QR codes of stations: a name of `stations/payments.py`. Empty: nobody; `trial` pays without money (demo and test only)."),
    Setting("OCPP_TLS_PORT", "count", "0", "Port on which the gateway ends TLS itself, besides its plain one. 0: it does not; a proxy in front may (docs/tls.md)."),
    Setting("OCPP_TLS_CERTIFICATE", "text", "", "File with the gateway's certificate and its chain, in PEM. Read anew when it changes; open sockets stay."),
    Setting("OCPP_TLS_KEY", "text", "", "File with the key of OCPP_TLS_CERTIFICATE, in PEM."),
    Setting("METER_SAMPLE_DAYS", "count", "30", "How many days single readings of the sites' meters are kept; their minutes stay."),
    Setting("METER_NETWORKS", "list", "", "Private networks in which meters may be read by MQTT and Modbus, such as 10.20.0.0/16 of a VPN to the sites, separated by commas. Empty: public addresses alone; demo and test read anywhere."),
    Setting("LOG_FORMAT", "text", "json", "json (one event a line) or text."),
    Setting("LOG_LEVEL", "text", "INFO", "Least severe level that is logged: DEBUG, INFO, WARNING, ERROR."),
    Setting("API_REQUESTS_PER_MINUTE", "count", "3000", "Most REST requests a minute that one API key may make of one process. 0: no bound."),
    Setting("METRICS_TOKEN", "secret", "", "Bearer token that /metrics asks for. Empty: /metrics answers loopback callers only."),
)  # fmt: skip

_TABLE = {setting.name: setting for setting in SETTINGS}
_FLAGS = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
    "": False,
}


def _flag(name: str, text: str) -> bool:
    try:
        return _FLAGS[text.lower()]
    except KeyError:
        raise SettingError(f"{name} is {text!r}; write true or false.") from None


def _count(name: str, text: str) -> int:
    if not text.isdigit():
        raise SettingError(f"{name} is {text!r}; write a whole number.")
    return int(text)


def _list(name: str, text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


_READERS: dict[str, Callable[[str, str], Any]] = {
    "flag": _flag,
    "count": _count,
    "seconds": _count,
    "list": _list,
}


def read(name: str, environ: Mapping[str, str] = os.environ) -> Any:
    """Value of a setting: from the environment, else its default. SettingError if it cannot be read."""
    setting = _TABLE[name]
    text = environ.get(name, setting.default).strip()
    reader = _READERS.get(setting.kind)
    return reader(name, text) if reader else text
