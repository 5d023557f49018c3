"""Where uploaded files are kept: a folder, or a bucket that speaks S3."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from cpo.env import SettingError

SPOOL_BYTES = 1_000_000  # of a file from S3 that is held in memory; more goes to disk


def files(url: str) -> dict[str, Any]:
    """The entry of STORAGES for FILES_STORAGE_URL. SettingError for an address that is none."""
    if not url:
        return {"BACKEND": "django.core.files.storage.FileSystemStorage"}
    parts = urlsplit(url)
    if parts.scheme != "s3" or not parts.hostname:
        raise SettingError(
            "FILES_STORAGE_URL must look like s3://key:secret@bucket/folder?endpoint=https://s3.example."
        )
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    options = {
        "bucket_name": parts.netloc.rpartition("@")[2],
        "access_key": unquote(parts.username) if parts.username else None,
        "secret_key": unquote(parts.password) if parts.password else None,
        "location": parts.path.strip("/"),
        "endpoint_url": query.get("endpoint"),
        "region_name": query.get("region"),
        "addressing_style": "path" if query.get("endpoint") else None,
        "default_acl": None,
        "file_overwrite": False,
        "max_memory_size": SPOOL_BYTES,
    }
    return {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {name: value for name, value in options.items() if value is not None},
    }
