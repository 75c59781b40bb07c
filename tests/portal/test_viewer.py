"""A page rendered once gives each person what is theirs, and no text can pretend to be a choice."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.template import Context, Template

from portal.templatetags.viewer import MARK, Shared

TEMPLATE = Template(
    "{% load viewer %}<p>{% for_person owner %}You & {{ name }}{% else %}{{ name }}{% end_for_person %}</p>"
)


def shared(**context: object) -> Shared:
    return Shared(TEMPLATE.render(Context(context)))


def test_each_person_gets_their_side():
    page = shared(owner=7, name="Mika")
    assert page.for_person(7) == b"<p>You & Mika</p>"
    assert page.for_person(8) == b"<p>Mika</p>"


def test_with_a_viewer_the_choice_is_made_at_once():
    for pk, expected in ((7, "<p>You & Mika</p>"), (8, "<p>Mika</p>")):
        context = Context({"owner": 7, "name": "Mika", "viewer": SimpleNamespace(pk=pk)})
        assert TEMPLATE.render(context) == expected


def test_what_belongs_to_nobody_is_the_same_for_everybody():
    assert shared(owner=None, name="Mika").for_person(7) == b"<p>Mika</p>"
    context = Context({"owner": None, "name": "Mika", "viewer": SimpleNamespace(pk=None)})
    assert TEMPLATE.render(context) == "<p>Mika</p>"


def test_both_sides_are_escaped():
    page = shared(owner=7, name="<b>")
    assert page.for_person(7) == b"<p>You & &lt;b&gt;</p>"
    assert page.for_person(8) == b"<p>&lt;b&gt;</p>"


def test_many_choices_keep_their_order():
    template = Template(
        "{% load viewer %}{% for n in numbers %}{{ n }}{% for_person n %}!{% else %}.{% end_for_person %}{% endfor %}"
    )
    page = Shared(template.render(Context({"numbers": [1, 2, 3]})))
    assert page.for_person(2) == b"1.2!3."
    assert page.for_person(9) == b"1.2.3."


def test_a_choice_without_a_second_side_shows_others_nothing():
    template = Template("{% load viewer %}a{% for_person 7 %}b{% end_for_person %}c")
    page = Shared(template.render(Context()))
    assert (page.for_person(7), page.for_person(8)) == (b"abc", b"ac")


@pytest.mark.parametrize("text", ["\x02abc\x027\x03yes\x03no\x02abc\x02", "\x03", "\x02"])
def test_text_with_control_characters_stays_text(text):
    page = shared(owner=7, name=text)
    assert page.for_person(8) == f"<p>{text}</p>".encode()


def test_a_text_without_choices_is_itself():
    assert Shared("plain").for_person(7) == b"plain"
    assert MARK.encode() not in Shared("plain").for_person(7)
