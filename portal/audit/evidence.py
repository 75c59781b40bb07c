"""What a command compares the log with: copies kept elsewhere, and keys to trust. The same words for every command."""

from __future__ import annotations

import argparse
import base64
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from portal.audit import keys
from portal.audit.keys import PublicKey


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--anchors",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="checkpoints or lines of the portal's output kept elsewhere; AUDIT_CHECKPOINT_DIR is read as well",
    )
    parser.add_argument("--pubkey", action="append", default=[], help="a key to trust, in hex digits or C2SP's form")


def outside(options: dict[str, Any]) -> list[Path]:
    """Return the files and folders that tell how far the log went."""
    return [*options["anchors"], *filter(None, [settings.AUDIT_CHECKPOINT_DIR])]


def trusted(options: dict[str, Any]) -> list[PublicKey]:
    """Return the keys that were given, and this installation's own if it has one. Raises CommandError."""
    own = [keys.current().public] if keys.key_file().exists() else []
    return [parse_key(text) for text in options["pubkey"]] + own


def parse_key(text: str) -> PublicKey:
    try:
        raw = base64.b64decode(text.split("+", 2)[2])[1:] if text.count("+") > 1 else bytes.fromhex(text)
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise CommandError(f"{text} is no public key: give 64 hex digits, or a line of keys.json")
    return PublicKey(raw)
