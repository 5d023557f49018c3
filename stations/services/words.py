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
CONNECTORS_UNKNOWN = gettext_noop("None of its connectors is known yet.")
ORDER_TOO_LONG = gettext_noop("The order is too long for it as well: give it to this station apart.")
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

# --- certificates, profiles and passwords, contracts of cars: written where they arise; a test holds them to this list
_WRITTEN_ELSEWHERE = (
    # requests for certificates
    gettext_noop("The request is for %(name)s; this station is %(identity)s."),
    gettext_noop("The request is for %(name)s, not for this station."),
    gettext_noop("The request uses a key again that was given up as compromised."),
    gettext_noop("The request is longer than OCPP allows."),
    gettext_noop("The request is no PKCS #10 request that can be read."),
    gettext_noop("The request is not signed by the key that it names."),
    gettext_noop("The request is signed with a hash that is broken."),
    gettext_noop("The key's curve %(name)s is not taken; P-256 is."),
    gettext_noop("The RSA key has %(bits)s bits; %(least)s to %(most)s are taken."),
    gettext_noop("The key is neither RSA nor of an elliptic curve that is taken."),
    gettext_noop("More than %(count)s requests within an hour."),
    gettext_noop("A newer request came."),
    gettext_noop("Refused."),
    gettext_noop("There is no V2G authority yet. Add one under Security, Authority."),
    gettext_noop("%(name)s signs elsewhere: export the request and bring the certificate."),
    gettext_noop("%(name)s signs elsewhere: bring the signed certificate."),
    gettext_noop("%(name)s has expired. Enter another authority under Security, Authority."),
    gettext_noop("Each request is approved by a person here."),
    gettext_noop("It names the organisation %(theirs)s; the certificate will say %(ours)s."),
    gettext_noop("Nobody asked the station for it, and it holds no certificate that must be renewed."),
    # at the door
    gettext_noop("From %(address)s. %(detail)s"),
    gettext_noop("From %(address)s."),
    gettext_noop("It came by profile %(profile)s and must come by %(least)s."),
    gettext_noop("A client certificate in a header of somebody who is no proxy."),
    gettext_noop("The certificate cannot be read."),
    gettext_noop("No authority of this company signed it (%(name)s)."),
    gettext_noop("It is for %(name)s."),
    gettext_noop("It was valid until %(time)s UTC."),
    gettext_noop("It is not made for logging in."),
    gettext_noop("It was taken back on %(date)s."),
    gettext_noop("It was made for another station."),
    gettext_noop("It is not among those that were issued here."),
    gettext_noop("It names the organisation %(theirs)s, not %(ours)s."),
    # changes of the profile
    gettext_noop("The station makes its key and asks for a certificate."),
    gettext_noop("The station does not tell by which connections it comes now."),
    gettext_noop("The station did not take its certificate."),
    gettext_noop("The station did not take a password."),
    gettext_noop("It did not restart: %(detail)s."),
    gettext_noop("It did not come back in time. It may return by the old profile."),
    gettext_noop(
        "In time it came back only by profile %(profile)s, which still counts. "
        "Look at its security events for the reason."
    ),
    gettext_noop("Time was up in the step “%(step)s”. %(detail)s"),
    gettext_noop("Time was up in the step “%(step)s”."),
    gettext_noop("Given up by %(name)s."),
    # passwords
    gettext_noop("The station uses it from its next connection on."),
    gettext_noop("The station did not answer: both passwords open until one of them was used."),
    gettext_noop("The station did not answer and goes on with its old password."),
    gettext_noop("Another password was set by hand."),
    # roots for many stations
    # ends of commands
    gettext_noop("The station did not answer within %(seconds)s s."),
    # contracts of cars, and certificates for them
    gettext_noop("Neither a certificate nor hash data of one came with the contract id."),
    gettext_noop("The certificate could not be checked in time."),
    gettext_noop("Not checked in time."),
    gettext_noop("Checked by the station; only hash data came."),
    gettext_noop("The chain must hold one contract certificate."),
    gettext_noop("The certificate names no contract id: %(name)s."),
    gettext_noop("The certificate is of contract %(theirs)s, shown was %(shown)s."),
    gettext_noop("The chain does not reach a trusted root."),
    gettext_noop("The signature of %(name)s is wrong."),
    gettext_noop("No trusted root is known for %(name)s."),
    gettext_noop("%(name)s expired on %(date)s."),
    gettext_noop("%(name)s is valid from %(date)s on."),
    gettext_noop("%(name)s has a critical extension that is not understood (%(oid)s)."),
    gettext_noop("%(name)s is not made for signing."),
    gettext_noop("%(name)s is no authority."),
    gettext_noop("%(name)s may not stand above %(count)s more authorities."),
    gettext_noop("%(name)s is not made for signing certificates."),
    gettext_noop("%(name)s uses %(key)s: ISO 15118 knows P-256, P-521 and Ed448."),
    gettext_noop("Nothing says where to ask whether it was revoked."),
    gettext_noop("There was no time left to ask."),
    gettext_noop("The certificate does not say where to ask."),
    gettext_noop("Revoked on %(date)s (%(reason)s)."),
    gettext_noop("Revoked on %(date)s."),
    gettext_noop("%(host)s cannot be reached: %(why)s"),
    gettext_noop("%(host)s: it answered with HTTP %(status)s"),
    gettext_noop("%(host)s: its answer cannot be read"),
    gettext_noop("%(host)s: its answer is out of date"),
    gettext_noop("%(host)s: its answer is dated in the future"),
    gettext_noop("%(host)s: its answer is about another certificate"),
    gettext_noop("%(host)s: its answer belongs to another question"),
    gettext_noop("%(host)s: its answer is not signed by the authority of the certificate"),
    gettext_noop("%(host)s: its answers cannot be checked, for the issuing authority is not known here"),
    gettext_noop("%(host)s: its list is out of date"),
    gettext_noop("%(host)s: its list is a partial one, or holds what is not understood here"),
    gettext_noop("%(host)s: its list is not signed by the authority of the certificate"),
    gettext_noop("The answer has %(length)s characters; this OCPP version carries %(most)s."),
    gettext_noop("No provider of certificates is set up for Plug & Charge."),
    gettext_noop("The provider did not answer in time."),
    gettext_noop("The provider knows no contract for this car."),
    gettext_noop("The provider's answer holds no contract."),
    gettext_noop("The provider's answer is no JSON."),
    gettext_noop("The provider answered with HTTP %(status)s."),
    gettext_noop("The provider answered with HTTP %(status)s. It says: %(words)s"),
    gettext_noop("The provider refused the client id or the client secret."),
    gettext_noop("The provider does not allow this to the client id."),
    gettext_noop("The provider gave no access token."),
    gettext_noop("%(host)s does not answer (%(why)s)."),
    gettext_noop("%(host)s did not answer a moment ago; it is asked again in some seconds."),
)

