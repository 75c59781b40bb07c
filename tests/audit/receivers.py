"""Syslog servers on loopback that behave, and some that do not; and a strict reader of what they get."""

from __future__ import annotations

import re
import socket
import ssl
import struct
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

# --- RFC 5424, section 6: no more and no less

HEADER = re.compile(
    rb"<(?P<pri>0|[1-9]\d{0,2})>(?P<version>[1-9]\d{0,2})"
    rb" (?P<time>-|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d))"
    rb" (?P<host>[\x21-\x7e]{1,255}) (?P<app>[\x21-\x7e]{1,48})"
    rb" (?P<process>[\x21-\x7e]{1,128}) (?P<kind>[\x21-\x7e]{1,32}) "
)
NAME = rb'[^\x00-\x20\x7f-\xff=\]"]{1,32}'
VALUE = rb'(?:[^"\\\]]|\\["\\\]])*'
ELEMENT = re.compile(rb"\[(?P<id>" + NAME + rb")(?P<params>(?: " + NAME + rb'="' + VALUE + rb'")*)\]')
PARAMETER = re.compile(rb" (" + NAME + rb')="(' + VALUE + rb')"')


class Read(NamedTuple):
    """What a message says."""

    facility: int
    severity: int
    time: datetime
    host: str
    app: str
    process: str
    kind: str
    data: dict[str, dict[str, str]]
    body: str


def read(message: bytes) -> Read:
    """Raises ValueError for what the grammar does not allow."""
    head = HEADER.match(message)
    if head is None or int(head["pri"]) > 191 or head["version"] != b"1":
        raise ValueError(f"no header: {message!r}")
    rest, data = message[head.end() :], {}
    if rest.startswith(b"-"):
        rest = rest[1:]
    elif not rest.startswith(b"["):
        raise ValueError(f"no structured data: {rest!r}")
    while element := ELEMENT.match(rest):
        if (name := element["id"].decode()) in data:
            raise ValueError(f"{name} twice")
        found = PARAMETER.findall(element["params"])
        data[name] = {key.decode(): re.sub(r'\\(["\\\]])', r"\1", value.decode("utf-8")) for key, value in found}
        rest = rest[element.end() :]
    if rest and not rest.startswith(b" "):
        raise ValueError(f"no space before the message: {rest!r}")
    pri = int(head["pri"])
    words = [head[name].decode() for name in ("host", "app", "process", "kind")]
    return Read(pri // 8, pri % 8, datetime.fromisoformat(head["time"].decode()), *words, data, rest[1:].decode())


def unframe(stream: bytes) -> tuple[list[bytes], bytes]:
    """Return the whole messages of a stream of octet-counted ones (RFC 6587, 3.4.1), and the rest."""
    found = []
    while head := re.match(rb"([1-9]\d*) ", stream):
        end = head.end() + int(head[1])
        if len(stream) < end:
            break
        found.append(stream[head.end() : end])
        stream = stream[end:]
    if stream and not re.match(rb"[1-9]\d*( |$)", stream):
        raise ValueError(f"no length: {stream[:40]!r}")
    return found, stream


# --- an authority of our own


class Authority:
    """Signs certificates for servers."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self.folder, self.key = folder, ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = folder / f"{name}.pem"
        certificate = self.certify(self.name, self.key.public_key(), None)
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def certify(self, subject, key, host):
        now = datetime.now(UTC)
        usage = dict.fromkeys(
            (
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "encipher_only",
                "decipher_only",
            ),
            False,
        )
        rights = x509.KeyUsage(digital_signature=True, key_cert_sign=host is None, crl_sign=host is None, **usage)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
            .add_extension(rights, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if host:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def server(self, host: str = "localhost") -> ssl.SSLContext:
        """Return the terms of a server that calls itself `host`."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self.certify(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)]), key.public_key(), host)
        file = self.folder / f"{host}.server.pem"
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
        terms = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        terms.load_cert_chain(file)
        return terms


# --- servers


class Receiver:
    """A syslog server on a port of loopback. What it has read stays when it dies and comes back."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.port = 0
        self.messages: list[bytes] = []
        self.accepted = 0
        self.reads = True  # otherwise it accepts, and never reads
        self.dies_after: int | None = None  # bytes, in the middle of whatever comes; once
        self.listener: socket.socket | None = None
        self.links: list[socket.socket] = []
        self.lock = threading.Lock()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.die()

    @property
    def url(self) -> str:
        return f"syslog+{'tls' if self.tls else 'tcp'}://localhost:{self.port}"

    def start(self) -> None:
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        self.listener.bind(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        self.listener.listen()
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def accept(self, listener: socket.socket) -> None:
        while True:
            try:
                link, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                self.links.append(link)
                self.accepted += 1
            threading.Thread(target=self.serve, args=(link,), daemon=True).start()

    def serve(self, link: socket.socket) -> None:
        if not self.reads:
            return
        with suppress(OSError):
            link.settimeout(30)
            if self.tls is not None:
                link = self.tls.wrap_socket(link, server_side=True)
                with self.lock:
                    self.links.append(link)
            self.collect(link)
        with suppress(OSError):
            link.close()

    def collect(self, link: socket.socket) -> None:
        stream, count = b"", 0
        while data := link.recv(1000):
            count += len(data)
            found, stream = unframe(stream + data)
            with self.lock:
                self.messages += found
            if self.dies_after is not None and count > self.dies_after:
                self.dies_after = None
                self.break_off()
                return

    def break_off(self, *, politely: bool = False) -> None:
        """End every connection: with what a crash leaves, or as a server does that restarts."""
        with self.lock:
            links, self.links = self.links, []
        for link in links:
            with suppress(OSError):
                if not politely:
                    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                # Wakes the thread that reads from it, without which it is not closed.
                socket.socket.shutdown(link, socket.SHUT_RDWR if politely else socket.SHUT_RD)
            with suppress(OSError):
                link.close()

    def die(self) -> None:
        """Stop listening and break every connection, as a process that is killed does."""
        if self.listener is not None:
            with suppress(OSError):
                self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            self.listener = None
        self.break_off()

    # what it has got

    def read(self) -> list[Read]:
        with self.lock:
            return [read(message) for message in self.messages]

    def numbers(self) -> list[int]:
        """Return the events' numbers as they came, doubles among them."""
        return [int(each.data["audit@32473"]["seq"]) for each in self.read() if each.kind not in ("checkpoint", "test")]

    def events(self) -> list[int]:
        """Return the events' numbers in the order in which they first came."""
        return list(dict.fromkeys(self.numbers()))


def wait_for(what, seconds: float = 20.0):
    deadline = time.monotonic() + seconds
    while not (found := what()):
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain")
        time.sleep(0.01)
    return found
