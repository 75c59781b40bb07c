"""A helpdesk's first hour in an empty database, by the portal's own code: `python -m tests.releases.filling`."""

from __future__ import annotations

import django

django.setup()

import requests  # noqa: E402
from django.conf import settings  # noqa: E402
from django.contrib.auth.models import Group  # noqa: E402
from django.test import Client as Browser  # noqa: E402

from invitations import actions, outbox, sync  # noqa: E402
from invitations.models import Invitation, Policy  # noqa: E402
from portal.accounts.models import Membership, OneTimeLink, Team, User  # noqa: E402
from portal.audit import program  # noqa: E402
from portal.getscreen import configured  # noqa: E402
from portal.getscreen.client import Client  # noqa: E402
from portal.getscreen.simulator import Simulator  # noqa: E402
from tests.simulated import mount  # noqa: E402

PASSWORD = "correct horse battery staple"
PEOPLE = {
    "mika": ("Mika", "Lind", "Agent"),
    "joss": ("Joss", "Imre", "Team lead"),
    "noor": ("Noor", "Sandoval", "Administrator"),
    "ines": ("Ines", "Vale", "Auditor"),
    "gone": ("Rut", "Away", "Agent"),
}


def simulate() -> Simulator:
    """Put the simulator behind the portal's client."""
    simulator = Simulator(api_key=settings.GETSCREEN_API_KEY.reveal(), public_url="https://go.getscreen.me", seed=1)
    session = requests.Session()
    mount(session, simulator, url="http://127.0.0.1:1/v1")
    client = Client(
        api_key=settings.GETSCREEN_API_KEY,
        base_url="http://127.0.0.1:1/v1",
        link_hosts=settings.GETSCREEN_LINK_HOSTS,
        session=session,
        sleep=lambda seconds: None,
    )
    configured.client = configured.watching_client = lambda: client
    return simulator


def people() -> dict[str, User]:
    found = {}
    for username, (first, last, role) in PEOPLE.items():
        address = f"{username}@example.org"
        user = User.objects.create_user(username, address, PASSWORD, first_name=first, last_name=last)
        user.groups.set(Group.objects.filter(name=role))
        found[username] = user
    User.objects.filter(username="gone").update(is_active=False)
    line = Team.objects.create(name="First line")
    for username in ("mika", "joss"):
        Membership.objects.create(user=found[username], team=line, is_lead=username == "joss")
    OneTimeLink.objects.issue(OneTimeLink.Purpose.INVITE, found["ines"])
    Browser().force_login(found["mika"])
    return found


def work(simulator: Simulator, mika: User, joss: User) -> None:
    """Invite, let clients come, connect, note, claim, close, and leave some of it open."""
    made = [
        actions.create(by=person, client_name=f"Client {number}", ticket=f"HD-{number}", note="VPN")
        for number, person in enumerate((mika, joss) * 4, start=1)
    ]
    for number, invitation in enumerate(made):
        if number < 5:
            simulator.join(invitation.vendor_id)
    simulator.add("Made elsewhere")
    sync.run_round(configured.client())
    made = list(Invitation.objects.order_by("pk"))
    actions.connect(invitation=made[0], by=mika)
    simulator.activate(made[0].vendor_id)
    actions.annotate(invitation=made[1], by=joss, note="VPN, second try", seen=1)
    actions.rename(invitation=made[2], by=joss, client_name="Client three")
    for invitation in made[3:5]:
        actions.close(invitation=invitation, by=joss, outcome="Solved")
    outbox.order_mail(invitation=made[1], to="client@example.org", subject="Your link", body="Text", by=mika)
    sync.run_round(configured.client())


def main() -> None:
    program.started()
    Policy.objects.update_or_create(pk=1, defaults={"helpdesk_name": "First Line"})
    found = people()
    work(simulate(), found["mika"], found["joss"])
    program.stopped()


if __name__ == "__main__":
    main()
