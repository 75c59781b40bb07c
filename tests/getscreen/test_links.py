"""Which links are followed, and that a refusal never repeats the link."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.getscreen.links import MAX_LENGTH, AllowedHosts, LinkRefused, is_host_name, is_loopback, normalise

HOSTS = AllowedHosts.parse(["getscreen.me", "127.0.0.1:8080", "localhost:9000", "box.example:8443", "10.0.0.5"])
GOOD = "https://go.getscreen.me/?connect=7&llt=abc&s=def"
HOSTILE = [
    "",
    " ",
    "/",
    "//go.getscreen.me/",
    "https:",
    "https:/",
    "https://",
    "https:///go.getscreen.me/",
    "https:go.getscreen.me",
    "https:/go.getscreen.me/",
    "go.getscreen.me/turbo",
    "javascript:alert(1)",
    "javascript://go.getscreen.me/%0aalert(1)",
    "data:text/html,<script>",
    "ftp://go.getscreen.me/",
    "HTTPS://go.getscreen.me/",
    "Https://go.getscreen.me/",
    "http://go.getscreen.me/",
    "http://box.example:8443/",
    "http://getscreen.me:80/",
    "https://evilgetscreen.me/",
    "https://getscreen.me.evil.tld/",
    "https://getscreen.me@evil.tld/",
    "https://getscreen.me:pw@evil.tld/",
    "https://user@go.getscreen.me/",
    "https://:@go.getscreen.me/",
    "https://evil.tld/https://go.getscreen.me/",
    "https://evil.tld#go.getscreen.me",
    "https://evil.tld?go.getscreen.me",
    "https://evil.tld\\go.getscreen.me/",
    "https://evil.tld\\@go.getscreen.me/",
    "https://go.getscreen.me\\@evil.tld/",
    "https:\\\\go.getscreen.me/",
    "https://go.getscreen.me:443/",
    "https://go.getscreen.me:/",
    "https://go.getscreen.me:65536/",
    "https://go.getscreen.me:99999999999/",
    "https://go.getscreen.me:０/",
    "https://127.0.0.1:8081/",
    "https://127.0.0.1/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]:8080/",
    "https://2130706433:8080/",
    "https://0x7f.1:8080/",
    "https://x.10.0.0.5/",
    "https://GO.getscreen.me/",
    "https://go.GETSCREEN.me/",
    "https://go.getscreen.me./",
    "https://.getscreen.me/",
    "https://go..getscreen.me/",
    "https://-go.getscreen.me/",
    "https://go-.getscreen.me/",
    "https://xn--go-cja.getscreen.me/",
    "https://gо.getscreen.me/",
    "https://go。getscreen.me/",
    "https://go%2egetscreen.me/",
    "https://evil.tld%2f.getscreen.me/",
    "https://go.getscreen.me%00.evil.tld/",
    "https://go_1.getscreen.me/",
    f"https://{'a' * 64}.getscreen.me/",
    f"https://{'a.' * 130}getscreen.me/",
    "https://go.getscreen.me/\r\nSet-Cookie: a=b",
    "https://go.getscreen.me/\t",
    "https://go.getscreen.me/\x00",
    "https://go.getscreen.me/\x7f",
    "https://go.getscreen.me/ ",
    " https://go.getscreen.me/",
    "\ufeffhttps://go.getscreen.me/",
    'https://go.getscreen.me/"onmouseover=',
    "https://go.getscreen.me/<script>",
    "https://go.getscreen.me/é",
    "https://go.getscreen.me/\u2028",
    "https://go.getscreen.me/\ud800",
    "https://https://evil.tld/",
    "https://https://https://go.getscreen.me/",
    "https://http://go.getscreen.me/",
    "http://https://go.getscreen.me/",
    "http://http://go.getscreen.me/",
    "https:&amp;//go.getscreen.me/",
    "https://go.getscreen.me/" + "a" * MAX_LENGTH,
]


@pytest.mark.parametrize("link", HOSTILE)
def test_a_hostile_link_is_refused_and_its_refusal_does_not_repeat_it(link):
    with pytest.raises(LinkRefused) as caught:
        normalise(link, HOSTS)
    texts = str(caught.value), repr(caught.value), repr(caught.value.args)
    assert not any(link.strip() and link.strip(" /") in text for text in texts if len(link) > 8)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize("value", [None, True, 7, 1.5, b"https://go.getscreen.me/", ["https://go.getscreen.me/"], {}])
def test_what_is_no_text_is_no_link(value):
    with pytest.raises(LinkRefused):
        normalise(value, HOSTS)


@pytest.mark.parametrize(
    "link",
    [
        GOOD,
        "https://getscreen.me",
        "https://getscreen.me?a=b",
        "https://getscreen.me#a",
        "https://a.b.c.getscreen.me/x",
        "https://10.0.0.5/x",
        "https://127.0.0.1:8080/x",
        "http://127.0.0.1:8080/x",
        "http://localhost:9000/",
        "https://box.example:8443/a",
        "https://go.getscreen.me/a/../b//c;d=[e]!$'()*+,~",
        "https://go.getscreen.me/" + "a" * (MAX_LENGTH - 24),
    ],
)
def test_a_link_to_an_allowed_host_stays_as_it_is(link):
    assert normalise(link, HOSTS) == link


@pytest.mark.parametrize(
    ("link", "mended"),
    [
        ("https://https://go.getscreen.me/a", "https://go.getscreen.me/a"),
        ("http://http://127.0.0.1:8080/a", "http://127.0.0.1:8080/a"),
        ("https://go.getscreen.me/?a=1&amp;b=2&amp;c=3", "https://go.getscreen.me/?a=1&b=2&c=3"),
        ("https://https://go.getscreen.me/?a&amp;b", "https://go.getscreen.me/?a&b"),
        ("https://go.getscreen.me/?a&amp;amp;b", "https://go.getscreen.me/?a&amp;b"),
        ("https://go.getscreen.me/?to=https://https://x", "https://go.getscreen.me/?to=https://https://x"),
    ],
)
def test_the_slips_of_the_documentation_are_mended_once(link, mended):
    assert normalise(link, HOSTS) == mended


@settings(deadline=None)
@given(st.text(alphabet="htps:/.@\\?#[]%&;=am-xn1209 \t\u3002éGgetscrn", max_size=60))
def test_whatever_is_accepted_leads_to_an_allowed_host(tail):
    for start in ("https://", "https://getscreen.me", "https://go.getscreen.me/", ""):
        try:
            link = normalise(start + tail, HOSTS)
        except LinkRefused:
            continue
        parts = urlsplit(link)
        assert link.isascii()
        assert parts.username is None
        assert parts.scheme == "https"
        assert parts.hostname == "getscreen.me" or parts.hostname.endswith((".getscreen.me", "10.0.0.5"))
        assert parts.port is None


@settings(deadline=None)
@given(st.one_of(st.text(), st.binary(), st.integers(), st.none(), st.lists(st.text())))
def test_nothing_but_a_refusal_is_ever_raised(value):
    with pytest.raises(LinkRefused):
        normalise(value, HOSTS)


@pytest.mark.parametrize(
    "entry",
    [
        "",
        " ",
        "com",
        "*.getscreen.me",
        "https://getscreen.me",
        "getscreen.me/",
        "a..b",
        ".a.b",
        "a.b:",
        "a.b:0",
        "a.b:65536",
        "a.b:x",
        "a.b:-1",
        "a.b:１",
        "[::1]",
        "[::1]:80",
        "a.b@c.d",
        "a b.c",
        "xn--a.b",
        "a.b:8:9",
    ],
)
def test_an_entry_that_is_no_host_is_refused(entry):
    with pytest.raises(ValueError, match=r"not a host|top-level"):
        AllowedHosts.parse([entry])


def test_without_any_host_there_is_no_list():
    with pytest.raises(ValueError, match="at least one"):
        AllowedHosts.parse([])


def test_entries_may_have_spaces_around_them_and_capitals():
    assert AllowedHosts.parse([" Getscreen.me ", "localhost"]).names == ("getscreen.me", "localhost")


def test_the_same_hosts_become_sources_of_the_page_policy():
    assert HOSTS.csp_origins() == [
        "https://getscreen.me",
        "https://*.getscreen.me",
        "https://10.0.0.5",
        "http://127.0.0.1:8080",
        "https://127.0.0.1:8080",
        "http://localhost:9000",
        "https://localhost:9000",
        "https://box.example:8443",
    ]
    assert AllowedHosts.parse(["localhost"]).csp_origins() == ["https://localhost", "http://localhost"]


def test_http_is_for_loopback_alone():
    hosts = AllowedHosts.parse(["localhost", "getscreen.me"])
    assert normalise("http://localhost/invite/1", hosts) == "http://localhost/invite/1"
    with pytest.raises(LinkRefused):
        normalise("http://getscreen.me/invite/1", hosts)


def test_loopback_is_known_by_name_and_by_address():
    assert [is_loopback(host) for host in ("localhost", "127.0.0.1", "127.9.9.9", "::1")] == [True] * 4
    others = ("localhost.", "127.1", "2130706433", "10.0.0.5", "0.0.0.0", "", "getscreen.me", "localhost.evil.tld")
    assert [is_loopback(host) for host in others] == [False] * len(others)


def test_a_host_name_has_at_most_253_characters():
    assert is_host_name(".".join(["a" * 63] * 3 + ["b" * 61]))
    assert not is_host_name(".".join(["a" * 63] * 4))
