"""How the seeds of authenticator apps and recovery codes are encrypted, and brought from one SECRET_KEY to the next.

`portal.sealing` says how.
"""

from __future__ import annotations

from typing import NamedTuple

from allauth.mfa.models import Authenticator
from django.db import transaction

from portal.sealing import Seal, Unreadable

__all__ = ["Ages", "Unreadable", "age_of", "ages", "keys", "reencrypt", "seal", "stored", "unseal", "unseal_by"]

FIELDS = {Authenticator.Type.TOTP: "secret", Authenticator.Type.RECOVERY_CODES: "seed"}
factors = Seal("portal.accounts.factors")


class Ages(NamedTuple):
    """Whose seeds only a former key opens, and whose no key opens: user names in order."""

    old: list[str]
    lost: list[str]


def keys() -> list[bytes]:
    """Return what seeds are encrypted with: a key derived from SECRET_KEY, and those from its predecessors."""
    return factors.keys()


def seal(seed: str) -> str:
    return factors.close(seed)


def unseal(text: str) -> str:
    """Return the seed. Raises Unreadable."""
    return unseal_by(text, keys())[0]


def unseal_by(text: str, candidates: list[bytes]) -> tuple[str, int]:
    """Return the seed, and the place of the key that opens it. Raises Unreadable."""
    return factors.open(text, candidates)


def age_of(factor: Authenticator, candidates: list[bytes]) -> int | None:
    """Return the place of the key that opens a stored factor: 0 is today's, None is none of them."""
    try:
        return unseal_by(str(factor.data.get(FIELDS[factor.type], "")), candidates)[1]
    except Unreadable:
        return None


def ages() -> Ages:
    """Look at every stored seed."""
    old, lost, candidates = set(), set(), keys()
    for factor in stored():
        place = age_of(factor, candidates)
        if place is None:
            lost.add(factor.user.username)
        elif place:
            old.add(factor.user.username)
    return Ages(sorted(old), sorted(lost))


def stored() -> list[Authenticator]:
    return list(Authenticator.objects.filter(type__in=FIELDS).select_related("user").order_by("pk"))


def reencrypt() -> int:
    """Encrypt with today's key what only a former one opens. Return how many seeds that were."""
    candidates = keys()
    return sum(reencrypt_one(factor.pk, candidates) for factor in stored() if age_of(factor, candidates))


@transaction.atomic
def reencrypt_one(pk: int, candidates: list[bytes]) -> bool:
    """Read the row again under a lock: a code that is used meanwhile must stay used."""
    factor = Authenticator.objects.select_for_update().filter(pk=pk, type__in=FIELDS).first()
    if factor is None or not age_of(factor, candidates):
        return False
    field = FIELDS[factor.type]
    factor.data[field] = seal(unseal_by(factor.data[field], candidates)[0])
    factor.save(update_fields=["data"])
    return True
