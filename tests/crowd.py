"""A crowd on one database: people connect and rename while two watchers look, in threads of one process.

Run as a program with DATABASE_URL; prints what happened as JSON. Any deadlock, lost lock or other
surprise shows up under its name.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import random
import sys
import threading
import time

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"

import django

django.setup()

import requests
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import connections

from invitations import actions, sync
from invitations.models import Invitation, Operation, Policy
from invitations.refusals import ActionRefused
from portal.accounts.models import User
from portal.audit.models import Event
from portal.getscreen import configured
from portal.getscreen.client import Client
from portal.getscreen.simulator import Simulator
from tests import chain
from tests.simulated import mount

SECONDS = 4.0
PEOPLE = 4
ROWS = 8


def vendor() -> Simulator:
    simulator = Simulator(api_key=settings.GETSCREEN_API_KEY.reveal(), seed=1)
    session = requests.Session()
    mount(session, simulator, url=settings.GETSCREEN_API_URL)
    client = Client(
        api_key=settings.GETSCREEN_API_KEY,
        base_url=settings.GETSCREEN_API_URL,
        link_hosts=settings.GETSCREEN_LINK_HOSTS,
        session=session,
        sleep=lambda seconds: None,
    )
    configured.client = configured.watching_client = lambda: client  # type: ignore[assignment]
    return simulator


def main() -> None:
    call_command("migrate", verbosity=0)
    Policy.objects.create(creates_per_hour=0, connects_per_ten_minutes=0)
    simulator, seen = vendor(), collections.Counter[str]()
    numbers = [simulator.add(f"Client {number}", status=1) for number in range(ROWS)]
    sync.run_round(configured.client())
    end = time.monotonic() + SECONDS

    def work(user: User) -> None:
        number = random.choice(numbers)
        with contextlib.suppress(Exception):  # another thread was quicker
            (simulator.leave if random.random() < 0.5 else simulator.join)(number)
        row = Invitation.objects.get(vendor_id=number)
        if random.random() < 0.3:
            actions.rename(invitation=row, by=user, client_name=f"Client {random.random()}")
        else:
            actions.connect(invitation=row, by=user)

    def look(user: User) -> None:
        sync.run_round(configured.client())

    def repeat(step, user) -> None:
        while time.monotonic() < end:
            try:
                step(user)
            except ActionRefused:
                seen["refused"] += 1
            except Exception as surprise:
                seen[f"surprise: {type(surprise).__name__}"] += 1
            else:
                seen[step.__name__] += 1
        connections.close_all()

    threads = [threading.Thread(target=repeat, args=(look, None)) for _ in range(2)]
    for number in range(PEOPLE):
        user = User.objects.create_user(f"person{number}")
        user.groups.set(Group.objects.filter(name="Team lead"))
        threads.append(threading.Thread(target=repeat, args=(work, user)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pending = Operation.objects.filter(state=Operation.State.PENDING).count()
    json.dump(
        {"seen": seen, "faults": chain.faults_here(), "pending": pending, "events": Event.objects.count()}, sys.stdout
    )


if __name__ == "__main__":
    main()
