"""Changing the signing key: the old key signs that the new one follows it, and the new one that it does.

Whoever trusts the newest key can so trust what older ones signed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from portal import audit
from portal.audit import checkpoints, keys
from portal.audit.keys import PublicKey, SigningKey
from portal.audit.kinds import Result


def statement(old: str, new: str) -> bytes:
    """Return what both keys sign: their public halves in hex digits."""
    return f"portal-audit-key-rotation-v1\n{old}\n{new}\n".encode()


def rotate() -> tuple[PublicKey, PublicKey]:
    """Replace the signing key and return the old and the new public one. The old file stays beside it.

    The event comes first: a key that signs must be one that the log knows. Raises KeyUnusable.
    """
    file, old, new = keys.key_file(), keys.current(), SigningKey.new()
    checkpoints.seal()  # the last one of the old key
    said = statement(old.public.hex, new.public.hex)
    file.with_name(f"{file.name}.next").unlink(missing_ok=True)  # of a rotation that was interrupted
    new.write_new(file.with_name(f"{file.name}.next"))
    audit.record(
        "audit.key_rotated",
        result=Result.OK,
        facts={
            "old": old.public.id,
            "old_public": old.public.hex,
            "key": new.public.id,
            "public": new.public.hex,
            "old_signature": old.sign(said).hex(),
            "signature": new.sign(said).hex(),
        },
    )
    kept = file.with_name(f"{file.name}.{old.public.id}")
    if not kept.exists():
        os.link(file, kept)
    file.with_name(f"{file.name}.next").replace(file)  # in one step: without a key here another would be made
    keys.sync_folder(file)
    checkpoints.seal()
    return old.public, new.public


SLACK = 1024  # events that may pass between the event of a rotation and the last process that takes up the new key


class Trust:
    """Which keys count: those given, and those that handed over to them, by both signatures."""

    def __init__(self, given: Iterable[PublicKey]) -> None:
        self.trusted = {key.hash: key for key in given}
        self.named: dict[bytes, PublicKey] = {}  # in the log, whoever wrote it
        self.handovers: list[tuple[PublicKey, PublicKey]] = []
        self.given = frozenset(self.trusted)
        self.until: dict[bytes, int] = {}  # up to which event a key counts that was handed over since

    def learn(self, facts: dict[str, Any], *, at: int) -> None:
        """Take in what event `at` says about keys; a hand-over counts only if both signed it."""
        try:
            new = PublicKey.from_hex(facts["public"])
            self.named[new.hash] = new
            if "old_public" not in facts:
                return
            old = PublicKey.from_hex(facts["old_public"])
            said = statement(old.hex, new.hex)
            both = old.verifies(bytes.fromhex(facts["old_signature"]), said) and new.verifies(
                bytes.fromhex(facts["signature"]), said
            )
        except (KeyError, ValueError, TypeError):
            return
        if both:
            self.handovers.append((old, new))
            self.until[old.hash] = max(at + SLACK, self.until.get(old.hash, 0))

    def judge(self, key_hash: bytes, signature: bytes, text: bytes, *, size: int) -> str:
        """Return "trusted", "unendorsed" (a good signature of a key the log names), "unknown" or "wrong"."""
        self.spread()
        key = self.trusted.get(key_hash) or self.named.get(key_hash)
        if key is None:
            return "unknown"
        if not key.verifies(signature, text):
            return "wrong"
        is_over = key_hash not in self.given and size > self.until.get(key_hash, size)
        return "trusted" if key_hash in self.trusted and not is_over else "unendorsed"

    def spread(self) -> None:
        """Trust whoever handed over to a trusted key, in whatever order that was told: a purge tells old ones late."""
        while fresh := [pair for pair in self.handovers if pair[1].hash in self.trusted]:
            self.handovers = [pair for pair in self.handovers if pair not in fresh]
            self.trusted.update((old.hash, old) for old, _ in fresh if old.hash not in self.trusted)
