"""Which addresses, paths and proxies a site may configure."""

from __future__ import annotations

import pytest

from portal.getscreen.client import (
    validate_base_url,
    validate_connect_path,
    validate_proxy_url,
    validate_update_path,
)
from portal.getscreen.errors import (
    NotFound,
)
from tests.getscreen.calls import paths

# What is configured.


@pytest.mark.parametrize(
    "path",
    [
        "agents/connect",
        "/agents/connect",
        "Agents/connect",
        "AGENTS/connect/",
        " agents/connect",
        "agents",
        "v1/agents/x",
        "support/../agents/connect",
        "./agents/connect",
        "support/./x",
        "%61gents/connect",
        "a%67ents/connect",
        "agents%2fconnect",
        "agents//connect",
        "support//connect",
        "//evil.tld/x",
        "https://evil.tld/x",
        "\\agents\\connect",
        "agents\\connect",
        "agents;a=b/connect",
        "agents./connect",
        "agents\t/connect",
        "agents\n/connect",
        "agents /connect",
        "support/connect?x=",
        "support/connect#",
        "ａgents/connect",
        "agents\u200b/connect",
        "support/connect\r\nX: y",
        "@evil",
        "a:b",
        "support/connect\x00",
        "support/%2e%2e/agents/connect",
        "..",
        ".",
        "support/connect/..",
        "\u017fupport/connect",
    ],
)
def test_a_connect_path_that_is_not_plain_or_opens_devices_is_refused(path, make):
    with pytest.raises(ValueError, match=r"plain|agents"):
        validate_connect_path(path)
    with pytest.raises(ValueError, match=r"plain|agents"):
        make(connect_path=path)


@pytest.mark.parametrize(
    ("path", "plain"), [("", ""), ("/", ""), (" /support/connect/ ", "support/connect"), ("a-b/c_2", "a-b/c_2")]
)
def test_a_plain_path_is_taken(path, plain):
    assert validate_connect_path(path) == plain
    assert validate_update_path(path) == plain


def test_a_fixed_connect_path_is_called(make, simulator, row):
    with pytest.raises(NotFound):
        make(connect_path="/support/open").connect(row)
    assert paths(simulator) == ["support/open"]
    make(connect_path="").connect(row)
    assert paths(simulator)[-1] == "support/connect"


@pytest.mark.parametrize(
    "path", ["agents/connect", "Agents/update", "agents/update/x", "agents//update", "%61gents/update", "x?y"]
)
def test_only_the_printed_update_path_may_be_under_agents(path, make):
    assert validate_update_path("/agents/update") == "agents/update"
    with pytest.raises(ValueError, match=r"plain|agents"):
        make(update_path=path)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "api.getscreen.me/v1",
        "http://api.getscreen.me/v1",
        "http://localhost.evil.tld",
        "http://127.1/v1",
        "//x/v1",
        "https://",
        "https:///v1",
        "https://x:99999/v1",
        "https://x:0/v1",
        "https://x:y/v1",
        "https://[::1/v1",
        "ftp://x/v1",
        "https://kim@x/v1",
        "https://kim:pw@x/v1",
        "https://@x/v1",
        "https://x/v1?",
        "https://x/v1?a=b",
        "https://x/v1#",
        "https://x/v1 ",
        " https://x/v1",
        "https://x/v1\n",
        "https://x\t/v1",
        "https://x\\@y/v1",
        "https://x/%2e%2e/v1",
        "file:///x",
        "https://x/v1/../agents",
        "https://x/agents",
        "https://x/Agents/",
        "https://x//v1",
        "https://éx/v1",
        "javascript:alert(1)",
    ],
)
def test_an_address_that_is_not_plain_or_not_encrypted_is_refused(url, make):
    with pytest.raises(ValueError, match=r"must be|is not|agents"):
        validate_base_url(url)
    with pytest.raises(ValueError, match=r"must be|is not|agents"):
        make(base_url=url)


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("https://api.getscreen.me/v1", "https://api.getscreen.me/v1"),
        ("https://api.getscreen.me/v1///", "https://api.getscreen.me/v1"),
        ("https://box.example:8443", "https://box.example:8443"),
        ("https://10.0.0.5/v1/", "https://10.0.0.5/v1"),
        ("https://[fd00::1]:8443/v1", "https://[fd00::1]:8443/v1"),
        ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1"),
        ("http://localhost/v1", "http://localhost/v1"),
        ("http://[::1]:1/v1", "http://[::1]:1/v1"),
    ],
)
def test_a_plain_address_is_taken(url, plain):
    assert validate_base_url(url) == plain


@pytest.mark.parametrize("url", ["socks5://127.0.0.1:1080", "socks5h://x:1", "ftp://x:1", "file:///x", "://x"])
def test_a_proxy_that_does_not_speak_http_is_refused(url, make):
    with pytest.raises(ValueError, match="http or https"):
        make(proxy_url=url)


@pytest.mark.parametrize("url", ["", "proxy.example:3128", "http://kim:pw@proxy.example:3128", "https://proxy.example"])
def test_a_proxy_that_speaks_http_is_taken(url, make):
    assert validate_proxy_url(url) == url
    make(proxy_url=url)
