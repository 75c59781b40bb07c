"""The words that client and supporter compare: many, short, and none that could be heard as another."""

import itertools

import pytest

from invitations.models import PHRASES, new_phrase
from invitations.phrases import WORDS, words_of

LISTS = [(language, position) for language in WORDS for position in (0, 1)]


@pytest.mark.parametrize(("language", "position"), LISTS)
def test_a_list_has_256_short_words_of_letters(language, position):
    words = WORDS[language][position]
    assert len(words) == len(set(words)) == 256
    assert all(word.isalpha() and 3 <= len(word) <= 10 for word in words)
    assert all(word.istitle() if language == "de" else word.islower() for word in words)


def is_near(one: str, other: str) -> bool:
    """Say whether one begins with the other, or one letter more, less or instead makes them the same."""
    if one.startswith(other) or other.startswith(one):
        return True
    if abs(len(one) - len(other)) > 1:
        return False
    start = next(i for i, (a, b) in enumerate(itertools.zip_longest(one, other)) if a != b)
    return (
        one[start + 1 :] == other[start + 1 :] or one[start:] == other[start + 1 :] or one[start + 1 :] == other[start:]
    )


@pytest.mark.parametrize(("language", "position"), LISTS)
def test_no_word_of_a_list_is_nearly_another(language, position):
    words = [word.lower() for word in WORDS[language][position]]
    assert [pair for pair in itertools.combinations(words, 2) if is_near(*pair)] == []


@pytest.mark.parametrize("language", WORDS)
def test_the_two_words_cannot_change_places(language):
    first, second = WORDS[language]
    assert not {word.lower() for word in first} & {word.lower() for word in second}


@pytest.mark.parametrize("language", WORDS)
def test_every_number_has_a_phrase_of_its_own(language):
    assert len({words_of(number, language) for number in range(PHRASES)}) == PHRASES


def test_a_language_without_words_says_the_english_ones():
    number = new_phrase()
    assert words_of(number, "fr") == words_of(number, "en") != words_of(number, "de")
    assert words_of(1 << 20, "en") == words_of(0, "en")
