"""What a check of the log can find, and how bad that is: words for people, a grade for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

MOST = 20  # findings of one grade that are kept: after the first ones more say nothing new


class Grade(IntEnum):
    """The exit code of `audit_verify` is the worst grade that was found."""

    REMARK = 0
    TAMPERED = 1
    INCOMPLETE = 2


STATES = {0: "intact", Grade.TAMPERED: "tampered", Grade.INCOMPLETE: "incomplete"}
TITLES: dict[str, str | Promise] = {
    "intact": gettext_lazy("Intact"),
    "tampered": gettext_lazy("Tampered with"),
    "incomplete": gettext_lazy("Incomplete"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    grade: Grade
    text: str
    seq: int | None = None  # the event it is about, or the first it may be about
    is_exact: bool = True


@dataclass
class Report:
    """The result of one check."""

    first: int = 1  # the oldest event that is kept
    size: int = 0  # the newest event
    covered: int = 0  # the last event under an outside copy that fits
    covered_at: datetime | None = None  # when that copy was made
    checkpoints: int = 0
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)
    left_out: int = 0

    def add(self, grade: Grade, text: str, seq: int | None = None, *, is_exact: bool = True) -> None:
        if sum(finding.grade == grade for finding in self.findings) < MOST:
            self.findings.append(Finding(grade, text, seq, is_exact))
        else:
            self.left_out += 1

    def tampered(self, text: str, seq: int | None = None, *, is_exact: bool = True) -> None:
        self.add(Grade.TAMPERED, text, seq, is_exact=is_exact)

    def incomplete(self, text: str, seq: int | None = None) -> None:
        self.add(Grade.INCOMPLETE, text, seq)

    @property
    def exit_code(self) -> int:
        grades = {finding.grade for finding in self.findings}
        return int(Grade.TAMPERED if Grade.TAMPERED in grades else max(grades, default=Grade.REMARK))

    @property
    def state(self) -> str:
        return STATES[self.exit_code]

    @property
    def first_bad(self) -> int | None:
        """The first event that does not fit; where only a range is known to hold it, the first of that."""
        bad = [finding for finding in self.findings if finding.grade == Grade.TAMPERED and finding.seq is not None]
        exact = [finding for finding in bad if finding.is_exact]
        return min((finding.seq or 0 for finding in exact or bad), default=None)

    @property
    def sentences(self) -> list[str]:
        """What was found, the worst first."""
        order = {Grade.TAMPERED: 0, Grade.INCOMPLETE: 1, Grade.REMARK: 2}
        return [finding.text for finding in sorted(self.findings, key=lambda finding: order[finding.grade])]

    def as_json(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "first_event": self.first,
            "last_event": self.size,
            "covered_by_outside_copy": self.covered,
            "outside_copy_made_at": self.covered_at.isoformat() if self.covered_at else None,
            "checkpoints": self.checkpoints,
            "first_bad_event": self.first_bad,
            "findings": [
                {"grade": finding.grade.name.lower(), "event": finding.seq, "text": finding.text}
                for finding in self.findings
            ],
            "findings_left_out": self.left_out,
            "seconds": round(self.seconds, 1),
        }

    def lines(self) -> Iterator[str]:
        """Say it to a person."""
        yield f"{TITLES[self.state]}: " + self.summary()
        for text in self.sentences:
            yield f"- {text}"
        if self.left_out:
            yield _("- and %(count)s more of the same kinds") % {"count": self.left_out}

    def summary(self) -> str:
        kept = _("events %(first)s to %(size)s were checked in %(seconds)s s.") % {
            "first": self.first,
            "size": self.size,
            "seconds": round(self.seconds, 1),
        }
        if self.state == "intact":
            return f"{_('nothing was changed up to event %(covered)s;') % {'covered': self.covered}} {kept}"
        return kept
