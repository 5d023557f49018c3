"""Virtual charging stations that speak OCPP 1.6J, 2.0.1 and 2.1 over the socket, and share no code with the product.

See `simulator.station.SimulatedStation` for use from Python and `manage.py simulate --help` for the terminal.
"""

from simulator.car import Car
from simulator.clock import Clock
from simulator.link import LinkError
from simulator.quirks import Quirks
from simulator.station import SimulatedStation
from simulator.thread import StationThread
from simulator.transaction import Token, Transaction

__all__ = ["Car", "Clock", "LinkError", "Quirks", "SimulatedStation", "StationThread", "Token", "Transaction"]
