"""Start everything on this machine, with nothing configured: the newcomer's one command."""

import argparse
import socket
from contextlib import ExitStack
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from invitations import demo, static_files
from invitations.management.commands.serve import begin
from invitations.server import Server
from portal.accounts.management.commands.create_admin import enrolment_link
from portal.accounts.models import administrators

DEFAULT_PORT = 8000


class Command(BaseCommand):
    help = "Prepare the database and run the portal on http://localhost:8000; without an API key as a demo."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=DEFAULT_PORT)

    def handle(self, *args: Any, **options: Any) -> None:
        port = options["port"]
        refuse_taken(port)
        if f"http://localhost:{DEFAULT_PORT}" == settings.PUBLIC_URL:
            settings.PUBLIC_URL = f"http://localhost:{port}"  # one-time links lead to where it runs
        with ExitStack() as running:
            if settings.DEMO:
                running.enter_context(demo.simulator())
            call_command("migrate", interactive=False, verbosity=0)
            static_files.ensure_collected()
            begin()
            self.stdout.write(self.welcome(f"http://localhost:{port}"))
            self.stdout.flush()
            Server(bind=f"127.0.0.1:{port}", workers=1, threads=16).run()

    def welcome(self, address: str) -> str:
        """Say where to go and how to sign in."""
        if settings.DEMO:
            return demo_welcome(address)
        lines = [f"\nThe portal runs at {address} and talks to {settings.GETSCREEN_API_URL}."]
        if not administrators().exists():
            link = enrolment_link().replace(settings.PUBLIC_URL, address, 1)
            lines += ["There is no administrator yet. Open this link within 15 minutes:", f"\n  {link}"]
        return "\n".join([*lines, "\nPress Ctrl-C to stop.\n"])


def demo_welcome(address: str) -> str:
    people = demo.seed()
    demo.furnish()
    rows = "\n".join(f"  {user:<10}{password:<16}{role}" for role, user, password in people)
    return (
        f"\nDemo: not connected to Getscreen. Open {address} and sign in as one of\n\n"
        f"  {'user':<10}{'password':<16}role\n{rows}\n\n"
        "New passwords are made at each start. No second factor is asked for here: a real portal asks everyone.\n"
        "With GETSCREEN_API_KEY in .env it becomes the real thing.\n"
        "Press Ctrl-C to stop.\n"
    )


def refuse_taken(port: int) -> None:
    """Raise CommandError if something listens on `port` already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise CommandError(
                f"Port {port} is in use by another program. Stop it, or choose another: manage.py start --port 8001"
            ) from None
