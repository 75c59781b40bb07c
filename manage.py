#!/usr/bin/env python
"""Django's command line, with `start` for a machine where nothing is configured yet."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    if sys.argv[1:2] == ["start"]:
        # The embedded defaults must be in the environment before settings read it.
        from portal import embedded

        embedded.prepare()
    from portal import ownership

    ownership.choose(sys.argv[1] if len(sys.argv) > 1 else "")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(str(error))  # it names the variable; where it was read helps nobody


if __name__ == "__main__":
    main()
