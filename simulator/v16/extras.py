"""What a 1.6 station answers: FirmwareManagement and the security whitepaper."""

from __future__ import annotations

from typing import Any

from ocpp.routing import on
from ocpp.v16 import call_result
from ocpp.v16.enums import Action

from simulator.commands import told_firmware, told_log
from simulator.security import CSMS_ROOTS
from simulator.v16.core import Answers


class Extras(Answers):
    @on(Action.update_firmware)
    def on_update_firmware(self, location: str, retrieve_date: str, **_: Any) -> Any:
        self.then(lambda: self.station.update_firmware(location, retrieve_date, None))
        return call_result.UpdateFirmware()

    @on(Action.signed_update_firmware)
    def on_signed_update_firmware(self, request_id: int, firmware: dict[str, Any], **_: Any) -> Any:
        self.then(lambda: self.station.update_firmware(request_id=request_id, **told_firmware(firmware)))
        return call_result.SignedUpdateFirmware("Accepted")

    @on(Action.get_diagnostics)
    def on_get_diagnostics(self, location: str, start_time: str = "", stop_time: str = "", **_: Any) -> Any:
        name = f"{self.station.serial}-diagnostics.zip"
        self.then(lambda: self.station.upload_log(location, None, name, since=start_time, until=stop_time))
        return call_result.GetDiagnostics(file_name=name)

    @on(Action.get_log)
    def on_get_log(self, log: dict[str, Any], log_type: str, request_id: int, **_: Any) -> Any:
        name = f"{self.station.serial}-{log_type}.zip"
        self.then(
            lambda: self.station.upload_log(request_id=request_id, name=name, **told_log(log, log_type))
        )
        return call_result.GetLog("Accepted", filename=name)

    @on(Action.get_installed_certificate_ids)
    def on_get_installed_certificate_ids(self, certificate_type: str) -> Any:
        # The whitepaper's name of a root that left the factory under the name of 2.x.
        uses = [certificate_type, *CSMS_ROOTS] if certificate_type in CSMS_ROOTS else [certificate_type]
        found = [data for _use, data in self.station.security.listed(uses)]
        if not found:
            return call_result.GetInstalledCertificateIds("NotFound")
        return call_result.GetInstalledCertificateIds("Accepted", certificate_hash_data=found)

    @on(Action.install_certificate)
    def on_install_certificate(self, certificate_type: str, certificate: str) -> Any:
        return call_result.InstallCertificate(self.station.security.install(certificate_type, certificate))

    @on(Action.delete_certificate)
    def on_delete_certificate(self, certificate_hash_data: dict[str, Any]) -> Any:
        return call_result.DeleteCertificate(self.station.security.delete(certificate_hash_data))

    @on(Action.certificate_signed)
    def on_certificate_signed(self, certificate_chain: str) -> Any:
        return call_result.CertificateSigned(self.station.certificate_signed(certificate_chain, self.then))
