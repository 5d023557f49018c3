"""Serves the few files of the npm packages that the pages use, and nothing else of node_modules."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import BaseFinder
from django.core.checks import CheckMessage, Warning
from django.core.files.storage import FileSystemStorage

PACKAGES = Path(settings.BASE_DIR) / "frontend" / "node_modules"

# Address below STATIC_URL -> file below node_modules. The source maps are there because the files name them.
FILES: dict[str, str] = {
    "vendor/tabler.min.css": "@tabler/core/dist/css/tabler.min.css",
    "vendor/tabler.min.css.map": "@tabler/core/dist/css/tabler.min.css.map",
    "vendor/htmx.min.js": "htmx.org/dist/htmx.min.js",
    "vendor/idiomorph-ext.min.js": "idiomorph/dist/idiomorph-ext.min.js",
    "vendor/uplot.min.css": "uplot/dist/uPlot.min.css",
    "vendor/uplot.min.js": "uplot/dist/uPlot.iife.min.js",
    "vendor/leaflet.css": "leaflet/dist/leaflet.css",
    "vendor/leaflet.js": "leaflet/dist/leaflet.js",
    "vendor/leaflet.js.map": "leaflet/dist/leaflet.js.map",
    "vendor/images/layers.png": "leaflet/dist/images/layers.png",
    "vendor/images/layers-2x.png": "leaflet/dist/images/layers-2x.png",
    "vendor/images/marker-icon.png": "leaflet/dist/images/marker-icon.png",
    "vendor/topojson-client.min.js": "topojson-client/dist/topojson-client.min.js",
    "vendor/countries-50m.json": "world-atlas/countries-50m.json",
    "vendor/inter-latin.woff2": "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2",
    "vendor/inter-latin-ext.woff2": "@fontsource-variable/inter/files/inter-latin-ext-wght-normal.woff2",
}


class PackageFinder(BaseFinder):
    """Finds exactly the files of the table above."""

    def __init__(self, app_names: Iterable[str] | None = None, *args: Any, **kwargs: Any) -> None:
        self.storage = FileSystemStorage(location=PACKAGES)

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        missing = [path for path in FILES.values() if not (PACKAGES / path).exists()]
        if not missing:
            return []
        return [
            Warning(
                f"{len(missing)} front-end files are missing, the first is {missing[0]}.",
                hint="Run `npm ci` in frontend/, or `python3 manage.py up`, which does it.",
                id="portal.W001",
            )
        ]

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:
        source = FILES.get(path)
        found = str(PACKAGES / source) if source and (PACKAGES / source).exists() else None
        if find_all:
            return [found] if found else []
        return found

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[tuple[str, Any]]:
        for address, source in FILES.items():
            yield address, _Renamed(self.storage, address, source)


class _Renamed(FileSystemStorage):
    """A storage of one file under the address it is served at (collectstatic opens by address)."""

    def __init__(self, packages: FileSystemStorage, address: str, source: str) -> None:
        super().__init__(location=packages.location)
        self.prefix = ""
        self._names = {address: source}

    def path(self, name: str) -> str:
        return super().path(self._names.get(name, name))
