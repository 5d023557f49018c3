"""Plugs as people name them."""

from __future__ import annotations

_PLUGS = {
    "IEC_62196_T2": "Type 2",
    "IEC_62196_T2_COMBO": "CCS",
    "IEC_62196_T1": "Type 1",
    "IEC_62196_T1_COMBO": "CCS 1",
    "CHADEMO": "CHAdeMO",
    "DOMESTIC_F": "Schuko",
    "TESLA_S": "Tesla",
    "NACS": "NACS",
}


def named(standard: str) -> str:
    """Of an OCPI ConnectorType; an unknown one as it is."""
    return _PLUGS.get(standard, standard)
