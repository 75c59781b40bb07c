"""What may be typed, pasted or followed as a code, and what is kindly refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invitations.codes import Code, Unreadable, read

BETWEEN = st.text(" \t\n\u00a0\u2007\u202f-\u2010\u2011\u2013\u2212.,·/_()\u200b\u200e\u200f\ufeff\x00", max_size=3)
SCRIPTS = [ord("0"), 0x0660, 0x06F0, 0x0966, 0xFF10, 0x1D7CE]  # European, Arabic, Persian, Hindi, full-width, bold


@given(st.text("0123456789", min_size=9, max_size=9), st.data())
def test_nine_digits_of_any_script_are_read_whatever_stands_between(digits, data):
    typed = "".join(
        data.draw(BETWEEN) + chr(data.draw(st.sampled_from(SCRIPTS)) + int(digit)) + data.draw(BETWEEN)
        for digit in digits
    )
    assert read(typed) == Code(digits)


@given(st.one_of(st.text(max_size=60), st.text("0123456789٤- abcdefgh/", max_size=40)))
def test_whatever_is_typed_is_nine_ascii_digits_or_refused_with_a_reason(typed):
    try:
        code = read(typed)
    except Unreadable as trouble:
        is_known, code = trouble.reason in ("empty", "letters", "length"), None
    else:
        is_known = code.digits.isascii() and code.digits.isdecimal() and len(code.digits) == 9
    assert is_known
    assert code is None or read(str(code)) == code


@pytest.mark.parametrize(
    ("typed", "reason", "count"),
    [
        ("", "empty", 0),
        ("   ", "empty", 0),
        ("\x00", "empty", 0),
        ("41790236", "length", 8),
        ("4179023655", "length", 10),
        ("1" * 300, "length", 300),
        ("1" * 100_000, "length", 300),
        (" " * 400 + "417902365", "empty", 0),
        ("417902365" + " " * 400, "length", 9),
        ("O17902365", "letters", 0),
        ("417 902 36l", "letters", 0),
        ("41790236²", "letters", 0),
        ("41790236½", "letters", 0),
        ("417902365 😀", "letters", 0),
        ("\ud800417902365", "letters", 0),
        ("-417902365-k7m2qxa", "letters", 0),
        ("https://help.example.org/", "letters", 0),
    ],
)
def test_what_is_no_code(typed, reason, count):
    with pytest.raises(Unreadable) as trouble:
        read(typed)
    assert (trouble.value.reason, trouble.value.count) == (reason, count)


@pytest.mark.parametrize(
    "typed",
    [
        "417902365-k7m2qxab",
        "417902365-K7M2QXAB/",
        "https://help.example.org/j/417902365-k7m2qxab",
        " HTTPS://help.example.org/join/417902365-k7m2qxab/?lang=de#x ",
    ],
)
def test_a_shared_link_keeps_its_tag(typed):
    assert read(typed) == Code("417902365", "k7m2qxab")
    assert str(read(typed)) == "417902365-k7m2qxab"


@pytest.mark.parametrize("typed", ["https://go.getscreen.me/invite/417902365", "http://x/j/417-902-365/", "1️⃣ " * 9])
def test_other_links_and_odd_digits_are_taken_for_what_they_mean(typed):
    assert read(typed).digits in ("417902365", "1" * 9)
