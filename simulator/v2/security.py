"""What a 2.x station answers about certificates (A02, M03 to M05) and its ways to the CSMS (B09)."""

from __future__ import annotations

from typing import Any

from ocpp.routing import on
from ocpp.v201.enums import Action

from simulator.security import OWN
from simulator.v2.charge import Answers


class Certificates(Answers):
    @on(Action.install_certificate)
    def on_install_certificate(self, certificate_type: str, certificate: str, **_: Any) -> Any:
        status = self.station.security.install(certificate_type, certificate)
        return self.call_result.InstallCertificate(status=status)

    @on(Action.delete_certificate)
    def on_delete_certificate(self, certificate_hash_data: dict[str, Any], **_: Any) -> Any:
        return self.call_result.DeleteCertificate(status=self.station.security.delete(certificate_hash_data))

    @on(Action.get_installed_certificate_ids)
    def on_get_installed_certificate_ids(self, certificate_type: list[str] | None = None, **_: Any) -> Any:
        found = [
            {"certificate_type": use, "certificate_hash_data": data}
            for use, data in self.station.security.listed(certificate_type)
        ]
        if not found:
            return self.call_result.GetInstalledCertificateIds(status="NotFound")
        return self.call_result.GetInstalledCertificateIds(
            status="Accepted", certificate_hash_data_chain=found
        )

    @on(Action.certificate_signed)
    def on_certificate_signed(self, certificate_chain: str, certificate_type: str = OWN, **_: Any) -> Any:
        status = self.station.certificate_signed(certificate_chain, self.then, certificate_type)
        return self.call_result.CertificateSigned(status=status)

    @on(Action.set_network_profile)
    def on_set_network_profile(
        self, configuration_slot: int, connection_data: dict[str, Any], **_: Any
    ) -> Any:
        status = self.station.security.set_slot(configuration_slot, connection_data)
        return self.call_result.SetNetworkProfile(status=status)
