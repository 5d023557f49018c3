"""Sentences that are kept with a row, in English, and said in the reader's language: whoever reads them later has
another one than the worker, or the person, that wrote them down."""

from __future__ import annotations

import re
from functools import cache

from django.utils.translation import gettext, gettext_noop

# --- updates ---
ONE_OF_16 = gettext_noop("OCPP 1.6 cannot say when to install: the station installs at once.")
UNSIGNED = gettext_noop("Sent without a signature: the image has none.")
KNOWS_NO_SIGNED = gettext_noop("The station does not know signed updates: sent without a signature.")
FROM_CONTROLLER = gettext_noop("Fetched from the local controller %(name)s.")
NO_ANSWER = gettext_noop("The station did not answer; it may have begun all the same.")
TAKEN_BACK = gettext_noop("The command was taken back.")
REFUSED = gettext_noop("The station refused: %(word)s.")
SIGNER_NOT_TRUSTED = gettext_noop("The station does not trust the certificate that signed this image.")
SIGNER_REVOKED = gettext_noop("To the station the certificate that signed this image is revoked.")
BAD_SIGNATURE = gettext_noop("The station says that the signature is not good.")
NOT_INSTALLED = gettext_noop("The station could not install it.")
NO_BYTE = gettext_noop("The station could not download it: no byte was fetched from here.")
DOWNLOAD_FAILED = gettext_noop("The download failed at %(share)s %%.")
OTHER_VERSION = gettext_noop("The station says that it is installed, yet it reports version %(version)s.")
SILENT_INSTALLING = gettext_noop("The station fell silent while it installed.")
NEVER_FETCHED = gettext_noop("The station never fetched the image.")
DOWNLOAD_STOPPED = gettext_noop("The download stopped at %(share)s %%.")
# --- who cannot take an image ---
REMOVED = gettext_noop("The station was removed.")
NEVER_CONNECTED = gettext_noop("The station has never connected.")
MADE_BY = gettext_noop("Made by %(vendor)s.")
OTHER_MODEL = gettext_noop("Model %(model)s is not among the image's.")
HAS_IT = gettext_noop("It has this version already.")
NOT_DIRECTLY = gettext_noop("Version %(version)s cannot take it directly.")
# --- campaigns ---
BOUND = gettext_noop("%(count)s stations failed; the bound is %(bound)s.")
WAVE = gettext_noop("Of wave %(wave)s only %(good)s of %(all)s stations succeeded; %(needed)s %% are needed.")
# --- publications ---
CONTROLLER_SILENT = gettext_noop("The controller fell silent.")
CONTROLLER_NOT_REACHED = gettext_noop("The command did not reach the controller.")
CONTROLLER_BUSY = gettext_noop("Stations are fetching it now. Withdraw it again later.")
# --- logs ---
NOTHING_LOGGED = gettext_noop("The station has nothing for this span of time.")
FILE_TOO_LARGE = gettext_noop("Logs may have %(most)s MB at most.")
NO_ROOM = gettext_noop("All logs together may take %(most)s MB. Delete old ones, then ask for it again.")
BROKE_OFF = gettext_noop("The station broke off the connection.")
FELL_SILENT = gettext_noop("The station fell silent.")
TOOK_TOO_LONG = gettext_noop("It took too long.")
EMPTY = gettext_noop("The file is empty.")
DISK_FULL = gettext_noop("The disk here is nearly full. Make room, then try again.")
OUR_TROUBLE = gettext_noop("Something broke on our side. Try again later.")
# --- commands ---
NOT_CONNECTED = gettext_noop("The station was not connected in time. Send it again once it is.")
CONNECTION_ENDED = gettext_noop("The connection ended before the station answered.")
# --- settings ---
GIVEN_UP = gettext_noop(
    "Set %(count)s times, and it did not stay so. It is left as it is until somebody sets it."
)
TELLS_OTHER = gettext_noop("The station tells %(value)s")
# --- certificates ---
NOT_ONLINE = gettext_noop("It was not online in time.")
ASKED_AGAIN = gettext_noop("It did not answer; it is asked again.")
ANSWERED = gettext_noop("The station answered %(word)s.")
ROLLOUT_STOPPED = gettext_noop("The rollout was stopped.")
HELD_NOT = gettext_noop("It did not hold it.")
HELD = gettext_noop("It held it already.")
# --- monitors ---
STAYS = gettext_noop("It stays: %(reason)s")

_VALUE = re.compile(r"%\((\w+)\)s")


@cache
def _known() -> list[tuple[re.Pattern[str], str]]:
    """(what it looks like with its values and what follows it, the sentence), those with most words first."""
    sentences = [text for name, text in globals().items() if name.isupper() and isinstance(text, str)]
    found = []
    for sentence in sorted(sentences, key=lambda text: -len(_VALUE.sub("", text))):
        parts = _VALUE.split(sentence)
        looks = "".join(
            f"(?P<{part}>.*?)" if place % 2 else re.escape(part.replace("%%", "%"))
            for place, part in enumerate(parts)
        )
        found.append((re.compile(f"{looks}(?P<told_more_> .*)?", re.DOTALL), sentence))
    return found


def said(text: str) -> str:
    """A kept sentence in the active language. Anything else stays as it is: a station's own words, for one."""
    for looks, sentence in _known():
        if found := looks.fullmatch(text):
            values = found.groupdict()
            more = values.pop("told_more_") or ""
            return (gettext(sentence) % values if "%" in sentence else gettext(sentence)) + more
    return text
