"""A code as it is read out on the phone: each character with its word, in groups of three.

Links are not spelled: they are long, and one wrong letter leads elsewhere. They are sent or scanned.
"""

from __future__ import annotations

import string
from typing import NamedTuple

from invitations.message_texts import DEFAULT

GROUP = 3
# English as on the radio (NATO), German as in DIN 5009:2022, with "zwo" because "zwei" is heard as "drei".
DIGITS = {
    "en": "zero one two three four five six seven eight nine",
    "de": "null eins zwo drei vier fünf sechs sieben acht neun",
}
LETTERS = {
    "en": """Alfa Bravo Charlie Delta Echo Foxtrot Golf Hotel India Juliett Kilo Lima Mike November Oscar Papa Quebec
        Romeo Sierra Tango Uniform Victor Whiskey X-ray Yankee Zulu""",
    "de": """Aachen Berlin Chemnitz Düsseldorf Essen Frankfurt Goslar Hamburg Ingelheim Jena Köln Leipzig München
        Nürnberg Offenbach Potsdam Quickborn Rostock Salzwedel Tübingen Unna Völklingen Wuppertal Xanten Ypsilon
        Zwickau""",
}
ALPHABETS = {
    language: dict(zip(string.digits + string.ascii_uppercase, f"{digits} {LETTERS[language]}".split(), strict=True))
    for language, digits in DIGITS.items()
}


class Sound(NamedTuple):
    """One character, and the word for it: nothing for a sign that needs none."""

    sign: str
    word: str


def spoken(language: str) -> str:
    """Return the language in which codes are read out: the given one, if its words are known."""
    return language if language in ALPHABETS else DEFAULT


def spelled(code: str, language: str) -> list[list[Sound]]:
    words = ALPHABETS[spoken(language)]
    sounds = [Sound(sign, words.get(sign.upper(), "")) for sign in code]
    return [sounds[at : at + GROUP] for at in range(0, len(sounds), GROUP)]
