"""A stand-in for the Quick Support API, for tests and for the demo.

Responsible for the behaviour of the vendor's documentation, including its oddities, and for faults on
demand. Refuses to know the portal: standard library only, nothing of the rest of this project.

    simulator = Simulator(api_key="test-key-not-real")
    simulator.fail("create", "hang_after", times=1)
    simulator.ledger.count("created")
"""

from portal.getscreen.simulator.app import Simulator
from portal.getscreen.simulator.faults import FAULTS, OPERATIONS, TABLE, Fault
from portal.getscreen.simulator.ledger import Effect, Ledger, Request
from portal.getscreen.simulator.server import serve

__all__ = ["FAULTS", "OPERATIONS", "TABLE", "Effect", "Fault", "Ledger", "Request", "Simulator", "serve"]
