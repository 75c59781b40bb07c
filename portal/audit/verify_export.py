"""Check an export of the audit log: its ZIP, or the folder it was unpacked to. Needs only Python 3.8 or newer.

Exit code: 0 intact, 1 tampered with, 2 incomplete (it says of what), 3 cannot run.
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import json
import os
import re
import sys
import zipfile
from datetime import datetime, timedelta, timezone
from typing import IO, Any, Iterator, Tuple

LINE, SMALL, RATIO = 1 << 20, 1 << 26, 100  # bytes of a line and of a small file; a ZIP bomb packs tighter
MEANWHILE = 600 * 10**6  # microseconds; events of so long before a checkpoint may have come while it was made
FILES = "events.jsonl events.csv checkpoint.txt checkpoints.txt blocks.txt watermark.txt keys.json README.txt"
FILES += " verify_export.py timeline.csv timeline.txt"
HEADER = ["\ufeffseq", "time", "kind", "sentence", "who", "roles", "result", "phase", "reference", "target", "network"]
HEADER += ["ip", "ticket", "hash"]
# What Compose, Docker and journald put before a line of the portal's output.
BEFORE = re.compile(
    r"(?:\x1b\[[0-9;]*[A-Za-z])*"
    r"(?:[\w.-]+ +\| |[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ \S+\[\d+\]: )?"
    r"(?:\x1b\[[0-9;]*[A-Za-z])*"
    r"(?:\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-][\d:]+) )?(?={)"
)
NOTE = re.compile(
    "(\\S+/audit/\\S+\n([1-9][0-9]{0,15})\n([A-Za-z0-9+/]{43}=)\nhead ([0-9a-f]{64})\ntime ([0-9]{1,17}) \\S+\n)"
    "\n— (\\S+) ([A-Za-z0-9+/]{91}=)\n"
)
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


class Tampered(Exception):
    """Something does not fit. Says what, with the first bad event."""


class Note:
    """A signed checkpoint: so many events, the root and the last hash they add up to, and when."""

    def __init__(self, found: Any) -> None:
        self.text, size, root, self.head, at, self.name, both = found.groups()
        self.size, self.root, self.at = int(size), base64.b64decode(root), int(at)
        self.is_purge = self.text.split("\n")[0].endswith("/purge")  # of removed events: no checkpoint
        self.key, self.signature = base64.b64decode(both)[:4], base64.b64decode(both)[4:]


def instant(microseconds: int) -> str:
    return (EPOCH + timedelta(microseconds=microseconds)).isoformat(timespec="microseconds")


class Files:
    """The files of an export, read as streams. Nothing is unpacked to the disk."""

    def __init__(self, place: str) -> None:
        self.place, self.zip = place, None if os.path.isdir(place) else zipfile.ZipFile(place)
        known = [name for name in FILES.split() if os.path.isfile(os.path.join(place, name))]
        self.names = [entry.filename for entry in self.zip.infolist()] if self.zip else known
        if len(set(self.names)) < len(self.names) or not {"events.jsonl", "checkpoint.txt"} <= set(self.names):
            raise ValueError("this is no export of the audit log: a file is missing or there twice")
        for entry in self.zip.infolist() if self.zip else ():
            if entry.filename not in FILES.split() or entry.compress_type not in (0, 8):
                raise ValueError(f"{entry.filename[:80]!r} does not belong into an export")
            if entry.file_size > RATIO * entry.compress_size + LINE:
                raise ValueError(f"{entry.filename} is packed like a bomb")

    def open(self, name: str) -> IO[bytes]:
        return self.zip.open(name) if self.zip else open(os.path.join(self.place, name), "rb")

    def text(self, name: str) -> str:
        if name not in self.names:
            return ""
        with self.open(name) as file:
            return file.read(SMALL).decode()

    def lines(self, name: str) -> Iterator[str]:
        with self.open(name) as file:
            for line in iter(lambda: file.readline(LINE), b""):
                if not line.endswith(b"\n"):
                    raise Tampered(f"{name}: a line is cut off, or too long.")
                yield line.decode()


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def digest(domain: bytes, content: bytes) -> str:
    return hashlib.sha256(b"%s %d\n%s" % (domain, len(content), content)).hexdigest()


class Tree:
    """The Merkle tree of RFC 6962, as the roots of its largest whole subtrees. Blocks stand for 256 events."""

    def __init__(self, blocks: list[bytes]) -> None:
        self.peaks: list[bytes] = []
        self.size = len(blocks) * 256
        for number, root in enumerate(blocks):
            self.add(number, root)

    def add(self, index: int, item: bytes) -> None:
        while index & 1:
            item, index = sha(b"\x01", self.peaks.pop(), item), index >> 1
        self.peaks.append(item)

    def root(self) -> bytes:
        root = self.peaks[-1]
        for peak in self.peaks[-2::-1]:
            root = sha(b"\x01", peak, root)
        return root


def climb(item: bytes, index: int, last: int, steps: list[str]) -> bytes:
    """Return the root that a proof leads to, nothing if it is none."""
    for step in map(bytes.fromhex, steps):
        if not last:
            return b""
        if index & 1 or index == last:
            item = sha(b"\x01", step, item)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            item = sha(b"\x01", item, step)
        index, last = index >> 1, last >> 1
    return b"" if last else item


def read(line: str) -> dict[str, Any]:
    """Return the event of a line. Its form, its hash and the commitment to its details must be right."""
    event: dict[str, Any] = json.loads(line)
    parts = {name: encode(event[name]) for name in sorted(event)}
    record, seq = event["record"], event["record"]["seq"]
    if "{%s}\n" % ",".join(f'"{name}":{part}' for name, part in parts.items()) != line or type(seq) is not int:
        raise Tampered(f"Event {seq!r:.20} is not in its one canonical form.")
    if digest(b"portal-audit-v1", parts["record"].encode()) != event["hash"]:
        raise Tampered(f"Event {seq} was changed: its hash does not fit.")
    told = f"{event.get('salt')}\n{parts.get('details')}".encode()
    if "details" in event and digest(b"portal-audit-details-v1", told) != record["details"]:
        raise Tampered(f"The details of event {seq} were changed.")
    return event


def cells(event: dict[str, Any]) -> list[str]:
    """Return the event as its row of the CSV says it, but for the sentence."""
    said, told = event["record"], event.get("details", {})
    who = said["actor"]["name"] or told.get("claimed") or said["actor"]["id"]
    row = [said["seq"], instant(said["ts"]), said["kind"], who, ", ".join(said["actor"]["roles"])]
    row += [said[name] for name in ("result", "phase", "reference", "target")] + [said["origin"]["network"]]
    return [str(cell) for cell in [*row, told.get("ip", ""), told.get("ticket", ""), event["hash"]]]


def table(files: Files) -> Iterator[list[str]]:
    """Yield the rows of the CSV without their sentence and without what keeps spreadsheets from calculating."""
    rows = csv.reader(files.lines("events.csv"), strict=True)
    if next(rows, []) != HEADER:
        raise Tampered("The first line of the CSV was changed.")
    for row in rows:
        yield [cell[1:] if cell[:1] == "'" else cell for cell in row[:3] + row[4:]]


class Walk:
    """One look at every event: alone, in its chain or under its proof, and beside the CSV."""

    def __init__(self, files: Files, note: Note) -> None:
        self.files, self.note, self.count, self.lost = files, note, 0, 0
        self.hashes: dict[int, tuple[str, bytes]] = {}  # of the events that checkpoints speak of
        self.purges: list[Any] = []  # what events say of the removal of others
        self.tree = Tree([bytes.fromhex(line) for line in files.text("blocks.txt").split()])
        self.seq, self.prev = self.tree.size, "0" * 64
        self.chosen: bool | None = None  # or the whole log; the first line decides

    def run(self, sizes: set[int]) -> None:
        rows = table(self.files) if "events.csv" in self.files.names else None
        removed = self.removed()
        for line in self.files.lines("events.jsonl"):
            try:
                self.take(read(line), rows)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError, csv.Error):
                raise Tampered(f"What follows event {self.seq} cannot be read.") from None
            if self.seq in sizes:
                self.hashes[self.seq] = self.prev, b"" if self.chosen else self.tree.root()
        if rows is not None and next(rows, None) is not None:
            raise Tampered(f"The CSV goes on after event {self.seq}, the last one.")
        if removed and not self.chosen and removed not in self.purges:
            raise Tampered(f"Events up to {removed[0]} are missing, and no event says that they were removed.")
        if not self.chosen and self.count and (self.seq, self.tree.root()) != (self.note.size, self.note.root):
            raise Tampered(f"The events up to {self.seq} do not add up to the checkpoint over {self.note.size}.")

    def removed(self) -> list[Any]:
        """Return what stands for the events before the first, if any do: up to which, their root and last hash."""
        if not self.seq:
            return []
        mark = NOTE.fullmatch(self.files.text("watermark.txt"))
        is_purge = bool(mark) and Note(mark).is_purge
        if not mark or not is_purge or (Note(mark).size, Note(mark).root) != (self.seq, self.tree.root()):
            raise Tampered(f"What is kept of the removed events does not fit: up to {self.seq}.")
        self.prev = Note(mark).head
        return [self.seq, self.tree.root().hex(), self.prev]

    def take(self, event: dict[str, Any], rows: Iterator[list[str]] | None) -> None:
        seq, found = event["record"]["seq"], event["hash"]
        self.chosen = "proof" in event if self.chosen is None else self.chosen
        if self.chosen:
            proven = climb(sha(b"\0", bytes.fromhex(found)), seq - 1, self.note.size - 1, event["proof"])
            if not self.seq < seq <= self.note.size or proven != self.note.root:
                raise Tampered(f"The proof of event {seq} does not lead to the checkpoint.")
        elif seq != self.seq + 1 or event["record"]["prev"] != self.prev or "proof" in event:
            raise Tampered(f"Event {seq} does not continue event {self.seq}: something is missing, or was moved.")
        else:
            self.tree.add(self.seq, sha(b"\0", bytes.fromhex(found)))
        if rows is not None and next(rows, None) != cells(event):
            raise Tampered(f"The CSV says something else about event {seq}.")
        if event["record"]["kind"] == "audit.purged":
            self.purges.append([event["record"]["facts"].get(name) for name in ("upto", "root", "head")])
        self.seq, self.prev, self.count = seq, found, self.count + 1
        self.lost += bool(event["record"]["details"]) and "details" not in event


P, ORDER = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
Point = Tuple[int, int, int, int]


def plus(a: Point, b: Point) -> Point:
    left, right = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    c, d = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = right - left, d - c, d + c, right + left
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(number: int, point: Point) -> Point:
    total: Point = (0, 1, 1, 0)
    while number:
        total, point, number = plus(total, point) if number & 1 else total, plus(point, point), number >> 1
    return total


def point_of(raw: bytes) -> Point:
    """Return a point of the curve of Ed25519 (RFC 8032, 5.1.3). Raises ValueError for what is none."""
    y = int.from_bytes(raw, "little") & ((1 << 255) - 1)
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if (x * x - square) % P == 0 else x * pow(2, (P - 1) // 4, P) % P
    if y >= P or (x * x - square) % P or (not x and raw[31] >> 7):
        raise ValueError("not a key of Ed25519")
    x = x if x & 1 == raw[31] >> 7 else P - x
    return x, y, 1, x * y % P


def is_signed(key: bytes, signature: bytes, text: bytes) -> bool:
    """Say whether a signature of Ed25519 is right (RFC 8032, 5.1.7)."""
    scalar, hashed = int.from_bytes(signature[32:], "little"), hashlib.sha512(signature[:32] + key + text).digest()
    if len(key) != 32 or len(signature) != 64 or scalar >= ORDER:
        return False
    try:
        right = plus(point_of(signature[:32]), times(int.from_bytes(hashed, "little") % ORDER, point_of(key)))
    except ValueError:
        return False
    left = times(scalar, point_of(bytes.fromhex("58" + "66" * 31)))  # the base point
    return all((left[i] * right[2] - right[i] * left[2]) % P == 0 for i in (0, 1))


def check_signature(files: Files, note: Note, given: list[bytes], what: str = "checkpoint") -> list[str]:
    """Return what is missing to rely on the signature: nothing if a key that was given has made it."""
    named = [bytes.fromhex(key["public"]) for key in json.loads(files.text("keys.json") or "[]")]
    key = {sha(note.name.encode(), b"\n\x01", raw)[:4]: raw for raw in named + given}.get(note.key)
    if key is None or not is_signed(key, note.signature, note.text.encode()):
        raise Tampered(f"The signature of the {what} is wrong, or of a key that nobody knows.")
    if given and key not in given and what != "checkpoint":
        return [f"the {what} is signed with the key {note.key.hex()}: give that as well, if you trust it"]
    if given and key not in given:
        raise Tampered(f"The checkpoint is signed with the key {note.key.hex()}, and that is not the one you trust.")
    return [] if given else [f"the key {note.key.hex()} came with the export: give the one you trust with --key"]


def outside(file: str) -> Iterator[tuple[int, str, bytes, str]]:
    """Yield what was kept outside of the log: number, hash, root if it is a checkpoint, time."""
    with open(file, encoding="utf-8", errors="replace") as handle:
        content = handle.read()
    for note in (note for note in map(Note, NOTE.finditer(content)) if not note.is_purge):
        yield note.size, note.head, note.root, instant(note.at)
    for line in content.split("\n"):
        before = BEFORE.match(line) if '"seq"' in line else None
        said = json.loads(line[before.end() :]) if before else {}
        if isinstance(said.get("seq"), int) and isinstance(said.get("hash"), str):
            yield said["seq"], said["hash"], b"", str(said.get("time", "9"))


def compare(walk: Walk, copies: list[tuple[int, str, bytes, str]], place: str) -> int:
    """Return up to which event copies vouch for what is here. Raises Tampered for one that says something else.

    For chosen events only a copy of their own checkpoint does: nothing chains them to others.
    """
    last, known = 0, {**walk.hashes, walk.note.size: (walk.note.head, walk.note.root)}
    for size, head, root, at in sorted(copies):
        found_head, found_root = known.get(size, ("", b""))
        if size > walk.note.size and at < instant(walk.note.at - MEANWHILE):
            raise Tampered(f"Event {walk.note.size + 1} and those after it were cut off: {place} has event {size}.")
        if size in known and (found_head != head or (root and found_root and found_root != root)):
            raise Tampered(f"Event {size}, or one before it, is not what {place} says it was.")
        if size in known and (not walk.chosen or (root and size == walk.note.size)):
            last = size
    return last


def check(place: str, given: list[bytes], anchors: list[str]) -> list[str]:
    """Check everything and say what was done. Returns what could not be done."""
    files = Files(place)
    found = NOTE.fullmatch(files.text("checkpoint.txt"))
    if not found or Note(found).is_purge:
        raise Tampered("The checkpoint cannot be read.")
    note, copies = Note(found), [copy for file in anchors for copy in outside(file)]
    own = [(old.size, old.head, old.root, "9") for old in map(Note, NOTE.finditer(files.text("checkpoints.txt")))]
    missing, walk = check_signature(files, note, given), Walk(files, note)
    print(f"ok    the signature of the checkpoint over {note.size} events, by the key {note.key.hex()}")
    mark = NOTE.fullmatch(files.text("watermark.txt"))
    if mark:
        missing += check_signature(files, Note(mark), given, "note about removed events")
    walk.run({copy[0] for copy in copies + own})
    compare(walk, own, "checkpoints.txt")
    way = "each with its proof; whether others belong to them, it cannot show" if walk.chosen else "without a gap"
    print(f"ok    {walk.count} events up to number {walk.seq}, {way}")
    print(f"ok    what they say in private, but for {walk.lost} that were left out or erased")
    print("ok    the CSV, but for its sentences" if "events.csv" in files.names else "--    there is no CSV")
    last = compare(walk, copies, "the copy kept outside")
    if last:
        print(f"ok    the copies kept outside, up to event {last} of {note.size}; for the rest only the key vouches")
    else:
        missing.append("nothing that was kept outside vouches for these events: give checkpoints with --anchors")
    return missing if walk.count else [*missing, "there is no event in it"]


def key_of(text: str) -> bytes:
    raw = base64.b64decode(text.split("+", 2)[2])[1:] if "+" in text else bytes.fromhex(text)
    if len(raw) != 32:
        raise ValueError("a key has 64 hex digits, or the form name+hash+key")
    return raw


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("export", help="the ZIP or the folder")
    parser.add_argument("--key", action="append", default=[], help="a public key you trust, from another source")
    parser.add_argument("--anchors", action="append", default=[], metavar="FILE", help="checkpoints kept elsewhere")
    try:
        options = parser.parse_args()
        missing = check(options.export, [key_of(key) for key in options.key], options.anchors)
    except SystemExit as stop:
        return 3 if stop.code else 0
    except Tampered as found:
        print(f"TAMPERED WITH: {found}")
        return 1
    except Exception as error:  # whatever somebody put into the file
        print(f"CANNOT RUN: {type(error).__name__}: {ascii(str(error))[1:-1]}")
        return 3
    for gap in missing:
        print(f"--    {gap}")
    print("INCOMPLETE: what could be checked is intact." if missing else "INTACT")
    return 2 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
