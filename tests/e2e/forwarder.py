"""A TLS-terminating proxy such as stands before the portal, with a certificate made on the spot."""

from __future__ import annotations

import http.client
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SUBJECT = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
NOT_PASSED_ON = {"connection", "transfer-encoding", "x-forwarded-for", "x-forwarded-proto", "keep-alive"}


def can_make_certificates() -> bool:
    return shutil.which("openssl") is not None


def certificate(folder: Path) -> ssl.SSLContext:
    """Return a server's context with a self-signed certificate for localhost, valid for a day."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
    command = ["openssl", "req", "-x509", *new_key, *SUBJECT, "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


class Handler(BaseHTTPRequestHandler):
    """Sends each request on with the client's address and scheme, and whatever the browser claimed of them left out."""

    backend_port: int
    timeout = 20

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        backend = http.client.HTTPConnection("127.0.0.1", self.backend_port, timeout=20)
        try:
            backend.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in NOT_PASSED_ON:
                    backend.putheader(name, value)
            backend.putheader("X-Forwarded-For", self.client_address[0])
            backend.putheader("X-Forwarded-Proto", "https")
            backend.putheader("Connection", "close")
            backend.endheaders(body)
            self.relay(backend.getresponse())
        finally:
            backend.close()

    do_POST = do_HEAD = do_GET

    def relay(self, answer: http.client.HTTPResponse) -> None:
        content = answer.read()
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in (*NOT_PASSED_ON, "content-length"):
                self.send_header(name, value)
        if answer.status not in (204, 304):
            self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing: the test's output is the test's."""


class Forwarder(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, context: ssl.SSLContext, backend_port: int) -> None:
        super().__init__(("127.0.0.1", 0), type("Handler", (Handler,), {"backend_port": backend_port}))
        self.context = context

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands in the request's own thread, where a browser that hesitates holds up nobody."""
        with suppress(OSError), self.context.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)  # type: ignore[arg-type]


@contextmanager
def forwarder(folder: Path, backend_port: int) -> Iterator[str]:
    """Run a proxy for as long as the body runs; yields its address."""
    server = Forwarder(certificate(folder), backend_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"https://localhost:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
