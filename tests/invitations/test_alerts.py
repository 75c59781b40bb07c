"""The switches of the alerts: off until a person says otherwise, saved for that person alone."""

import pytest

from invitations.models import AlertChoice

ADDRESS = "/board/alerts/"


def choice(user):
    return AlertChoice.objects.filter(user=user).values_list("sound", "notification").first()


@pytest.mark.parametrize("sent", [{}, {"sound": "on"}, {"notification": "on"}, {"sound": "on", "notification": "on"}])
def test_both_switches_are_saved_as_sent(agent, browser_of, sent):
    browser = browser_of(agent)
    assert browser.post(ADDRESS, {"sound": "on", "notification": "on"}).status_code == 302
    assert browser.post(ADDRESS, sent).headers["Location"] == "/"
    assert choice(agent) == ("sound" in sent, "notification" in sent)


def test_nobody_elses_switches_move(agent, colleague, browser_of):
    AlertChoice.objects.create(user=colleague, sound=True)
    browser_of(agent).post(ADDRESS, {"notification": "on"})
    assert choice(colleague) == (True, False)
    assert choice(agent) == (False, True)


def test_scripts_get_an_empty_answer_and_forms_the_board_with_a_word(agent, browser_of):
    browser = browser_of(agent)
    answer = browser.post(ADDRESS, {"sound": "on"}, headers={"HX-Request": "true"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert "Your choice of alerts is saved." in browser.post(ADDRESS, follow=True).content.decode()


def test_a_new_person_has_both_switches_off_and_a_saved_choice_is_shown(agent, browser_of, vendor):
    browser = browser_of(agent)
    page = browser.get("/").content.decode()
    assert 'name="sound"' in page
    assert 'name="sound" checked' not in page
    browser.post(ADDRESS, {"sound": "on"})
    page = browser.get("/").content.decode()
    assert 'name="sound" checked' in page
    assert 'name="notification" checked' not in page


def test_without_the_board_there_are_no_switches(outsider, browser_of):
    browser = browser_of(outsider)
    assert browser.post(ADDRESS, {"sound": "on"}).status_code == 403
    assert not AlertChoice.objects.exists()
    assert 'id="alerts"' not in browser.get("/history/").content.decode()


def test_a_form_from_elsewhere_changes_nothing(agent, browser_of):
    browser = browser_of(agent)
    browser.handler.enforce_csrf_checks = True
    assert browser.post(ADDRESS, {"sound": "on"}).status_code == 403
    assert not AlertChoice.objects.exists()


def test_after_sign_in_one_comes_back_to_the_board_not_to_the_switches(anonymous):
    assert anonymous.post(ADDRESS).headers["Location"] == "/accounts/login/?next=%2F"
