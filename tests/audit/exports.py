"""Exports taken apart, spoilt, put together again and checked by the program that they carry."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portal.audit import verify_export
from portal.audit.canonical import canonical
from portal.audit.export import Export

VERIFIER = Path(verify_export.__file__)


@dataclass(frozen=True)
class Verdict:
    """How the program ended and what it said."""

    code: int
    said: str


class Parts(dict[str, bytes]):
    """The files of an export, by name."""

    @classmethod
    def of(cls, content: bytes) -> Parts:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert archive.testzip() is None
            return cls({name: archive.read(name) for name in archive.namelist()})

    @classmethod
    def exported(cls, *args: Any, **options: Any) -> Parts:
        return cls.of(b"".join(Export(*args, **options)))

    @property
    def events(self) -> list[Any]:
        return [json.loads(line) for line in self["events.jsonl"].splitlines()]

    @events.setter
    def events(self, events: list[Any]) -> None:
        self["events.jsonl"] = "".join(canonical(event) + "\n" for event in events).encode()

    def change(self, number: int, spoil: Callable[[Any], None]) -> None:
        events = self.events
        spoil(events[number])
        self.events = events

    def without_table(self) -> Parts:
        """Left to the JSON alone, as somebody would who cannot be bothered to spoil both."""
        self.pop("events.csv", None)
        return self

    def save(self, place: Path) -> Path:
        with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in self.items():
                archive.writestr(name, content)
        return place

    def unpack(self, folder: Path) -> Path:
        folder.mkdir()
        for name, content in self.items():
            (folder / name).write_bytes(content)
        return folder


def verify(place: Path, *arguments: str, python: str = sys.executable) -> Verdict:
    """Run the program as a stranger would: without the project, its packages, or anything of the environment."""
    folder = place.parent / "elsewhere"
    folder.mkdir(exist_ok=True)
    program = folder / "verify_export.py"
    program.write_bytes(VERIFIER.read_bytes())
    done = subprocess.run(
        [python, "-I", "-S", str(program), str(place), *arguments],
        cwd=folder,
        env={},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr + done.stdout
    assert done.returncode in (0, 1, 2, 3)
    return Verdict(done.returncode, done.stdout + done.stderr)
