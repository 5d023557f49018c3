"""Leave to move one file through the file door: secrets in addresses, of which only the hash is kept."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.db import connections
from django.db.models import F
from django.utils import timezone

from stations.models import FileTicket, Protocol, Station, TicketPurpose, Variable
from tenants.context import current_alias
from tenants.errors import DomainError, Invalid

HTTP_ROOT = "/files/"
USER_LENGTH = 8  # of the secret's 32 hexadecimal digits: the user of FTP, the rest is the password
_SECRET = re.compile(r"[0-9a-f]{32}")
MOST_FILES = 10  # of one ticket: some stations upload several, or try again
# Keys and variables in which stations tell what they can speak.
_PROTOCOL_KEYS = ("SupportedFileTransferProtocols", "FileTransferProtocols")


class Gone(DomainError):
    code, title, status = "gone", "This address has expired or was used already", 410


@dataclass(frozen=True, slots=True)
class Found:
    tenant_id: int
    ticket_id: int


def secret() -> str:
    return secrets.token_hex(16)


def hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def issue(
    *, tenant_id: int, token: str, purpose: TicketPurpose, station_id: int, of: dict[str, int], hours: int = 0
) -> FileTicket:
    """`of`: {"log_request_id": 1} or the like, whose file may move."""
    return FileTicket.objects.create(
        tenant_id=tenant_id,
        token_hash=hashed(token),
        purpose=purpose,
        station_id=station_id,
        expires_at=timezone.now() + timedelta(hours=hours or settings.FILES_TICKET_HOURS),
        **of,
    )


def find(token: str) -> Found | None:
    """The ticket of a secret, whatever tenant's; None for any other text. Works outside any tenant."""
    if not _SECRET.fullmatch(token):
        return None
    with connections[current_alias()].cursor() as cursor:
        cursor.execute("SELECT tenant_id, ticket_id FROM stations_file_ticket(%s)", [hashed(token)])
        row = cursor.fetchone()
    return Found(*row) if row else None


def taken(*, tenant_id: int, ticket_id: int, address: str = "") -> FileTicket:
    """The ticket, noted as used now. Gone when it has expired."""
    ticket = (
        FileTicket.objects.select_related("station", "log_request", "update__image", "publication__image")
        .filter(tenant_id=tenant_id, pk=ticket_id)
        .first()
    )
    if ticket is None or ticket.expires_at <= timezone.now():
        raise Gone("This address has expired. Ask for the file again in the portal.")
    FileTicket.objects.filter(tenant_id=tenant_id, pk=ticket_id).update(
        last_used_at=timezone.now(), last_address=address[:64]
    )
    return ticket


def moved(*, tenant_id: int, ticket_id: int, size: int, files: int = 0) -> None:
    FileTicket.objects.filter(tenant_id=tenant_id, pk=ticket_id).update(
        bytes_moved=F("bytes_moved") + size, files_moved=F("files_moved") + files
    )


def expire(*, tenant_id: int, minutes: int = 0, **of: int) -> None:
    """No longer valid, or only so much longer."""
    until = timezone.now() + timedelta(minutes=minutes)
    FileTicket.objects.filter(tenant_id=tenant_id, expires_at__gt=until, **of).update(expires_at=until)


def purge(*, tenant_id: int) -> int:
    """Tickets that nobody can use any more."""
    old = timezone.now() - timedelta(days=7)
    return FileTicket.objects.filter(tenant_id=tenant_id, expires_at__lt=old).delete()[0]


def base_urls() -> dict[str, str]:
    """{protocol: address} of what this installation offers, the best first."""
    first = settings.FILES_URL or settings.GATEWAY_URL.replace("ws", "http", 1)
    offered: dict[str, str] = {}
    for url in (first, settings.FILES_PLAIN_URL, settings.FTPS_URL, settings.FTP_URL):
        if url:
            offered.setdefault(urlsplit(url).scheme, url.rstrip("/"))
    if not settings.FILES_ALLOW_HTTP and not settings.FILES_PLAIN_URL:
        offered.pop("http", None)
    return {word: offered[word] for word in Protocol.values if word in offered}


def spoken_by(station: Station) -> tuple[str, ...]:
    """What the station says it can, of ours, best first; all of ours where it says nothing."""
    offered = tuple(base_urls())
    told = Variable.objects.filter(
        tenant_id=station.tenant_id, station=station, name__in=_PROTOCOL_KEYS, value__isnull=False
    ).values_list("value", flat=True)[:4]
    words = {
        word.strip().lower() for value in told for word in re.split(r"[,;\s]+", value or "") if word.strip()
    }
    return tuple(word for word in offered if word in words) or offered


def choose(station: Station, wanted: str = "") -> str:
    """The protocol to use. Invalid where this installation does not offer what is wanted, or nothing at all."""
    offered = base_urls()
    if wanted:
        if wanted not in offered:
            raise Invalid(
                fields={"protocol": f"Not offered here. Choose one of {', '.join(offered) or 'none'}."}
            )
        return wanted
    if not offered:
        raise Invalid("No address for files is set up: see FILES_URL in docs/firmware-and-logs.md.")
    return spoken_by(station)[0]


def others(station: Station, used: str) -> Sequence[str]:
    """What else could be tried."""
    return [word for word in base_urls() if word != used]


def address(protocol: str, token: str, name: str = "") -> str:
    """What goes to the station. A folder (for uploads) where no name is given."""
    base = base_urls()[protocol]
    if protocol in ("http", "https"):
        return f"{base}{HTTP_ROOT}{token}/{quote(name)}"
    parts = urlsplit(base)
    login = f"{token[:USER_LENGTH]}:{token[USER_LENGTH:]}"
    return f"{parts.scheme}://{login}@{parts.netloc}/{quote(name)}"
