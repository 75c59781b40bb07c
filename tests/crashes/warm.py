"""`manage.py` commands from a process that has imported everything: a restart costs a fork, not seconds of imports.

A program: each line on its input is a log file and a command's arguments, it answers with the process's number.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from importlib import import_module

sys.argv[:] = ["manage.py", "serve"]  # what runs here, as events tell it

import django  # noqa: E402

django.setup()

from django.core.management import execute_from_command_line  # noqa: E402

for name in ("portal.urls", "portal.middleware", "invitations.server", "invitations.management.commands.serve"):
    import_module(name)


def run(log: str, arguments: list[str]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    execute_from_command_line(["manage.py", *arguments])


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead bury themselves
    for line in sys.stdin:
        log, *arguments = line.split()
        pid = os.fork()
        if not pid:
            try:
                run(log, arguments)
            except Exception:
                traceback.print_exc()
            finally:
                os._exit(1)
        print(pid, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
