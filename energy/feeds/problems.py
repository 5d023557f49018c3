"""What can be wrong with a feed, in words. Kept in English with a detail behind a colon, said in the reader's."""

from __future__ import annotations

from django.utils.translation import gettext, gettext_noop

UNREACHABLE = gettext_noop("Cannot be reached")
UNKNOWN_NAME = gettext_noop("The name server does not know it")
NOT_ALLOWED = gettext_noop("Lies in a network in which this installation reads no meters (METER_NETWORKS)")
REFUSED = gettext_noop("Refuses the user name or the password")
UNTRUSTED = gettext_noop("Its certificate is not trusted")
CUT_OFF = gettext_noop("The connection broke off")
NOT_SPOKEN = gettext_noop("Answers otherwise than was expected")
TOO_LONG = gettext_noop("Sends a message that is too long")
TOPIC_REFUSED = gettext_noop("Does not let us read the topic")
SILENT = gettext_noop("Sends nothing on these topics")
NO_JSON = gettext_noop("Sends what is no JSON")
NO_VALUE = gettext_noop("Does not send the value")
NO_NUMBER = gettext_noop("Sends what is no number")
REGISTER = gettext_noop("Refuses the register")
NO_ANSWER = gettext_noop("Does not answer")
NO_MODEL = gettext_noop("Does not hold the SunSpec model")
NO_STATION = gettext_noop("The station is not there any more")
NO_READING = gettext_noop("The station has sent no reading with current or power yet")
UNUSABLE = gettext_noop("Tells what cannot be")
SETTINGS = gettext_noop("Its settings cannot be used")
INTERNAL = gettext_noop("It could not be read, for a fault of this software that is in its log")
ALL = frozenset(value for name, value in list(globals().items()) if name.isupper())


class FeedError(Exception):
    """A feed that does not work: one of the words above, and what it is about."""

    def __init__(self, problem: str, detail: str = "") -> None:
        clean = " ".join(detail.split())
        super().__init__(f"{problem}: {clean}"[:200] if clean else problem)


def said(error: str) -> str:
    """An error as it is kept, in the reader's language."""
    problem, colon, detail = error.partition(": ")
    return f"{gettext(problem)}{colon}{detail}" if problem in ALL else error
