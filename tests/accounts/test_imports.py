"""People from a CSV file: hostile and honest ones, a preview first, and links that are shown once."""

import re
from html import unescape

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile

from portal.accounts import imports, roles
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


def shown_text(page):
    """Return what the page's form would send again, as a browser reads it."""
    inner = re.search(r'<textarea name="text"[^>]*>\n?(.*?)</textarea>', page, re.DOTALL)[1]
    return unescape(inner)


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        '"username";"email"\r\n"nia";"nia@example.org"\r\n',
        "sep=;\nroles;username\nAgent;nia\n",
        "\ufeffUsername , Email\nnia,nia@example.org\n",
        "email,username\nnia@example.org,nia",
        'username,first_name\nnia,"<b>&amp;"\n',
    ],
)
def test_what_the_preview_sends_again_is_what_was_seen(office, text):
    """As Excel and LibreOffice write it: quoted, with semicolons, in any order, with a mark or a hint before it."""
    page = office.post(PAGE, {"file": SimpleUploadedFile("people.csv", text.encode())}).content.decode()
    assert "Nothing is written yet" in page
    assert not newcomers()
    office.post(PAGE, {"text": shown_text(page), "step": "all"})
    assert "nia" in newcomers()


def test_a_file_with_mistakes_comes_back_to_be_corrected(office, agent):
    broken = SimpleUploadedFile("people.csv", b"username;who\nnia;x\n")
    page = office.post(PAGE, {"file": broken}).content.decode()
    assert "The first line must name the columns" in page
    assert shown_text(page) == "username;who\nnia;x\n"
    page = office.post(PAGE, {"file": SimpleUploadedFile("people.csv", MIXED.encode())}).content.decode()
    assert shown_text(page) == MIXED
    assert "Look again" in page
    office.post(PAGE, {"text": "username\nnia", "step": ""})
    assert not newcomers()


def problems(text):
    return {line.number: " ".join(line.problems) for line in imports.read(text) if line.problems}


def test_problems_name_the_line_on_which_they_begin(db):
    text = 'username,first_name\nbo,"two\nlines"\n\nnia bo,\n,x\n'
    found = problems(text)
    assert list(found) == [2, 5, 6]
    assert "Use visible characters only" in found[2]
    with pytest.raises(ValidationError, match="Line 3 cannot be read"):
        imports.read('username\nbo\n"nia\nx\n')


@pytest.mark.parametrize("second", ["NIA", "ｎｉａ", " nia "])
def test_the_same_name_written_otherwise_is_a_duplicate(db, second):
    assert "is in the file twice" in problems(f"username\nnia\n{second}")[3]


@pytest.mark.parametrize("second", ["AGENT", "ａｇｅｎｔ"])
def test_somebody_who_exists_is_left_alone_however_their_name_is_written(agent, second):
    assert re.search("exists already|already exists", problems(f"username\n{second}")[2])


@pytest.mark.parametrize("name", ["\u202eevil", "a\u200bb", "x\x1b[31m"])
def test_names_that_cannot_be_seen_are_refused(db, name):
    assert "Use visible characters only" in problems(f"username,first_name\nnia,{name}")[2]


def test_a_hundred_thousand_lines_are_refused_at_once(office):
    many = "username\n" + "".join(f"p{number}\n" for number in range(100_000))
    answer = office.post(PAGE, {"file": SimpleUploadedFile("x.csv", many.encode())})
    assert answer.status_code == 400
    with pytest.raises(ValidationError, match="At most 500 people at once"):
        imports.read(many)


def test_as_much_text_as_a_file_may_have_goes_through_the_preview(office):
    """Typed text is sent as a file is: letters beside ASCII do not make it three times as large."""
    text = "username,last_name\n" + "".join(f"p{number},{'ü' * 120}\n" for number in range(480))
    assert 110_000 < len(text.encode()) < imports.MOST_BYTES
    page = office.post(PAGE, {"file": SimpleUploadedFile("x.csv", text.encode())}).content.decode()
    assert 'enctype="multipart/form-data"' in page.split('name="text"')[0]
    assert "480 people in the file; 480 can be added" in page


def test_somebody_added_while_the_file_is_read_stops_all_of_it(office, monkeypatch, make_person):
    read = imports.read

    def slowly(text):
        lines = read(text)
        if not User.objects.filter(username="Bo").exists():
            make_person("Bo")
        return lines

    monkeypatch.setattr(imports, "read", slowly)
    page = office.post(PAGE, {"text": "username\nnia\nbo", "step": "all"}).content.decode()
    assert newcomers() == {"Bo"}
    assert "exists already" in page
    assert "1 can be added, 1 have problems" in page
    assert not Event.objects.exists()
