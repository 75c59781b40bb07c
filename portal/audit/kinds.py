"""The registered kinds of events, with the sentence a person reads. An unknown kind raises."""

from django.db import models
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Phase(models.TextChoices):
    """Where an event stands in its operation. Events without a remote call are single."""

    INTENT = "intent", _("Started")
    OUTCOME = "outcome", _("Ended")
    SINGLE = "single", _("Single")
    RECONCILED = "reconciled", _("Settled later")


class Result(models.TextChoices):
    """How it ended. An intent has none yet."""

    OK = "ok", _("Done")
    DENIED = "denied", _("Refused")
    FAILED = "failed", _("Failed")
    UNKNOWN = "unknown", _("Unknown")


KINDS: dict[str, str | Promise] = {
    "signin.ok": _("Signed in"),
    "signin.failed": _("Tried to sign in"),
    "signin.limited": _("Was stopped after too many sign-in attempts"),
    "signout": _("Signed out"),
    "password.changed": _("Changed the password"),
    "password.reset": _("Set a new password by e-mail link"),
    "password.reset_requested": _("Asked for a password reset"),
    "admin.enrolment_created": _("Made an enrolment link for the first administrator"),
    "admin.enrolled": _("Enrolled as the first administrator"),
    "admin.added": _("Added in the administration"),
    "admin.changed": _("Changed in the administration"),
    "admin.deleted": _("Deleted in the administration"),
    "access.denied": _("Was refused a page"),
    "access.csrf": _("Sent a form that could not be verified"),
    "invitation.create": _("Create invitation"),
    "invitation.connect": _("Connect"),
    "invitation.rename": _("Rename invitation"),
    "invitation.close": _("Close invitation"),
    "invitation.preview": _("Looked at the client's desktop preview"),
    "vendor.joined": _("Client joined"),
    "vendor.left": _("Client left"),
    "vendor.session": _("Session seen at Getscreen"),
    "vendor.closed": _("Closed outside the portal"),
    "vendor.external": _("Invitation made outside the portal"),
    "vendor.trouble": _("Getscreen became unavailable"),
    "vendor.recovered": _("Getscreen is available again"),
    "audit.viewed": _("Opened the audit log"),
    "system.started": _("Portal started"),
}
