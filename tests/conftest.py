"""People, a simulated Getscreen and browsers that are signed in, for every test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.db import connection
from django.test import Client as DjangoBrowser

from invitations import board, fragments, sync
from invitations.models import Invitation, Snapshot
from portal.accounts import behind, roles
from portal.accounts.models import User
from portal.audit import strangers
from portal.audit.models import Detail, Event
from portal.getscreen import configured
from portal.getscreen.client import Client
from portal.getscreen.simulator import Simulator

PASSWORD = "correct horse battery staple"
# What the form of the policy sends beside what a test is about.
POLICY_LIMITS = {
    "fresh_factor_minutes": "0",
    "connects_per_ten_minutes": "20",
    "creates_per_hour": "60",
    "shared_link": "vendor",
    "supporter_name": "first",
    "escalate_page_seconds": "60",
    "escalate_webhook_seconds": "120",
    "escalate_mail_seconds": "300",
    "escalations_per_hour": "30",
    "orphaned_after_minutes": "15",
    "expires_after_hours": "24",
    "long_session_hours": "6",
    "erased_after_days": "0",
    "visibility": "everyone",
}


def whole_log() -> str:
    """Return all that the audit log keeps, the erasable details as well: what must be in it nowhere is sought here."""
    return str([list(model.objects.values()) for model in (Event, Detail)])


def pass_a_minute(key: str) -> None:
    """Let strangers' events of this kind and network be written again."""
    cache.delete(f"{key}:quiet")
    strangers.memory._held[key].until = 0


class Browser(DjangoBrowser):
    """Django's test browser, always over https."""

    def generic(self, method: str, path: str, *args: Any, **kwargs: Any) -> Any:
        return super().generic(method, path, *args, **kwargs | {"secure": True})


@pytest.fixture
def make_person(db: None) -> Callable[..., User]:
    def make(name: str, *role_names: str, **fields: Any) -> User:
        user = User.objects.create_user(name, f"{name}@example.org", PASSWORD, **fields)
        user.groups.set(Group.objects.filter(name__in=role_names))
        return user

    return make


@pytest.fixture
def agent(make_person: Callable[..., User]) -> User:
    return make_person("agent", roles.AGENT, first_name="Mika", last_name="Lind")


@pytest.fixture
def colleague(make_person: Callable[..., User]) -> User:
    return make_person("colleague", roles.AGENT, first_name="Joss", last_name="Imre")


@pytest.fixture
def outsider(make_person: Callable[..., User]) -> User:
    return make_person("outsider", is_staff=True)


@pytest.fixture
def lead(make_person: Callable[..., User]) -> User:
    return make_person("lead", roles.TEAM_LEAD)


@pytest.fixture
def auditor(make_person: Callable[..., User]) -> User:
    return make_person("auditor", roles.AUDITOR)


@pytest.fixture
def admin(make_person: Callable[..., User]) -> User:
    return make_person("admin", roles.ADMINISTRATOR)


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """The simulated Getscreen, reached by the portal's real client without sockets."""
    import requests
    from django.conf import settings

    from tests.simulated import mount

    simulator = Simulator(api_key=settings.GETSCREEN_API_KEY.reveal(), public_url="https://go.getscreen.me", seed=1)
    session = requests.Session()
    mount(session, simulator, url="http://127.0.0.1:1/v1")
    client = Client(
        api_key=settings.GETSCREEN_API_KEY,
        base_url=settings.GETSCREEN_API_URL,
        link_hosts=settings.GETSCREEN_LINK_HOSTS,
        session=session,
        sleep=lambda seconds: None,
    )
    monkeypatch.setattr(configured, "client", lambda: client)
    monkeypatch.setattr(configured, "watching_client", lambda: client)
    return simulator


@pytest.fixture
def look(vendor: Simulator, db: None) -> Callable[[], Snapshot]:
    """One round of the watcher; returns the snapshot after it."""

    def run() -> Snapshot:
        sync.run_round(configured.client())
        return Snapshot.load()

    return run


@pytest.fixture
def browser_of() -> Callable[[User], Browser]:
    """A browser in which a person is signed in, over https."""

    def sign_in(user: User) -> Browser:
        browser = Browser(headers={"user-agent": "test"})
        browser.force_login(user)
        return browser

    return sign_in


@pytest.fixture
def anonymous() -> Browser:
    return Browser()


@pytest.fixture
def lasting_connection(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the test's own connection when an answer is closed, which ends its request and what is left open."""
    monkeypatch.setattr(connection, "close_if_unusable_or_obsolete", lambda: None)


def known(vendor_id: int) -> Invitation:
    return Invitation.objects.get(vendor_id=vendor_id)


@pytest.fixture(autouse=True)
def nothing_behind_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do at once what a real portal does behind an answer: a thread would see nothing of a test's transaction."""
    monkeypatch.setattr(behind, "run", lambda task, *arguments, **more: task(*arguments, **more))


@pytest.fixture(autouse=True)
def forget_strangers() -> None:
    strangers.memory.forget()


@pytest.fixture(autouse=True)
def forget_fragments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test begins with revision 1 again; what another has rendered for it is another board.

    A rush is only where a test makes one: tests change and look again faster than any person does.
    """
    monkeypatch.setattr(fragments, "LONGEST_REST", 0)
    board.forget()
