"""What the last check of the whole log says, in words for the page. "Intact" is never said without an outside copy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.timesince import timesince
from django.utils.translation import gettext as _

from portal.audit.models import Standing

LATE = timedelta(hours=26)  # a check per night, and two hours for it
LONGEST = timedelta(hours=1)  # after that a check has died


@dataclass(frozen=True)
class Verdict:
    """One line for the page: how it is meant, what it says, and what was found."""

    state: str
    tone: str
    icon: str
    title: str
    text: str = ""
    activity: str = ""  # what goes on besides
    findings: tuple[str, ...] = ()


def of(standing: Standing, now: datetime) -> Verdict:
    """Return what may be said of the log at this moment."""
    state = standing.verified_state
    if state == "intact" and not standing.verified_upto:
        state = "incomplete"
    findings = [str(text) for text in standing.verified_findings]
    activity = activity_of(standing, now)
    first = findings[0] if findings else _("See what the command audit_verify says.")
    if state == "intact":
        return intact(standing, now, activity, tuple(findings))
    checked = [_("Checked %(when)s.") % {"when": moment(standing.verified_at, now)}] if standing.verified_at else []
    if state == "tampered":
        text = " ".join([_("Changed: %(finding)s") % {"finding": first}])
        return Verdict(state, "danger", "error", text, " ".join(checked), activity, tuple(findings[1:]))
    if state == "incomplete":
        reason = first if findings else _("There is no outside copy to compare it with.")
        text = _("Not complete: %(finding)s") % {"finding": reason}
        return Verdict(state, "caution", "warning", text, " ".join([*checked, anchored(standing, now)]).strip(),
                       activity, tuple(findings[1:]))  # fmt: skip
    if state == "failed":
        text = _("The log could not be checked: %(finding)s") % {"finding": first}
        return Verdict(state, "danger", "warning", text, " ".join(checked), activity, tuple(findings[1:]))
    return Verdict("", "info", "clock", _("Not checked yet"), _("The log is checked every night."), activity)


def intact(standing: Standing, now: datetime, activity: str, findings: tuple[str, ...]) -> Verdict:
    upto = number_format(standing.verified_upto, force_grouping=True)
    title = _("Intact up to event %(upto)s") % {"upto": upto}
    checked = standing.verified_at or now
    parts = [_("checked %(when)s") % {"when": moment(checked, now)}]
    if standing.anchored_at and not standing.anchor_error:
        parts.append(_("anchored outside %(ago)s") % {"ago": ago(standing.anchored_at, now)})
    is_late = now - checked > LATE
    if is_late:
        parts.append(_("the nightly check is overdue"))
    if standing.anchor_error:
        parts.append(_("new outside copies fail: %(reason)s") % {"reason": standing.anchor_error})
    is_sound = not is_late and not standing.anchor_error
    return Verdict(
        "intact",
        "ok" if is_sound else "caution",
        "shield-check" if is_sound else "warning",
        title,
        ", ".join(parts),
        activity,
        findings,
    )


def anchored(standing: Standing, now: datetime) -> str:
    if standing.anchor_error:
        return _("Outside copies fail: %(reason)s") % {"reason": standing.anchor_error}
    if standing.anchored_at:
        return _("Anchored outside %(ago)s.") % {"ago": ago(standing.anchored_at, now)}
    return ""


def activity_of(standing: Standing, now: datetime) -> str:
    """Say whether a check runs, or waits to begin."""
    began, asked, done = standing.verify_began_at, standing.verify_requested_at, standing.verified_at
    if asked and (began is None or asked > began):
        return _("A check has been asked for and begins in a moment.")
    if began and (done is None or began > done):
        if now - began > LONGEST:
            return _("The check that began %(when)s has brought no result.") % {"when": moment(began, now)}
        return _("It is being checked now.")
    return ""


def moment(at: datetime, now: datetime) -> str:
    """Return the time, and the day if it is another one, where the site is."""
    local = timezone.localtime(at)
    is_today = local.date() == timezone.localdate(now)
    return date_format(local, "H:i" if is_today else "j M Y, H:i")


def ago(at: datetime, now: datetime) -> str:
    if now - at < timedelta(minutes=1):
        return _("just now")
    return _("%(time)s ago") % {"time": timesince(at, now, depth=1)}
