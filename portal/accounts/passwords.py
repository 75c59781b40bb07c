"""Which passwords are refused: short ones, those from break-ins, and those that somebody could guess.

No rule asks for digits or signs. What counts is how many guesses an attacker needs who knows common passwords,
words, names, keyboards and dates (zxcvbn), and the words of this team, this portal and this person.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, NoReturn
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

SHORTEST = 12
LONGEST = 256  # every sign-in hashes what is typed
LOOKED_AT = 72  # characters that zxcvbn looks at: it gets slow with more
ENOUGH = 8  # powers of ten of guesses
# 43,940 passwords of at least SHORTEST characters, out of the million most frequent in collections of break-ins.
BREACHED = Path(__file__).with_name("breached_passwords.txt.gz")
OWN = (
    *("getscreen", "helpdesk", "servicedesk", "service", "support", "portal", "remote", "desktop", "connect", "invite"),
    *("invitation", "session", "agent", "admin", "administrator", "auditor", "lead", "team", "login", "signin"),
    *("password", "passwort", "passphrase", "welcome", "willkommen", "letmein", "changeme", "default", "demo"),
)
ADVICE = _("Four or five words that have nothing to do with each other are strong and easy to remember.")
_sources: list[Callable[[], Iterable[str]]] = []
_one_at_a_time = Lock()  # zxcvbn keeps the words of a call in a place that all calls share


def add_words(source: Callable[[], Iterable[str]]) -> None:
    """Ask `source` for further words that anybody here would guess, whenever a password is chosen."""
    _sources.append(source)


class Validator:
    """Django's validator of passwords, in one: the first thing that is wrong is said, and what would help."""

    def validate(self, password: str, user: Any = None) -> None:
        refuse_length(password)
        if password.casefold() in breached():
            refuse("breached", _("This password is known from break-ins, and attackers try those first."))
        words = context_words(user)
        if word := guessable_by(password, words):
            refuse("context", _("Anybody here would guess this: it is little more than “%(word)s”."), word=word)
        guesses, pattern = guesses_of(password, words)
        if guesses < ENOUGH:
            refuse("guessable", PATTERNS.get(pattern, PATTERNS["dictionary"]))

    def get_help_text(self) -> str:
        return str(_("At least %(least)d characters, and nothing that somebody could guess.") % {"least": SHORTEST})


PATTERNS: dict[str, str | Promise] = {
    "dictionary": _("This is easy to guess: it is made of common words, names or passwords."),
    "spatial": _("This is easy to guess: its keys lie next to each other."),
    "repeat": _("This is easy to guess: it repeats itself."),
    "sequence": _("This is easy to guess: its characters follow each other, like abc or 123."),
    "regex": _("This is easy to guess: it is little more than a year or a date."),
    "date": _("This is easy to guess: it is little more than a year or a date."),
}


def refuse(code: str, message: str | Promise, **words: Any) -> NoReturn:
    raise ValidationError(_("%(what)s %(advice)s"), code=code, params={"what": str(message) % words, "advice": ADVICE})


def refuse_length(password: str) -> None:
    if len(password) < SHORTEST:
        refuse("password_too_short", _("This is too short: it needs at least %(least)d characters."), least=SHORTEST)
    if len(password) > LONGEST:
        raise ValidationError(
            _("This is too long: at most %(most)d characters."), code="password_too_long", params={"most": LONGEST}
        )


@cache
def breached() -> frozenset[str]:
    return frozenset(gzip.decompress(BREACHED.read_bytes()).decode().split("\n"))


def context_words(user: Any) -> list[str]:
    """Return what an attacker knows about portal, team and person, in lower case, the longest first."""
    texts = [*OWN, settings.MFA_TOTP_ISSUER, urlsplit(settings.PUBLIC_URL).hostname or ""]
    texts += [text for source in _sources for text in source()]
    texts += [str(getattr(user, name, "") or "") for name in ("username", "first_name", "last_name", "email")]
    words = {part for text in texts for part in re.split(r"[\W_]+", text.casefold())}
    words |= {re.sub(r"[\W_]+", "", text.casefold()) for text in texts}
    return sorted((word for word in words if len(word) >= 4), key=lambda word: (-len(word), word))


def guessable_by(password: str, words: list[str]) -> str:
    """Return the first of the words in the password if what is left without them is no password."""
    rest, found = password.casefold(), ""
    for word in words:
        if word in rest:
            rest, found = rest.replace(word, ""), found or word
    return found if found and guesses_of(squeezed(rest), words)[0] < ENOUGH else ""


def guesses_of(password: str, words: list[str]) -> tuple[float, str]:
    """Return the power of ten of the guesses that it takes, and the pattern that most of it follows.

    Signs between words are no secret: without them it must be as good, unless it is made of signs.
    """
    bare = squeezed(password)
    texts = {password, bare} if 2 * len(bare) > len(password) else {password}
    return min(judged(text, words) for text in texts)


def squeezed(text: str) -> str:
    return re.sub(r"[\W_]+", "", text)


def judged(text: str, words: list[str]) -> tuple[float, str]:
    from zxcvbn import zxcvbn  # its word lists take a moment to load, and few requests need them

    if not text:
        return 0.0, "dictionary"
    dated = re.sub(r"20[2-4]\d", "2015", text[:LOOKED_AT])  # the years that it knows end in 2019
    with _one_at_a_time:
        found = zxcvbn(dated, user_inputs=words)
    longest = max(found["sequence"], key=lambda match: len(match["token"]))
    return float(found["guesses_log10"]), str(longest["pattern"])
