"""A file that only a replica of another release has: the browser asks again, and not for ever."""

from __future__ import annotations

import pytest

FILE = "/static/css/base.0123456789ab.css"


def test_a_file_of_another_release_is_asked_for_again_and_in_the_end_not_found(anonymous, db):
    path, seen = FILE, []
    for _ in range(11):
        answer = anonymous.get(path)
        seen.append(answer.status_code)
        path = answer.headers.get("Location", path)
    assert seen == [302] * 10 + [404]
    assert path == f"{FILE}?try=10"


def test_nobody_keeps_the_answer(anonymous):
    assert anonymous.get(FILE).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/static/css/nothing.css", "/static/css/0123456789ab", "/j/a.0123456789ab.css"])
def test_what_is_no_hashed_file_is_simply_not_there(anonymous, db, path):
    assert anonymous.get(path).status_code == 404


@pytest.mark.parametrize("number", ["x", "-1", "99999999999999", "²"])
def test_a_number_of_somebody_s_own_ends_the_search(anonymous, db, number):
    assert anonymous.get(FILE, {"try": number}).status_code == 404


def test_a_form_sent_there_is_not_sent_on(anonymous, db):
    assert anonymous.post(FILE).status_code in (403, 404, 405)