_VALUE = re.compile(r"%\((\w+)\)s")


@cache
def _known() -> list[tuple[re.Pattern[str], str]]:
    """(what it looks like with its values and what follows it, the sentence), those with most words first."""
    named = [text for name, text in globals().items() if name.isupper() and isinstance(text, str)]
    found = []
    for sentence in sorted([*named, *_WRITTEN_ELSEWHERE], key=lambda text: -len(_VALUE.sub("", text))):
        parts = _VALUE.split(sentence)
        looks = "".join(
            f"(?P<{part}>.*?)" if place % 2 else re.escape(part.replace("%%", "%"))
            for place, part in enumerate(parts)
        )
        more = "(?P<told_more_> .*)?" if parts[-1] else ""  # a value at the end takes it all
        found.append((re.compile(looks + more, re.DOTALL), sentence))
    return found


def said(text: str) -> str:
    """A kept sentence in the active language. Anything else stays as it is: a station's own words, for one."""
    for looks, sentence in _known():
        if found := looks.fullmatch(text):
            values = found.groupdict()
            more = values.pop("told_more_", None) or ""
            if "detail" in values:
                values["detail"] = said(values["detail"])
            if step := values.get("step"):
                values["step"] = gettext(step)
            return (gettext(sentence) % values if "%" in sentence else gettext(sentence)) + more
    return text
