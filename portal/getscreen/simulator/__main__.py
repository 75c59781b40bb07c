"""Serves the simulator: `GETSCREEN_API_KEY=… python -m portal.getscreen.simulator --port 0 --demo`.

Responsible for the life of the process: it says `ready PORT` once it listens and ends with its parent's
end of the pipe or a signal. Refuses to know what is served.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence

from portal.getscreen.simulator import demo
from portal.getscreen.simulator.app import Simulator
from portal.getscreen.simulator.ledger import Ledger
from portal.getscreen.simulator.server import Server

KEY = "GETSCREEN_API_KEY"
STDIN = 0
EPOCH = 1_700_000_000
# A demo may run for weeks, and nobody reads its ledger.
LEDGER_SIZE = 1_000


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    if not os.environ.get(KEY):
        print(f"Set {KEY} to any text: it is the key the simulator accepts.", file=sys.stderr)  # noqa: T201
        return 2
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    threading.Thread(target=_stop_with_stdin, args=(stopping,), daemon=True).start()
    _serve(options, stopping)
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="portal.getscreen.simulator", description="A simulated vendor.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    parser.add_argument("--demo", action="store_true", help="a board of invented clients that lives")
    return parser.parse_args(arguments)


def _serve(options: argparse.Namespace, stopping: threading.Event) -> None:
    # A portal may remember the ids of an earlier run, so each run has ids of its own.
    simulator = Simulator(api_key=os.environ[KEY], first_id=int(time.time()) - EPOCH)
    simulator.ledger = Ledger(keep=LEDGER_SIZE)
    with Server(simulator, options.host, options.port) as server:
        # Only now the port is known, and with it where links lead.
        simulator.public_url = server.origin
        if options.demo:
            demo.seed(simulator)
            threading.Thread(target=demo.Life(simulator).run, args=(stopping,), daemon=True).start()
        print(f"ready {server.port}", flush=True)  # noqa: T201
        stopping.wait()


def _stop_with_stdin(stopping: threading.Event) -> None:
    """A parent that dies closes the pipe, so the simulator never outlives it."""
    # Not sys.stdin: its lock, held by this thread, would break the interpreter's own end.
    with contextlib.suppress(OSError):
        while os.read(STDIN, 1024):
            pass
    stopping.set()


if __name__ == "__main__":
    sys.exit(main())
