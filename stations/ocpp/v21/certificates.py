"""Blocks A and M: 2.1 adds the root of car makers, ISO 15118-20 certificates and the number of a request."""

from __future__ import annotations

from stations.models import CertificateUse
from stations.ocpp.v201 import certificates

USES = {**certificates.USES, CertificateUse.OEM_ROOT.value: "OEMRootCertificate"}
SIGNED = {**certificates.SIGNED, "v2g20": "V2G20Certificate"}
SAYS = certificates.says(USES, SIGNED)
ANSWERS = certificates.answers(SIGNED)
