"""Who is in which team and who leads it: read and written from either side, a team's or a person's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

from portal.accounts.models import Membership

# Of one person in one team: leads it, is in it, or is not (None).
Places = dict[int, bool | None]
Side = Literal["user", "team"]
_told: list[Callable[[], object]] = []


def tell(changed: Callable[[], object]) -> None:
    """Have `changed` called in the transaction of every change."""
    _told.append(changed)


def places(side: Side, among: Iterable[int], **about: Any) -> Places:
    """Return the place of each of these people in a team (`team=`), or of a person in each of these teams (`user=`)."""
    rows = dict(Membership.objects.filter(**about).values_list(f"{side}_id", "is_lead"))
    return {pk: rows.get(pk) for pk in among}


def write(side: Side, wanted: Places, **about: Any) -> None:
    """Have it as wanted. Who or what is not named stays as it is."""
    now = places(side, wanted, **about)
    changed = {pk: place for pk, place in wanted.items() if place != now[pk]}
    Membership.objects.filter(**about, **{f"{side}__in": changed}).delete()
    Membership.objects.bulk_create(
        Membership(**about, **{f"{side}_id": pk}, is_lead=place) for pk, place in changed.items() if place is not None
    )
    if changed:
        for told in _told:
            told()
