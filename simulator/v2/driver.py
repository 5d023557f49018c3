"""What a 2.x station answers about its display, its tariffs, payments and batteries."""

from __future__ import annotations

from typing import Any

from ocpp.routing import on
from ocpp.v21.enums import Action as Action21
from ocpp.v201.enums import Action

from simulator.v2.charge import Answers


class Driver(Answers):
    @on(Action.set_display_message)
    def on_set_display_message(self, message: dict[str, Any], **_: Any) -> Any:
        station = self.station
        running = {
            connector.transaction.id for connector in station.connectors.values() if connector.transaction
        }
        return self.call_result.SetDisplayMessage(status=station.screen.show(message, running))

    @on(Action.get_display_messages)
    def on_get_display_messages(
        self,
        request_id: int,
        id: list[int] | None = None,
        priority: str | None = None,
        state: str | None = None,
        **_: Any,
    ) -> Any:
        found = self.station.screen.asked_for(id, priority, state)
        if not found:
            return self.call_result.GetDisplayMessages(status="Unknown")
        self.then(lambda: self.station.report_messages(request_id, found))
        return self.call_result.GetDisplayMessages(status="Accepted")

    @on(Action.clear_display_message)
    def on_clear_display_message(self, id: int, **_: Any) -> Any:
        gone = self.station.screen.messages.pop(id, None)
        return self.call_result.ClearDisplayMessage(status="Accepted" if gone else "Unknown")

    @on(Action.cost_updated)
    def on_cost_updated(self, total_cost: float, transaction_id: str, **_: Any) -> Any:
        number = self.station.connector_of(transaction_id)
        transaction = self.station.connectors[number].transaction if number else None
        if transaction is not None:
            transaction.total_cost = total_cost
        self.station.screen.running[transaction_id] = total_cost
        return self.call_result.CostUpdated()


class Driver21(Answers):
    @on(Action21.set_default_tariff)
    def on_set_default_tariff(self, evse_id: int, tariff: dict[str, Any], **_: Any) -> Any:
        station = self.station
        if evse_id and evse_id not in station.connectors:
            return self.call_result.SetDefaultTariff(status="Rejected")
        return self.call_result.SetDefaultTariff(status=station.screen.install(evse_id, tariff))

    @on(Action21.get_tariffs)
    def on_get_tariffs(self, evse_id: int, **_: Any) -> Any:
        found = self.station.screen.assigned(evse_id)
        if not found:
            return self.call_result.GetTariffs(status="NoTariff")
        return self.call_result.GetTariffs(status="Accepted", tariff_assignments=found)

    @on(Action21.clear_tariffs)
    def on_clear_tariffs(
        self, tariff_ids: list[str] | None = None, evse_id: int | None = None, **_: Any
    ) -> Any:
        results = self.station.screen.forget(tariff_ids, evse_id)
        return self.call_result.ClearTariffs(clear_tariffs_result=results)

    @on(Action21.change_transaction_tariff)
    def on_change_transaction_tariff(self, tariff: dict[str, Any], transaction_id: str, **_: Any) -> Any:
        station = self.station
        if station.connector_of(transaction_id) is None:
            return self.call_result.ChangeTransactionTariff(status="TxNotFound")
        station.screen.of_transactions[transaction_id] = tariff
        return self.call_result.ChangeTransactionTariff(status="Accepted")

    @on(Action21.notify_web_payment_started)
    def on_notify_web_payment_started(self, evse_id: int, timeout: int, **_: Any) -> Any:
        self.station.screen.payments[evse_id] = timeout
        return self.call_result.NotifyWebPaymentStarted()

    @on(Action21.request_battery_swap)
    def on_request_battery_swap(self, id_token: dict[str, Any], request_id: int, **_: Any) -> Any:
        station = self.station
        if not station.can_swap:
            return self.call_result.RequestBatterySwap(
                status="Rejected", status_info={"reason_code": "NoFullBattery"}
            )
        self.then(lambda: station.swap(id_token["id_token"], id_token["type"], request_id))
        return self.call_result.RequestBatterySwap(status="Accepted")
