"""Servers on loopback that misbehave: one that takes webhooks, one that takes mails."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import Self


class Loopback:
    """Accepts connections on a port of loopback and handles each in a thread."""

    def __init__(self) -> None:
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.stopping = threading.Event()
        self.links: list[socket.socket] = []
        self.accepted = 0

    def __enter__(self) -> Self:
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for link in self.links:
            link.close()

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                link, _ = self.listener.accept()
                self.accepted += 1
                self.links.append(link)
                threading.Thread(target=self.serve, args=(link,), daemon=True).start()

    def serve(self, link: socket.socket) -> None:
        with suppress(OSError), link:
            self.handle(link)

    def handle(self, link: socket.socket) -> None:
        raise NotImplementedError

    def drip(self, link: socket.socket, text: bytes) -> None:
        """One byte after the other, for as long as somebody listens."""
        for number in range(10_000):
            if self.stopping.wait(0.1):
                return
            link.sendall(text[number % len(text) :][:1])


class Receiver(Loopback):
    """Takes webhooks and answers as it is told; `answer` may be bytes, "silence" or "drip"."""

    OK = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"

    def __init__(self) -> None:
        super().__init__()
        self.answer: bytes | str = self.OK
        self.calls: list[tuple[dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?of=the-portal"

    def handle(self, link: socket.socket) -> None:
        head, _, body = self.read_until(link, b"", b"\r\n\r\n").partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")[1:]
        headers = dict(line.split(": ", 1) for line in lines)
        while len(body) < int(headers.get("Content-Length", 0)):
            body += link.recv(65536)
        self.calls.append((headers, body))
        if self.answer == "silence":
            self.stopping.wait(20)
        elif self.answer == "drip":
            self.drip(link, b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 9000)
        elif isinstance(self.answer, bytes):
            link.sendall(self.answer)

    @staticmethod
    def read_until(link: socket.socket, data: bytes, end: bytes) -> bytes:
        while end not in data and (more := link.recv(65536)):
            data += more
        return data


class MailServer(Loopback):
    """Speaks as much SMTP as is needed. `says` replaces an answer by the first word of the command it answers."""

    USUAL = {
        "": "220 mail",
        "EHLO": "250-mail\r\n250 AUTH PLAIN LOGIN",
        "AUTH": "235 fine",
        "DATA": "354 go on",
        "QUIT": "221 bye",
    }

    def __init__(self, **says: str) -> None:
        super().__init__()
        self.says = self.USUAL | {word.strip("_"): text for word, text in says.items()}
        self.mails: list[str] = []
        self.commands: list[str] = []

    def handle(self, link: socket.socket) -> None:
        file = link.makefile("rb")
        self.tell(link, "")
        while line := file.readline():
            word = line.decode().split()[0].upper().rstrip(":")
            self.commands.append(line.decode().strip())
            self.tell(link, word)
            if word == "DATA" and self.says["DATA"].startswith("354"):
                text = b""
                while (part := file.readline()) not in (b".\r\n", b""):
                    text += part
                self.mails.append(text.decode())
                self.tell(link, "END")

    def tell(self, link: socket.socket, word: str) -> None:
        text = self.says.get(word, "250 fine")
        if text == "silence":
            self.stopping.wait(20)
        elif text == "drip":
            self.drip(link, b"220-mail ")
        elif text == "gone":
            link.shutdown(socket.SHUT_RDWR)
        else:
            link.sendall(text.encode() + b"\r\n")


def wait_for(what, seconds: float = 20.0):
    deadline = time.monotonic() + seconds
    while not (found := what()):
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain")
        time.sleep(0.01)
    return found
