"""The instruments themselves: what a load browser says and understands, and how figures become a table."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.benchmarks.load import Browser, percentile
from tests.benchmarks.report import MET, NOT_MET, Table, replace_between

BOARD = (
    b'<html data-release="1.2"><div class="board" id="board" data-needs="1"'
    b' hx-get="/board/rows/?f=needs&amp;whose=mine" hx-ptag="one"></div></html>'
)


def whole(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def converse(answers: list[bytes], talk) -> list[str]:
    """Let `talk` meet a server that gives these answers, an empty one hangs up. Returns the requests it got."""
    asked: list[str] = []
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while left:
            try:
                asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
            except asyncio.IncompleteReadError:
                break
            if not (answer := left.pop(0)):
                break
            writer.write(answer)
        writer.close()
        await writer.wait_closed()

    async def meet() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            browser = Browser(server.sockets[0].getsockname()[1], {"sessionid": "abc"})
            await talk(browser)
            await browser.close()

    with ThreadPoolExecutor(max_workers=1) as thread:  # the main one may hold the event loop of the browser tests
        thread.submit(lambda: asyncio.run(meet())).result()
    return asked


def test_a_poll_says_what_the_page_says():
    async def talk(browser: Browser) -> None:
        await browser.open_board()
        assert (await browser.poll()).status == 304
        await browser.poll()

    unchanged = whole(b"", "HX-PTag: two", status="304 Not Modified")
    _page, first, second = converse([whole(BOARD), unchanged, unchanged], talk)
    assert first.startswith("GET /board/rows/?f=needs&whose=mine HTTP/1.1\r\n")
    for line in ("Cookie: sessionid=abc", "HX-Request: true", "HX-PTag: one", "X-Release: 1.2"):
        assert f"\r\n{line}\r\n" in first
    assert "\r\nHX-PTag: two\r\n" in second


def test_an_answer_in_chunks_is_read_to_its_end():
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"

    async def talk(browser: Browser) -> None:
        assert (await browser.get("/")).body == b"abcde"
        assert (await browser.get("/")).body == b"next"

    converse([chunked, whole(b"next")], talk)


def test_a_connection_that_the_server_let_go_of_is_made_again():
    async def talk(browser: Browser) -> None:
        await browser.get("/")
        assert (await browser.get("/again/")).body == b"here"

    assert len(converse([whole(b""), b"", whole(b"here")], talk)) == 3


def test_percentiles_are_the_nearest_rank():
    hundred = [float(number) for number in range(1, 101)]
    assert [percentile(hundred, share) for share in (0.5, 0.99, 1.0)] == [50, 99, 100]
    assert percentile([7.0], 0.99) == 7


@pytest.mark.parametrize(("met", "says"), [(True, MET), (False, NOT_MET)])
def test_a_table_is_renewed_between_its_markers(met, says, tmp_path: Path):
    table = Table("z", "Something", "some goal", ("What",))
    table.add("a thing", met=met)
    document = tmp_path / "document.md"
    document.write_text("before\n<!-- z -->\nold\n<!-- /z -->\nafter\n", encoding="utf-8")
    replace_between(document, "z", table.markdown())
    text = document.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- z -->\n")
    assert text.endswith("<!-- /z -->\nafter\n")
    assert f"| a thing | {says} |" in text
    assert "old" not in text


def test_a_document_without_a_place_for_a_table_is_an_error(tmp_path: Path):
    document = tmp_path / "document.md"
    document.write_text("nothing", encoding="utf-8")
    with pytest.raises(ValueError, match="no place"):
        replace_between(document, "z", "new")
