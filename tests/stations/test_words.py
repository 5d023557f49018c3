"""What services keep with rows is said in the reader's language, whoever wrote it down in which."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.utils import translation

from stations.models import FirmwareImage, Station
from stations.services import words
from stations.services.files import updates
from tenants.context import tenant_scope
from tenants.models import Site, Tenant
from tests.stations.files.test_campaigns import KNOWN

KEPT = sorted(text for name, text in vars(words).items() if name.isupper() and isinstance(text, str))


@pytest.mark.nodb
@pytest.mark.parametrize("sentence", KEPT)
def test_each_sentence_is_known_again_with_its_values(sentence: str) -> None:
    values = {name: f"{name} 7.5 % (x)." for name in re.findall(r"%\((\w+)\)s", sentence)}
    kept = sentence % values
    with translation.override("en"):
        assert words.said(kept) == kept
        assert words.said(f"{kept} code 7") == f"{kept} code 7"
    with translation.override("de"):
        said = words.said(f"{kept} code 7")
    assert said != f"{kept} code 7" and said.endswith(" code 7")
    assert all(value in said for value in values.values())


@pytest.mark.nodb
def test_what_nobody_here_wrote_is_left_as_it_is() -> None:
    with translation.override("de"):
        assert words.said("InternalError 7") == "InternalError 7" and words.said("") == ""


def test_a_note_is_kept_in_one_language_and_read_in_another(
    tenant: Tenant, site: Site, make_station: Any, owner_actor: Any
) -> None:
    from tests.objects import create_image

    station: Station = make_station(site=site, identity="S1", **KNOWN)
    image: FirmwareImage = create_image(tenant)
    with tenant_scope(tenant.pk), translation.override("de"):  # a German presses the button
        update = updates.plan(
            tenant_id=tenant.pk, station_id=station.pk, image_id=image.pk, actor=owner_actor
        )
        assert update.note == "Sent without a signature: the image has none."
        assert words.said(update.note) != update.note
