"""A bare server on a loopback port that says exactly the bytes a test wants, in the clear or encrypted.

Responsible for scripts the simulator has no words for. Refuses to know HTTP beyond the end of a request.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from pathlib import Path
from typing import Self

ENCRYPT = object()  # from here on the connection is encrypted, as behind a proxy's tunnel
HANG_UP = object()
FOREVER = 3600.0

type Step = bytes | float | object


def answer(body: bytes = b'{"data": []}', status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def drip(content: bytes, interval: float = 0.05) -> list[Step]:
    """One byte at a time."""
    return [step for byte in content for step in (interval, bytes([byte]))]


class Wire:
    """Plays one script per request, the last one again and again. `speaks_first`: without any request."""

    def __init__(self, *scripts: list[Step], context: ssl.SSLContext | None = None, speaks_first: bool = False) -> None:
        self.received: list[bytes] = []
        self.connections = 0
        self.tunnel_context: ssl.SSLContext | None = None
        self._scripts = list(scripts)
        self._context = context
        self._speaks_first = speaks_first
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)

    def url(self, scheme: str = "http", host: str = "127.0.0.1") -> str:
        return f"{scheme}://{host}:{self.port}/v1"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stopped.set()
        with self._lock:
            for sock in (self._listener, *self._open):
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    def _start(self, target, *args) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open.add(sock)
            self._start(self._converse, sock)

    def _converse(self, plain: socket.socket) -> None:
        sock = plain
        try:
            if self._context:
                sock = self._encrypt(plain)
            while sock and (self._speaks_first or self._read(sock)):
                sock = self._play(sock)
        except OSError:
            pass  # Clients may leave.
        finally:
            (sock or plain).close()
            plain.close()

    def _encrypt(self, sock: socket.socket) -> socket.socket:
        context = self._context or self.tunnel_context
        assert context is not None
        encrypted = context.wrap_socket(sock, server_side=True)
        with self._lock:
            self._open.discard(sock)
            self._open.add(encrypted)
        return encrypted

    def _read(self, sock: socket.socket) -> bool:
        request = b""
        while b"\r\n\r\n" not in request:
            if not (piece := sock.recv(65_536)):
                return False
            request += piece
        head, _, body = request.partition(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0)
        while len(body) < length:
            body += sock.recv(65_536)
        with self._lock:
            self.received.append(head + b"\r\n\r\n" + body)
        return True

    def _play(self, sock: socket.socket) -> socket.socket | None:
        with self._lock:
            script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        for step in script:
            if isinstance(step, bytes):
                sock.sendall(step)
            elif isinstance(step, float):
                if self._stopped.wait(step):
                    raise OSError
            elif step is ENCRYPT:
                sock = self._encrypt(sock)
                self._read(sock)
            else:
                sock.close()
                return None
        return sock


def certificate(folder: Path, name: str) -> Path:
    """A new certificate for `name`, signed by itself, with its key in the same file."""
    path = folder / f"{name}.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    command += ["-keyout", f"{path}.key", "-out", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


def server_context(path: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, f"{path}.key")
    return context
