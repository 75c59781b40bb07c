"""Which backups a folder keeps: all of the last day, then one a day, then one a week.

Ages count from the newest backup, not from now: where backups fail, the last good ones stay.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

NAME = re.compile(r"portal-(\d{8}T\d{6}Z)\.backup\.zip")
FORM = "%Y%m%dT%H%M%SZ"
ALL_FOR = timedelta(hours=24)


def name_of(at: datetime) -> str:
    """Return a name that sorts by time."""
    return f"portal-{at.astimezone(UTC):{FORM}}.backup.zip"


def time_of(file: Path) -> datetime | None:
    """Return when a backup was made, by its name; None if that is none of ours."""
    found = NAME.fullmatch(file.name)
    try:
        return datetime.strptime(found[1], FORM).replace(tzinfo=UTC) if found else None
    except ValueError:
        return None


def backups_in(folder: Path) -> list[tuple[datetime, Path]]:
    """Return the folder's backups with their times, the newest first."""
    found = [(at, file) for file in folder.glob("portal-*.backup.zip") if (at := time_of(file)) is not None]
    return sorted(found, reverse=True)


def remove_old(folder: Path) -> list[Path]:
    """Remove the backups that need not be kept, and return them. No other file is touched."""
    there = backups_in(folder)
    kept = to_keep([at for at, _ in there], days=settings.BACKUP_KEEP_DAYS, weeks=settings.BACKUP_KEEP_WEEKS)
    gone = [file for at, file in there if at not in kept]
    for file in gone:
        file.unlink(missing_ok=True)
    return gone


def is_on_disk_of_database(folder: Path) -> bool:
    """Say whether what destroys SQLite's disk destroys the backups as well."""
    if connection.vendor != "sqlite":
        return False
    with suppress(OSError):
        return folder.stat().st_dev == Path(str(connection.settings_dict["NAME"])).stat().st_dev
    return False


def to_keep(times: Iterable[datetime], *, days: int, weeks: int) -> set[datetime]:
    """Return which of these times' backups stay; days and weeks are the site's, and count only if they have one."""
    newest_first = sorted(times, reverse=True)
    recent = {at for at in newest_first if newest_first[0] - at <= ALL_FOR}
    return recent | newest_of(newest_first, day_of, days) | newest_of(newest_first, week_of, weeks)


def day_of(at: datetime) -> date:
    return timezone.localdate(at)


def week_of(at: datetime) -> tuple[int, int]:
    return day_of(at).isocalendar()[:2]


def newest_of(newest_first: list[datetime], part: Callable[[datetime], Any], count: int) -> set[datetime]:
    firsts: dict[Any, datetime] = {}
    for at in newest_first:
        firsts.setdefault(part(at), at)
    return set(list(firsts.values())[:count])
