"""The board: which rows, in which groups and order, for one viewer and one filter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from django.conf import settings
from django.db.models import FETCH_RAISE
from django.http import QueryDict
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from invitations.models import RECENTLY_CLOSED, Invitation, Policy, Snapshot, Status
from invitations.presentation import Health, Row, tag_of
from portal.accounts.access import Access
from portal.accounts.models import User

TABS: tuple[tuple[str, str | Promise], ...] = (
    ("needs", _("Needs you")),
    ("waiting", _("Waiting")),
    ("session", _("In session")),
    ("all", _("All")),
)
GROUPS: dict[str, tuple[str | Promise, str | Promise]] = {
    "needs": (_("Needs you"), _("longest wait first")),
    "waiting": (_("Waiting for client"), _("newest first")),
    "session": (_("In session"), ""),
    "other": (_("Unknown and closed"), _("closed rows leave in 15 min")),
}
KIND_OF = {Status.JOINED: "needs", Status.WAITING: "waiting", Status.ACTIVE: "session"}
DENSE_FROM = 20


@dataclass(frozen=True)
class Tab:
    key: str
    label: str | Promise
    count: int
    url: str
    is_current: bool


@dataclass(frozen=True)
class Group:
    kind: str
    title: str | Promise
    hint: str | Promise
    rows: list[Row]


class Board:
    """The board as one person asked for it. Reads the rows once."""

    def __init__(self, *, user: User, query: QueryDict, snapshot: Snapshot, policy: Policy, health: Health) -> None:
        self.user = user
        self.may = Access(user)
        self.snapshot = snapshot
        self.policy = policy
        self.health = health
        self.tab = query.get("f", "all") if query.get("f") in dict(TABS) else "all"
        self.whose = "mine" if query.get("whose") == "mine" else "team"
        self.query = query.get("q", "").replace("\x00", "").strip()[:100]
        self.poll_seconds = settings.POLL_SECONDS
        self.recently_closed_minutes = int(RECENTLY_CLOSED / timedelta(minutes=1))
        self.ask_recording = policy.recording == Policy.Recording.ASK

    def params(self, **changes: str) -> dict[str, str]:
        """Return the filter as query parameters, leaving out what is the default."""
        wanted = {"f": self.tab, "whose": self.whose, "q": self.query} | changes
        defaults = {"f": "all", "whose": "team", "q": ""}
        return {name: value for name, value in wanted.items() if value != defaults[name]}

    def url(self, name: str = "board", **changes: str) -> str:
        params = self.params(**changes)
        return reverse(name, query=params) if params else reverse(name)

    @property
    def rows_url(self) -> str:
        return self.url("board_rows")

    @property
    def clear_url(self) -> str:
        return reverse("board")

    @property
    def search_params(self) -> list[tuple[str, str]]:
        return [(name, value) for name, value in self.params().items() if name != "q"]

    @property
    def whose_urls(self) -> dict[str, str]:
        return {whose: self.url(whose=whose) for whose in ("team", "mine")}

    @property
    def is_filtered(self) -> bool:
        return bool(self.params())

    @property
    def tag(self) -> str:
        """Return the polling tag: it differs whenever the fragment would look different to this viewer."""
        facts = (
            self.snapshot.revision,
            self.user.pk,
            *sorted(name for name, is_allowed in vars(self.may).items() if is_allowed),
            self.rows_url,
            settings.LANGUAGE_CODE,
            settings.RELEASE,
            self.health.state,
            self.health.trouble,
            self.policy.previews,
            self.policy.recording,
            int(timezone.now().timestamp()) // 60,  # closed rows leave, waiting ones become late
        )
        return tag_of(*facts)

    @cached_property
    def scope(self) -> list[Row]:
        """Every row of the team's or the viewer's own board, before tab and search."""
        rows = Invitation.objects.visible_to(self.user).on_board(timezone.now()).fetch_mode(FETCH_RAISE)
        if self.whose == "mine":
            rows = rows.filter(created_by=self.user) | rows.filter(taken_by=self.user)
        return [Row(row, self.user, self.may, self.policy, self.snapshot.account, self.health.can_act) for row in rows]

    @property
    def total(self) -> int:
        return sum(1 for row in self.scope if row.invitation.is_open)

    @property
    def needs(self) -> int:
        return self.counts["needs"]

    @cached_property
    def counts(self) -> dict[str, int]:
        counts = dict.fromkeys(GROUPS, 0)
        for row in self.scope:
            counts[kind_of(row)] += 1
        return counts | {"all": len(self.scope)}

    @property
    def tabs(self) -> list[Tab]:
        return [Tab(key, label, self.counts[key], self.url(f=key), key == self.tab) for key, label in TABS]

    @cached_property
    def groups(self) -> list[Group]:
        found: dict[str, list[Row]] = {kind: [] for kind in GROUPS}
        for row in self.scope:
            if self.tab in ("all", kind_of(row)) and self.matches(row):
                found[kind_of(row)].append(row)
        found["needs"].sort(key=longest_wait)
        return [Group(kind, *GROUPS[kind], rows) for kind, rows in found.items() if rows]

    @property
    def is_dense(self) -> bool:
        return len(self.scope) > DENSE_FROM

    def matches(self, row: Row) -> bool:
        """Say whether a row has the searched text in its client, ticket, agent or (where shown) code."""
        if not self.query:
            return True
        invitation, text = row.invitation, self.query.casefold()
        fields = [
            invitation.client_name,
            invitation.ticket,
            invitation.created_by_name,
            invitation.taken_by_name,
        ]
        digits = "".join(text.split())
        by_code = row.can_copy and digits.isdigit() and digits in invitation.code
        return by_code or any(text in field.casefold() for field in fields)


def kind_of(row: Row) -> str:
    if row.is_other_account:
        return "other"
    return KIND_OF.get(Status(row.invitation.status), "other")


def longest_wait(row: Row) -> Any:
    """Sort key: nobody there first, then the longest wait."""
    return (bool(row.taken_by), row.invitation.joined_at)
