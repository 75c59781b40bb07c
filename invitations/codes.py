"""What somebody typed, pasted or followed, read as the code of an invitation: nine digits, forgiving about the rest."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

DIGITS = 9
LONGEST = 300  # signs that are looked at; a pasted link has fewer
LINK = re.compile(r"\s*https?://[^\s?#]*/([^\s/?#]+)/*(?:[?#]\S*)?\s*\Z", re.IGNORECASE)
SHARED = re.compile(r"(\d{9})-([a-z2-7]{8})/*\Z", re.ASCII | re.IGNORECASE)
MINUS = "\u2212"  # Unicode counts it among the signs of mathematics


class Unreadable(ValueError):
    """This is no code. `reason` is "empty", "letters" or "length"; `count` says how many digits there were."""

    def __init__(self, reason: str, count: int = 0) -> None:
        self.reason, self.count = reason, count
        super().__init__(reason)


class Code(NamedTuple):
    """Nine ASCII digits, and from a shared link the tag behind them (`invitations.links`)."""

    digits: str
    tag: str = ""

    def __str__(self) -> str:
        """Return the one spelling that addresses have."""
        return f"{self.digits}-{self.tag}" if self.tag else self.digits


def read(typed: str) -> Code:
    """Return the code in a field or in the last part of an address; a whole link is taken for its last part.

    Digits of every script count, and what stands between them does not. Raises Unreadable.
    """
    if link := LINK.match(typed[:LONGEST]):
        typed = link[1]
    if shared := SHARED.match(typed.strip()[:LONGEST]):
        return Code(shared[1], shared[2].lower())
    digits = "".join(map(digit, typed[:LONGEST]))
    if not digits:
        raise Unreadable("empty")
    if len(digits) != DIGITS or len(typed) > LONGEST:
        raise Unreadable("length", len(digits))
    return Code(digits)


def digit(sign: str) -> str:
    """Return the digit a sign stands for, or nothing for what may stand between digits. Raises Unreadable."""
    value = unicodedata.decimal(sign, None)
    if value is not None:
        return str(value)
    # Punctuation, spaces, marks that are not seen, and accents of a sign that counts by itself.
    if unicodedata.category(sign)[0] in "PZM" or unicodedata.category(sign) in ("Cc", "Cf") or sign == MINUS:
        return ""
    raise Unreadable("letters")
