"""People from a CSV file: hostile and honest ones, a preview first, and links that are shown once."""

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from portal.accounts import roles
from portal.accounts.models import OneTimeLink, User
from portal.audit.models import Event
from tests.conftest import Browser, whole_log

PAGE = "/admin/accounts/user/import/"
GOOD = "username;email;first_name;last_name;roles\nnia;Nia@Example.org;Nia;Öst;agent|Auditor\nbo;;Bo;;\n"
MIXED = "username,email\nnia,nia@example.org\nAGENT,\nbo,nia@example.org\n=cmd(),\n"


@pytest.fixture
def office(admin, browser_of, vendor):
    return browser_of(admin)


def newcomers():
    return set(User.objects.exclude(username__in=("admin", "agent")).values_list("username", flat=True))


def test_a_file_is_shown_first_and_then_added(office):
    upload = SimpleUploadedFile("people.csv", b"\xef\xbb\xbf" + GOOD.encode())
    page = office.post(PAGE, {"file": upload}).content.decode()
    assert "Nothing is written yet" in page
    assert not newcomers()
    answer = office.post(PAGE, {"text": GOOD, "step": "all"}).content.decode()
    links = re.findall(r">https://testserver(/accounts/invite/[\w-]+/)<", answer)
    assert newcomers() == {"nia", "bo"}
    assert User.objects.get(username="nia").role_names == [roles.AGENT, roles.AUDITOR]
    assert Event.objects.filter(kind="user.created").count() == 2
    assert [Browser().get(path).status_code for path in links] == [200, 200]
    assert not any(path.split("/")[3] in whole_log() for path in links)


def test_with_a_bad_line_nothing_is_written_unless_only_the_good_are_wanted(office, agent):
    page = office.post(PAGE, {"text": MIXED, "step": "all"}).content.decode()
    assert not newcomers()
    assert "Somebody with this user name exists already." in page
    assert "is in the file twice" in page
    assert "begins like a formula" in page
    office.post(PAGE, {"text": MIXED, "step": "good"})
    assert newcomers() == {"nia"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "email\nx@example.org",
        "username,is_superuser\nnia,1",
        "username,username\nnia,bo",
        "username\n",
        'username\n"nia',
        "username\n" + "".join(f"p{number}\n" for number in range(501)),
        "username\nnia\x00",
    ],
)
def test_what_is_no_such_file_is_refused(office, text):
    for step in ("", "all", "good"):
        assert office.post(PAGE, {"text": text, "step": step}).status_code == 200
    assert not newcomers()
    assert not OneTimeLink.objects.exists()


@pytest.mark.parametrize("data", [GOOD.encode("utf-16"), b"username\n\xff\xfe", b"x" * 200_000])
def test_files_that_are_no_small_text_are_refused(office, data):
    assert office.post(PAGE, {"file": SimpleUploadedFile("x.csv", data), "step": "all"}).status_code == 200
    assert not newcomers()


@pytest.mark.parametrize(
    "cell", ["=1+1", "+nia", "-nia", "@nia", "\t=x", "<script>alert(1)</script>", "nia bo", "x" * 151]
)
def test_hostile_names_are_refused_and_shown_as_text(office, cell):
    page = office.post(PAGE, {"text": f"username\n{cell}", "step": "good"}).content.decode()
    assert "<script>alert" not in page
    assert not newcomers()


def test_unknown_roles_and_lines_of_another_length_are_problems(office):
    page = office.post(PAGE, {"text": "username,roles\nnia,Superuser\nbo,Agent,more", "step": "all"}).content.decode()
    assert "There is no role “Superuser”." in page
    assert "It has 3 cells." in page
    assert not newcomers()


def test_an_import_makes_nobody_a_superuser_and_changes_nobody(office, agent, admin):
    office.post(PAGE, {"text": "username,roles\nagent,Administrator\nadmin,", "step": "good", "is_superuser": "on"})
    assert User.objects.get(pk=agent.pk).role_names == [roles.AGENT]
    assert User.objects.get(pk=admin.pk).role_names == [roles.ADMINISTRATOR]
    assert not User.objects.filter(is_superuser=True).exists()
