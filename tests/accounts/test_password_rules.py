"""Which passwords are refused, with which words, and at which doors."""

from __future__ import annotations

import time

import pytest
from django.contrib.auth.password_validation import password_validators_help_texts, validate_password
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command

from invitations.models import Policy
from portal.accounts import passwords
from portal.accounts.models import OneTimeLink, User
from tests.conftest import PASSWORD, Browser

pytestmark = pytest.mark.django_db
GOOD = "another horse, another battery"


@pytest.fixture
def mika():
    return User(username="mlindqvist", first_name="Mika", last_name="Lindqvist", email="mika.lind@quillmere.example")


def refusal(password, user=None):
    with pytest.raises(ValidationError) as caught:
        validate_password(password, user)
    (error,) = caught.value.error_list
    return error.code, " ".join(caught.value.messages)


@pytest.mark.parametrize(
    "password",
    [PASSWORD, GOOD, "zq4-Kv8w-pM2x", "48203975120663", "пароль из одних русских букв", "jagd kiosk tulpe rahmen"],
)
def test_a_password_that_takes_many_guesses_is_taken(password, mika):
    validate_password(password, mika)


@pytest.mark.parametrize(
    ("length", "code"), [(0, "password_too_short"), (11, "password_too_short"), (257, "password_too_long")]
)
def test_length_is_looked_at_first(length, code):
    found, words = refusal("q" * length)
    assert found == code
    assert ("at least 12" in words) == (length < 12)
    assert ("at most 256" in words) == (length > 12)


@pytest.mark.parametrize("password", ["1qaz2wsx3edc", "1QAZ2wsx3EDC", "leavemealone", "polniypizdec0211"])
def test_a_password_from_break_ins_is_refused(password):
    code, words = refusal(password)
    assert code == "breached"
    assert "attackers try those first" in words
    assert "Four or five words" in words


def test_the_breached_ones_are_thousands_of_our_length_and_load_once():
    found = passwords.breached()
    assert len(found) == 43_940
    assert min(map(len, found)) == passwords.SHORTEST
    assert passwords.breached() is found


@pytest.mark.parametrize(
    ("password", "word"),
    [
        ("getscreen2026!", "getscreen"),
        ("Helpdesk-2026-Sommer", "helpdesk"),
        ("Quillmere IT 2026", "quillmere"),
        ("Lindqvist 1984!!", "lindqvist"),
        ("mlindqvist-mlindqvist", "mlindqvist"),
        ("mika.lind@quillmere.example", "quillmere"),
        ("Administrator123", "administrator"),
        ("testserver/2026", "testserver"),
    ],
)
def test_words_of_team_portal_and_person_make_no_password(password, word, mika):
    Policy.objects.update_or_create(pk=1, defaults={"helpdesk_name": "Quillmere IT Helpdesk"})
    code, words = refusal(password, mika)
    assert code == "context"
    assert "Anybody here would guess" in words
    assert word[:4] in words


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("aaaaaaaaaaaaaaaa", "repeats itself"),
        ("abcdefghijklmnop", "follow each other"),
        ("qwertyuiop[]asdf", "easy to guess"),
        ("sunshine football", "easy to guess"),
        ("123456789012", "easy to guess"),
    ],
)
def test_what_is_easy_to_guess_is_refused_with_the_reason(password, words):
    code, told = refusal(password)
    assert code in ("guessable", "breached") or words in told
    assert words in told or code == "breached"
    assert "Four or five words" in told


def test_context_alone_does_not_refuse(mika):
    validate_password("helpdesk jagd kiosk tulpe rahmen", mika)


def test_a_long_password_is_judged_quickly():
    began = time.process_time()
    validate_password("".join(f"{number * 7919}x" for number in range(60))[:256])
    assert time.process_time() - began < 10  # not a measure: what grows with the square of the length takes minutes


def test_the_page_says_what_is_wanted():
    (text,) = password_validators_help_texts()
    assert text == "At least 12 characters, and nothing that somebody could guess."


# --- every door


BAD = "getscreen2026!"


def test_no_page_takes_a_bad_password(agent, admin, browser_of, vendor):
    change = {"oldpassword": PASSWORD, "password1": BAD, "password2": BAD}
    assert "Anybody here would guess" in browser_of(agent).post("/accounts/password/change/", change).content.decode()
    new = {"new_password1": BAD, "new_password2": BAD}
    link = OneTimeLink.objects.issue(OneTimeLink.Purpose.RESET, agent)
    assert Browser().post(f"/accounts/invite/{link}/", new).status_code == 422
    enrol = {"username": "root", "email": "", "password1": BAD, "password2": BAD}
    User.objects.filter(pk=admin.pk).update(is_active=False)
    first = OneTimeLink.objects.issue(OneTimeLink.Purpose.ADMINISTRATOR)
    assert Browser().post(f"/accounts/enrol/{first}/", enrol).status_code == 422
    agent.refresh_from_db()
    assert agent.check_password(PASSWORD)


@pytest.mark.parametrize("password", [BAD, "short"])
def test_no_command_takes_a_bad_password(monkeypatch, capsys, password):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", password)
    with pytest.raises(CommandError):
        call_command("createsuperuser", username="root", email="root@example.org", interactive=False, verbosity=0)
    monkeypatch.setattr("getpass.getpass", lambda *_: password)
    monkeypatch.setattr("builtins.input", lambda *_: "y")  # create the user all the same
    with pytest.raises(CommandError):
        call_command("createsuperuser", username="root", email="r@example.org", stdin=Terminal(), verbosity=0)
    assert not User.objects.exists()


class Terminal:
    def isatty(self):
        return True


def test_a_command_takes_a_good_password(monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", GOOD)
    call_command("createsuperuser", username="root", email="root@example.org", interactive=False, verbosity=0)
    assert User.objects.get().check_password(GOOD)
