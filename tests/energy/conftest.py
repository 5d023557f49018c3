"""Servers that meters are read from."""

from tests.energy.servers import broker, device, tls_broker

__all__ = ["broker", "device", "tls_broker"]
