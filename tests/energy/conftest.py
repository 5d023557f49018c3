from tests.energy.servers import broker, device, tls_broker
from tests.stations.ocpp.conftest import gateway

__all__ = ["broker", "device", "gateway", "tls_broker"]
