"""Making a backup: the log sealed, the database read, one whole file in its folder, and an event that tells of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone

from portal import audit
from portal.audit import checkpoints
from portal.audit.keys import KeyUnusable, sync_folder
from portal.audit.kinds import Result
from portal.audit.models import Checkpoint
from portal.backups import archive, keeping, locks, programs, schema, sources
from portal.backups.archive import Manifest
from portal.backups.sources import Unmakeable

PARTIAL = ".partial"
TROUBLES = (
    OSError,
    ValueError,
    DatabaseError,
    KeyUnusable,
    Unmakeable,
    archive.Damaged,
    programs.ProgramMissing,
    programs.ProgramFailed,
)


def default_folder() -> Path:
    """Return where backups are: BACKUP_DIR, else beside SQLite's file, or below `var`."""
    if settings.BACKUP_DIR is not None:
        return Path(settings.BACKUP_DIR)
    name = Path(str(connection.settings_dict["NAME"]))
    return (name.parent if connection.vendor == "sqlite" else settings.BASE_DIR / "var") / "backups"


def make(
    folder: Path, *, is_wanted: Callable[[], bool] = lambda: True, waits: bool = True
) -> tuple[Path, Manifest] | None:
    """Make a backup in `folder` and remove what is too old there; return it and its manifest.

    None if another process is making one and `waits` is false, or if it is not `is_wanted` any more once it is our
    turn. Raises Unmakeable, after an event about it, if it cannot be made; Unavailable if only the event is missing.
    """
    with ExitStack() as stack:
        try:
            if not stack.enter_context(locks.held("backup", waits=waits)) or not is_wanted():
                return None
            file, manifest = write(folder)
        except TROUBLES as error:
            reason = f"{error.strerror}: {error.filename or folder}" if isinstance(error, OSError) else str(error)
            audit.record_anyway("backup.made", result=Result.FAILED, details={"reason": reason[:300]})
            raise Unmakeable(reason) from error
        audit.record("backup.made", result=Result.OK, facts=facts_of(file, manifest))
        keeping.remove_old(folder)
    return file, manifest


def facts_of(file: Path, manifest: Manifest) -> dict[str, Any]:
    told = {name: getattr(manifest, name) for name in ("events", "head", "sha256", "release")}
    return {"file": file.name, "bytes": file.stat().st_size} | told


def write(folder: Path) -> tuple[Path, Manifest]:
    """Write the file under a name of its own, and only when it is whole under its last one."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in folder.glob(f".*{PARTIAL}*"):  # of a backup that was killed
        left.unlink()
    checkpoints.seal()
    now = timezone.now()
    while (file := folder / keeping.name_of(now)).exists():  # made within the same second
        now += timedelta(seconds=1)
    draft = folder / f".{file.name}{PARTIAL}"
    try:
        with sources.opened(folder) as source:
            manifest = archive.write(draft, source.parts, describe(source, now))
        archive.open_backup(draft).check()
        draft.rename(file)
        sync_folder(file)
    finally:
        draft.unlink(missing_ok=True)
    return file, manifest


def describe(source: sources.Source, now: datetime) -> Manifest:
    newest = Checkpoint.objects.order_by("-size").first()
    return Manifest(
        made_at=now.astimezone(UTC).isoformat(timespec="seconds"),
        release=settings.RELEASE,
        database=source.vendor,
        server=source.server,
        content=source.content,
        size=0,
        sha256="",
        migrations=schema.applied(),
        events=source.events,
        head=source.head,
        checkpoint=newest.note if newest else "",
    )
