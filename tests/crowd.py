"""A crowd on one database: people connect, claim and rename while two watchers look, in threads of one process.

Before, people press Connect at the very same moment, and claim: each time one of them must win, and alone.
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

from invitations import actions, claims, sync
from invitations.models import Invitation, Operation, Policy
from invitations.refusals import ActionRefused, Taken
from portal.accounts.models import User
from portal.audit.models import Event
from portal.getscreen import configured
from portal.getscreen.client import Client
from portal.getscreen.simulator import Simulator
from tests import chain
from tests.simulated import mount

SECONDS = 4.0
DUELS = 12
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
    people = [User.objects.create_user(f"person{number}") for number in range(PEOPLE)]
    for user in people:
        user.groups.set(Group.objects.filter(name="Team lead"))
    duels = [duel(people[:2], numbers[0], connects=number % 2 == 0) for number in range(DUELS)]
    links = simulator.ledger.count("link_minted")
    end = time.monotonic() + SECONDS

    def work(user: User) -> None:
        number = random.choice(numbers)
        with contextlib.suppress(Exception):  # another thread was quicker
            (simulator.leave if random.random() < 0.5 else simulator.join)(number)
        row = Invitation.objects.get(vendor_id=number)
        if random.random() < 0.3:
            actions.rename(invitation=row, by=user, client_name=f"Client {random.random()}")
        elif random.random() < 0.3:
            claims.release(invitation=row, by=user, named=str(row.taken_by_id))
        elif random.random() < 0.3:
            claims.hand_over(invitation=row, by=user, to=random.choice(people), named=str(row.taken_by_id))
        elif random.random() < 0.3:
            claims.claim(invitation=row, by=user, take_over=str(row.taken_by_id))
        else:
            actions.connect(invitation=row, by=user, take_over=random.choice(["", str(row.taken_by_id)]))

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
    threads += [threading.Thread(target=repeat, args=(work, user)) for user in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pending = Operation.objects.filter(state=Operation.State.PENDING).count()
    counts = {"pending": pending, "events": Event.objects.count(), "links": links}
    json.dump({"seen": seen, "faults": chain.faults_here(), "duels": duels} | counts, sys.stdout)


def duel(people: list[User], number: int, *, connects: bool) -> list[str]:
    """Let people do the same with one client that nobody has, at once; return how it ended for each."""
    Invitation.objects.filter(vendor_id=number).update(taken_by=None, taken_by_name="", connecting_at=None)
    act = actions.connect if connects else claims.claim
    start, ended = threading.Barrier(len(people)), list[str]()

    def press(user: User) -> None:
        row = Invitation.objects.get(vendor_id=number)
        start.wait()
        try:
            act(invitation=row, by=user)
            ended.append("won")
        except Taken as refusal:
            ended.append(f"told of {refusal.invitation.taken_by_name != user.display_name}")
        except Exception as surprise:
            ended.append(f"surprise: {surprise!r}")
        connections.close_all()

    threads = [threading.Thread(target=press, args=(user,)) for user in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(ended)


if __name__ == "__main__":
    main()
