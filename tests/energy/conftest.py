from tests.stations.ocpp.conftest import gateway

__all__ = ["gateway"]
