"""The scripted other side of the simulator's tests serves here too."""

from tests.simulator.conftest import csms

__all__ = ["csms"]
