"""Makes docs/oca-test-cases.md: each published case with the tests that play it. `python3 -m tests.oca.document`."""

from __future__ import annotations

from pathlib import Path

from tests.oca.cases import NOT_PLAYED, TESTS, Case, played, published

PAGE = TESTS.parent / "docs" / "oca-test-cases.md"
HEAD = """# The Open Charge Alliance's test cases

The published compliance test cases with the central system under test, by number, and the tests that play them. A
test speaks the charger's side frame by frame and works the operator's side by REST; what we send is held against the
official schemas. This is our own reading of the cases, no certificate.

Made from the marks in `tests/` by `python3 -m tests.oca.document`.
"""
BLOCKS = {
    "": "OCPP 1.6",
    "A": "A: security",
    "B": "B: provisioning",
    "C": "C: authorisation",
    "D": "D: local authorisation list",
    "E": "E: transactions",
    "F": "F: remote control",
    "G": "G: availability",
    "H": "H: reservation",
    "I": "I: tariff and cost",
    "J": "J: meter values",
    "K": "K: smart charging",
    "L": "L: firmware",
    "M": "M: certificates",
    "N": "N: diagnostics",
    "O": "O: display messages",
    "P": "P: data transfer",
    "Q": "Q: bidirectional power",
    "R": "R: DER control",
    "S": "S: battery swap",
}


def _block(case: Case) -> str:
    letter = case.number.split("_")[1]
    return letter if letter.isalpha() else ""


def page() -> str:
    tests, cases = played(), published()
    done = sum(case.number in tests for case in cases)
    lines = [HEAD, f"{done} of {len(cases)} cases are played."]
    for letter, title in BLOCKS.items():
        own = [case for case in cases if _block(case) == letter]
        lines += [f"\n## {title}\n", "| case | versions | about | played by |", "|---|---|---|---|"]
        for case in own:
            by = "<br>".join(f"`{name}`" for name in tests.get(case.number, ()))
            shown = by or NOT_PLAYED.get(case.number, "not yet")
            lines.append(f"| {case.number} | {', '.join(case.versions)} | {case.title} | {shown} |")
    return "\n".join(lines) + "\n"


def write() -> Path:
    PAGE.write_text(page(), encoding="utf-8")
    return PAGE


if __name__ == "__main__":
    print(f"Written: {write()}")
