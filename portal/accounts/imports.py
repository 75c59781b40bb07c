"""People from a CSV file: reading its lines, and what is wrong with each."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.translation import gettext as _

from portal.accounts.forms import InviteForm
from portal.accounts.models import Team, User
from portal.audit.cells import MARK

COLUMNS = ("username", "email", "first_name", "last_name", "roles", "teams")
MOST_LINES = 500
FORMULA = frozenset("=+-@＝＋－＠")  # what spreadsheets take for the beginning of one
MOST_BYTES = 128 * 1024


@dataclass
class Line:
    """One person of the file, with what is wrong about them."""

    number: int
    values: dict[str, str]
    form: InviteForm
    teams: list[Team] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def decoded(data: bytes) -> str:
    """Return a file's text. Raises ValidationError where it is not UTF-8."""
    if len(data) > MOST_BYTES:
        raise ValidationError(_("The file is too large: at most 128 KB."))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValidationError(_("The file is not UTF-8. Save it as “CSV UTF-8” and try again.")) from None


def read(text: str) -> list[Line]:
    """Return the people of a file with their problems. Raises ValidationError where it is no such file at all."""
    text = text.removeprefix(MARK)
    if "\x00" in text:
        raise ValidationError(_("The file is no text."))
    rows = list(rows_of(text))
    names = [name.lower() for name in rows[0][1]] if rows else []
    if "username" not in names or set(names) - set(COLUMNS) or len(set(names)) < len(names):
        words = _("The first line must name the columns, of which only username is needed: %(columns)s.")
        raise ValidationError(words, params={"columns": ", ".join(COLUMNS)})
    people = rows[1:]
    if not people:
        raise ValidationError(_("The file names nobody."))
    if len(people) > MOST_LINES:
        raise ValidationError(_("At most %(count)s people at once. Split the file."), params={"count": MOST_LINES})
    return list(checked(names, people))


def rows_of(text: str) -> Iterator[tuple[int, list[str]]]:
    """Return the rows that hold anything, each with the number of the line on which it begins."""
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in first else ",", strict=True)
    number = 1
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            is_hint = number == 1 and cells[0:1] == ["sep="]  # for Excel: which separator follows
            if any(cells) and not is_hint:
                yield number, cells
            number = reader.line_num + 1
    except csv.Error:
        words = _("Line %(line)s cannot be read as CSV: look at its quotation marks.")
        raise ValidationError(words, params={"line": number}) from None


def checked(names: list[str], people: list[tuple[int, list[str]]]) -> Iterator[Line]:
    roles = {group.name.casefold(): group for group in Group.objects.all()}
    teams = {team.name.casefold(): team for team in Team.objects.all()}
    seen: set[str] = set()
    for number, row in people:
        values = dict(zip(names, row, strict=False))
        wanted, wanted_teams = listed(values, "roles"), listed(values, "teams")
        known = [roles[name.casefold()].pk for name in wanted if name.casefold() in roles]
        line = Line(number, values, InviteForm({**values, "groups": known}))
        line.teams = [teams[name.casefold()] for name in wanted_teams if is_in(name, teams)]
        if len(row) != len(names):
            line.problems.append(_("It has %(count)s cells.") % {"count": len(row)})
        if any(value[:1] in FORMULA for value in values.values() if value):
            line.problems.append(_("A cell begins like a formula."))
        line.problems += [
            _("There is no role “%(name)s”.") % {"name": name} for name in wanted if not is_in(name, roles)
        ]
        line.problems += [
            _("There is no team “%(name)s”.") % {"name": name} for name in wanted_teams if not is_in(name, teams)
        ]
        for label, errors in line.form.errors.items():
            line.problems += [f"{label}: {error}" if label in COLUMNS else str(error) for error in errors]
        line.problems += twice(line, seen)
        yield line


def listed(values: dict[str, str], column: str) -> list[str]:
    return [name.strip() for name in re.split(r"[|,;]", values.get(column, "")) if name.strip()]


def twice(line: Line, seen: set[str]) -> Iterator[str]:
    """Say which names and addresses an earlier line has, as they will be stored and in any case."""
    for name in ("username", "email"):
        value = str(line.form.cleaned_data.get(name) or line.values.get(name, ""))
        key = f"{name} {value.casefold()}"
        if value and key in seen:
            yield _("%(value)s is in the file twice.") % {"value": value}
        seen.add(key)


def are_overtaken(lines: list[Line]) -> bool:
    """Say whether, since the lines were read, somebody of these names or addresses was added or a team deleted."""
    teams = {team.pk for line in lines for team in line.teams}
    if Team.objects.filter(pk__in=teams).count() < len(teams):
        return True
    names = {line.form.cleaned_data["username"].lower() for line in lines}
    addresses = {line.form.cleaned_data["email"].lower() for line in lines} - {""}
    existing = User.objects.annotate(name=Lower("username"), address=Lower("email"))
    return existing.filter(Q(name__in=names) | Q(address__in=addresses)).exists()


def is_in(name: str, known: dict[str, Group] | dict[str, Team]) -> bool:
    return name.casefold() in known
