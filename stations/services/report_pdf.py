"""A report of uptime on paper: head, period, method, table, exclusions with evidence, signature line."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

from django.template.defaultfilters import date as format_date
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext
from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4, LETTER
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    KeepTogether,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)

from stations.models import UptimeScheme

if TYPE_CHECKING:
    from stations.services.uptime_reports import Content, PortLine

INK, SOFT, LINE, WASH = HexColor("#161b1f"), HexColor("#525c65"), HexColor("#c6ccd2"), HexColor("#f0f2f4")
GOOD, BAD = HexColor("#14693d"), HexColor("#a5211a")
_BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=9, leading=12.5, textColor=INK)
_SMALL = ParagraphStyle("small", parent=_BODY, fontSize=7.5, leading=9.5)
_CELL = ParagraphStyle("cell", parent=_BODY, fontSize=7.5, leading=9.5)
_NUM = ParagraphStyle("num", parent=_CELL, alignment=TA_RIGHT)
_HEAD = ParagraphStyle("head", parent=_CELL, textColor=SOFT, fontName="Helvetica-Bold", fontSize=7)
_HEADNUM = ParagraphStyle("headnum", parent=_HEAD, alignment=TA_RIGHT)
_TITLE = ParagraphStyle("title", parent=_BODY, fontName="Helvetica-Bold", fontSize=18, leading=22)
_H2 = ParagraphStyle(
    "h2", parent=_BODY, fontName="Helvetica-Bold", fontSize=11.5, leading=15, spaceBefore=10, spaceAfter=4
)
_FIGURE = ParagraphStyle("figure", parent=_BODY, fontName="Helvetica-Bold", fontSize=15, leading=19)
MOST_LINES, MOST_EXCLUSIONS = 3_000, 1_000


def draw(told: Content) -> bytes:
    """The report as a PDF: A4, or Letter for the United States."""
    target = io.BytesIO()
    size = LETTER if told.scheme == UptimeScheme.US else A4
    document = BaseDocTemplate(
        target, pagesize=size, leftMargin=18 * mm, rightMargin=18 * mm, topMargin=18 * mm, bottomMargin=20 * mm,
        title=f"{_title(told)} {told.month:%Y-%m}", author=told.tenant.name, subject=_("Uptime report"),
        invariant=1,
    )  # fmt: skip
    frame = Frame(document.leftMargin, document.bottomMargin, document.width, document.height, 0, 0, 0, 0)
    document.addPageTemplates(
        PageTemplate(frames=[frame], onPage=lambda canvas, doc: _foot(canvas, doc, told))
    )
    width = document.width
    document.build(
        [
            *_header(told, width), *_answer(told, width), *_method(told), *_ports(told, width),
            *_exclusions(told, width), *_outages(told, width), *_signature(told, width),
        ]
    )  # fmt: skip
    return target.getvalue()


def _text(words: Any, style: ParagraphStyle = _CELL) -> Paragraph:
    return Paragraph(escape(_printable(str(words))), style)


def _printable(text: str) -> str:
    """What the standard fonts can show."""
    return text.encode("cp1252", "replace").decode("cp1252")


def _foot(canvas: Any, document: Any, told: Content) -> None:
    canvas.saveState()
    canvas.setFont("Helvetica", 7.5)
    canvas.setFillColor(SOFT)
    left, right = document.leftMargin, document.pagesize[0] - document.rightMargin
    canvas.setStrokeColor(LINE)
    canvas.line(left, 14 * mm, right, 14 * mm)
    made = _moment(told.made_at, told.tenant.time_zone, "j F Y, H:i T")
    canvas.drawString(left, 10 * mm, _printable(f"{told.tenant.name} · {_title(told)} · {_period(told)}"))
    canvas.drawRightString(
        right, 10 * mm, _("made %(at)s · page %(page)s") % {"at": made, "page": canvas.getPageNumber()}
    )
    canvas.restoreState()


def _title(told: Content) -> str:
    return {
        UptimeScheme.US: _("Charging port uptime under 23 CFR 680.116"),
        UptimeScheme.UK: _("Rapid charge point reliability (SI 2023/1168)"),
        UptimeScheme.EFFECTIVE: _("Effective uptime of charging ports"),
    }[UptimeScheme(told.scheme)]


def _period(told: Content) -> str:
    return format_date(told.month, "F Y")


def _moment(at: datetime, zone: str, form: str = "j M Y, H:i") -> str:
    return format_date(at.astimezone(ZoneInfo(zone)), form)


def _header(told: Content, width: float) -> list[Flowable]:
    where = told.site.name if told.site else _("The whole network")
    facts = [
        (_("Operator"), f"{told.tenant.name} ({told.tenant.country}-{told.tenant.party_id})"),
        (_("Period"), _period(told)),
        (_("Covers"), where),
        (_("Made"), f"{_moment(told.made_at, told.tenant.time_zone)}, {told.made_by}"),
    ]
    table = Table(
        [[_text(name, _SMALL), _text(value, _BODY)] for name, value in facts], [24 * mm, width - 24 * mm]
    )
    table.setStyle(TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0),
                               ("TOPPADDING", (0, 0), (-1, -1), 1), ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
                               ("TEXTCOLOR", (0, 0), (0, -1), SOFT)]))  # fmt: skip
    return [_text(_title(told), _TITLE), Spacer(0, 3 * mm), table, Spacer(0, 4 * mm)]


def percent(value: Decimal | None) -> str:
    return "–" if value is None else f"{value:.2f} %"


def _answer(told: Content, width: float) -> list[Flowable]:
    """The result in one box."""
    below = told.below()
    uk = told.scheme == UptimeScheme.UK
    known = told.known()
    if not told.lines:
        verdict, colour = _("No port was in service."), SOFT
    elif not known:
        verdict, colour = _("No port has told its state, so there is no figure."), SOFT
    elif uk:
        good = told.year_sum.passes
        verdict = _("The network meets 99 %.") if good else _("The network is below 99 %.")
        colour = GOOD if good else BAD
    elif below:
        verdict = _("%(below)s of %(ports)s ports are not above %(limit)s %%.") % {
            "below": len(below), "ports": len(known), "limit": told.threshold,
        }  # fmt: skip
        colour = BAD
    else:
        text = ngettext(
            "The port is above %(limit)s %%.", "All %(ports)s ports are above %(limit)s %%.", len(known)
        )
        verdict, colour = text % {"ports": len(known), "limit": told.threshold}, GOOD
    silent = len(told.lines) - len(known)
    if known and silent:
        more = ngettext(
            "%(count)s port has no figure, for it never told its state.",
            "%(count)s ports have no figure, for they never told their state.",
            silent,
        )
        verdict = f"{verdict} {more % {'count': silent}}"
    year = _("Calendar year so far") if uk else _("Previous twelve months")
    figures = [
        (year, percent(told.year_sum.percent)),
        (_period(told), percent(told.month_sum.percent)),
        (_("Threshold"), f"{'≥' if uk else '>'} {told.threshold} %"),
        (_("Ports"), str(len(told.lines))),
    ]
    cells = [[_text(name, _SMALL) for name, _value in figures], [_figure(value) for _name, value in figures]]
    table = Table(cells, [width / 4] * 4)
    table.setStyle(TableStyle([("BACKGROUND", (0, 0), (-1, -1), WASH), ("TOPPADDING", (0, 0), (-1, 0), 6),
                               ("BOTTOMPADDING", (0, 1), (-1, 1), 8),
                               ("LEFTPADDING", (0, 0), (-1, -1), 8)]))  # fmt: skip
    strong = ParagraphStyle("verdict", parent=_BODY, fontName="Helvetica-Bold", fontSize=11, textColor=colour)
    return [table, Spacer(0, 2.5 * mm), _text(verdict, strong)]


def _figure(value: str) -> Paragraph:
    return Paragraph(escape(value.replace("≥", "at least").replace(">", "above")), _FIGURE)


METHOD_US = gettext_noop(
    "A port is an EVSE: what charges one vehicle at a time. It is up when its hardware and software are online and "
    "available for use, or in use. What a status does not show, a start that fails, counts in the effective uptime. "
    "Its uptime is ((P - (T_outage - T_excluded)) / P) x "
    "100, where T_outage are the minutes in which it was offline, faulted or out of service, and T_excluded those of "
    "them that fall into the exclusions listed below, each minute once. P is 525,600 minutes where the port was in "
    "service for the whole previous twelve months, and the minutes in service otherwise. The threshold is an average "
    "annual uptime greater than 97 percent."
)
METHOD_UK = gettext_noop(
    "A rapid charge point is a public EVSE of 50 kW or more. It counts as reliable while its status is available, "
    "charging or reserved (working), or unknown or blocked (ineligible for measurement); not reliable while it is "
    "inoperative or out of order (regulation 7). Hours in which it cannot be accessed are left out. The network's "
    "figure is the share of reliable minutes among all minutes of all rapid charge points in the calendar year. "
    "OCPI's unknown includes the time in which a charge point could not be heard."
)
METHOD_EFFECTIVE = gettext_noop(
    "As 23 CFR 680.116(b), and failed attempts to charge count as outage: from the first failed start at a port until "
    "the next that worked, at most 24 hours after the last failure. A start fails when a session ends without energy, "
    "a remote start is refused or not answered, or an accepted card is followed by no session."
)
UNKNOWN = gettext_noop(
    "Time before a station was first connected here and after it was removed from service is not part of its period. "
    "Time in which it was connected but never told its state is left out of the period as well and listed as unknown. "
    "Months are those of the site's local time."
)


def _method(told: Content) -> list[Flowable]:
    texts = {
        UptimeScheme.US: _(METHOD_US),
        UptimeScheme.UK: _(METHOD_UK),
        UptimeScheme.EFFECTIVE: _(METHOD_EFFECTIVE),
    }
    body = [_text(texts[UptimeScheme(told.scheme)], _BODY), Spacer(0, 1.5 * mm), _text(_(UNKNOWN), _BODY)]
    return [_text(_("Method"), _H2), *body]


def _table(
    head: Sequence[str], rows: Sequence[Sequence[Any]], widths: Sequence[float], numeric: int
) -> Table:
    """A table whose last `numeric` columns are numbers."""
    first = len(head) - numeric
    cells = [[_text(word, _HEADNUM if n >= first else _HEAD) for n, word in enumerate(head)]]
    for row in rows:
        cells.append(
            [
                one if isinstance(one, Flowable) else _text(one, _NUM if n >= first else _CELL)
                for n, one in enumerate(row)
            ]
        )
    table = Table(cells, widths, repeatRows=1)
    table.setStyle(TableStyle([
        ("VALIGN", (0, 0), (-1, -1), "TOP"), ("LINEBELOW", (0, 0), (-1, 0), 0.8, INK),
        ("LINEBELOW", (0, 1), (-1, -1), 0.3, LINE), ("LEFTPADDING", (0, 0), (-1, -1), 3),
        ("RIGHTPADDING", (0, 0), (-1, -1), 3), ("TOPPADDING", (0, 0), (-1, -1), 2.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
    ]))  # fmt: skip
    return table


def _count(seconds: int) -> str:
    return f"{round(seconds / 60):,}"


def _ports(told: Content, width: float) -> list[Flowable]:
    if not told.lines:
        return []
    year = _("Year") if told.scheme == UptimeScheme.UK else _("12 months")
    head = [_("Site"), _("Station"), _("Port"), _("Minutes"), _("Outage"), _("Excluded"), _("Unknown"),
            _("Month"), year]  # fmt: skip
    widths = [width * share for share in (0.21, 0.15, 0.15, 0.075, 0.075, 0.085, 0.085, 0.085, 0.085)]
    rows = [_port(line) for line in told.lines[:MOST_LINES]]
    made: list[Flowable] = [_text(_("Ports"), _H2), _table(head, rows, widths, 6)]
    if len(told.lines) > MOST_LINES:
        text = _("The first %(most)s of %(ports)s ports; the CSV has all.")
        made.append(_text(text % {"most": MOST_LINES, "ports": len(told.lines)}, _SMALL))
    return made


def _port(line: PortLine) -> list[Any]:
    bad = line.year.passes is False
    style = ParagraphStyle("bad", parent=_NUM, textColor=BAD, fontName="Helvetica-Bold") if bad else _NUM
    month = line.month
    return [
        line.site, line.station, line.port, _count(month.period_s), _count(month.outage_s), _count(month.excluded_s),
        _count(month.unknown_s), percent(month.percent), _text(percent(line.year.percent), style),
    ]  # fmt: skip


def _exclusions(told: Content, width: float) -> list[Flowable]:
    title = _text(_("Excluded times and their evidence"), _H2)
    if not told.exclusions:
        return [KeepTogether([title, _text(_("None is claimed."), _BODY)])]
    head = [_("Category"), _("Where"), _("From"), _("Until"), _("Evidence"), _("Entered")]
    widths = [width * share for share in (0.15, 0.17, 0.13, 0.13, 0.28, 0.14)]
    rows = []
    for one in told.exclusions[:MOST_EXCLUSIONS]:
        where = str(one.station) if one.station else one.site.name
        if one.connector:
            where = _("%(station)s, connector %(number)s") % {
                "station": where,
                "number": one.connector.evse.number,
            }
        zone = one.site.time_zone
        evidence = f"{one.evidence} ({one.reference})" if one.reference else one.evidence
        rows.append(
            [
                one.get_category_display(), where, _moment(one.starts_at, zone), _moment(one.ends_at, zone), evidence,
                f"{one.entered_by}, {_moment(one.entered_at, zone, 'j M Y')}",
            ]
        )  # fmt: skip
    return [title, _table(head, rows, widths, 0)]


def _outages(told: Content, width: float) -> list[Flowable]:
    if not told.outages:
        return []
    words = {"offline": _("offline"), "faulted": _("faulted"), "unavailable": _("out of service")}
    head = [_("Station"), _("Port"), _("Cause"), _("From"), _("Until"), _("Minutes"), _("Counted")]
    widths = [width * share for share in (0.18, 0.08, 0.26, 0.15, 0.15, 0.09, 0.09)]
    rows = [
        [
            str(one["station"]), one["evse"].number,
            ", ".join(filter(None, (words.get(one["why"], one["why"]), one["detail"]))),
            _moment(one["from"], one["station"].site.time_zone), _moment(one["to"], one["station"].site.time_zone),
            _count(one["seconds"]), _count(one["counted_s"]),
        ]
        for one in told.outages
    ]  # fmt: skip
    return [_text(_("The longest outages of the month"), _H2), _table(head, rows, widths, 2)]


def _signature(told: Content, width: float) -> list[Flowable]:
    words = _("I confirm that the figures above were drawn from the records of the charging network named.")
    line = Table(
        [["", "", ""], [_text(_("Place and date"), _SMALL), "", _text(_("Name and signature"), _SMALL)]],
        [width * 0.38, width * 0.08, width * 0.54], [14 * mm, None],
    )  # fmt: skip
    line.setStyle(TableStyle([("LINEBELOW", (0, 0), (0, 0), 0.6, INK), ("LINEBELOW", (2, 0), (2, 0), 0.6, INK),
                              ("LEFTPADDING", (0, 0), (-1, -1), 0)]))  # fmt: skip
    return [KeepTogether([Spacer(0, 8 * mm), _text(words, _BODY), line])]
