#!/usr/bin/env python
"""Django's command line, with `start` for a machine where nothing is configured yet."""

import os
import signal
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    if sys.argv[1:2] == ["start"]:
        # The embedded defaults must be in the environment before settings read it.
        from portal import embedded

        embedded.prepare()
    from portal import ownership

    if sys.argv[1:2] in (["serve"], ["watch"]):
        # The first process of a container ignores what it has not asked for: a stop during the start would take effect
        # only with SIGKILL. Both set their own way to end once they run.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ownership.choose(sys.argv[1] if len(sys.argv) > 1 else "")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(str(error))  # it names the variable; where it was read helps nobody


if __name__ == "__main__":
    main()
