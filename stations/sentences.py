"""Sentences that services keep in rows: in English, as machines are told them; people read them in their language."""

from __future__ import annotations

import re
from functools import cache

from django.utils.translation import gettext, gettext_noop

KNOWN = (
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
    gettext_noop("It did not hold it."),
    gettext_noop("It held it already."),
    gettext_noop("It was not online in time."),
    gettext_noop("It did not answer; it is asked again."),
    gettext_noop("The rollout was stopped."),
    # ends of commands
    gettext_noop("The station answered %(answer)s."),
    gettext_noop("The station was not connected in time. Send it again once it is."),
    gettext_noop("The station did not answer within %(seconds)s s."),
    gettext_noop("The connection ended before the station answered."),
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
_PART = re.compile(r"%\((\w+)\)s")


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """Of sentences with something to fill in; the wordiest first."""
    filled = sorted(
        (text for text in KNOWN if _PART.search(text)), key=lambda text: -len(_PART.sub("", text))
    )
    return [(re.compile(_pattern(text), re.DOTALL), text) for text in filled]


def _pattern(text: str) -> str:
    pieces = _PART.split(text)  # literal, name, literal, name ...
    return "".join(
        f"(?P<{piece}>.+?)" if place % 2 else re.escape(piece) for place, piece in enumerate(pieces)
    )


def said(text: str) -> str:
    """The sentence in the reader's language; one that nobody knows stays as it is."""
    if text in KNOWN:
        return gettext(text)
    for pattern, known in _patterns():
        if found := pattern.fullmatch(text):
            parts = found.groupdict()
            if "detail" in parts:
                parts["detail"] = said(parts["detail"])
            if step := parts.get("step"):
                parts["step"] = gettext(step)
            return gettext(known) % parts
    return text
