"""The registered kinds of events, with the sentences a person reads. An unknown kind raises KeyError.

A sentence follows the person's name: what was done, and what was tried where it was not done. Its
`%(…)s` are filled from the event's facts and details by `portal.audit.sentences`.
"""

from __future__ import annotations

from typing import NamedTuple

from django.db import models
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

Text = str | Promise


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


class Kind(NamedTuple):
    """The name of a kind in lists, and its sentences. One with two forms says which fact it counts."""

    label: Text
    done: Text
    tried: Text = ""


KINDS: dict[str, Kind] = {
    # Sign-in
    "signin.ok": Kind(_("Sign-in"), _("signed in")),
    "signin.failed": Kind(_("Failed sign-in"), _("tried to sign in"), _("tried to sign in as “%(claimed)s”")),
    "signin.limited": Kind(
        _("Limited sign-in"), _("was stopped"), _("was stopped after too many tries to sign in as “%(claimed)s”")
    ),
    "signin.factor_failed": Kind(
        _("Wrong second step"), _("showed a second factor"), _("failed to show a second factor")
    ),
    "signin.refused": Kind(
        _("Refused sign-in"), _("signed in"), _("proved who they are and was not let in (%(reason)s)")
    ),
    "signin.closed": Kind(
        _("Closed sign-in"), _("signed in"), _("tried to sign in past single sign-on, which is the only way")
    ),
    "signin.link_made": Kind(
        _("Emergency link made"),
        _("made a link with which %(target)s signs in"),
        _("made a link with which %(target)s signs in past single sign-on"),
    ),
    "signin.link_used": Kind(_("Emergency link used"), _("began to sign in by an emergency link, which is spent")),
    "sso.failed": Kind(
        _("Single sign-on failed"), _("signed in"), _("could not be signed in by the provider (%(reason)s)")
    ),
    "sso.connected": Kind(_("Single sign-on connected"), _("connected single sign-on with the own account")),
    "sso.disconnected": Kind(_("Single sign-on disconnected"), _("took single sign-on off the account of %(target)s")),
    "sso.confirmed": Kind(_("Asked again at the provider"), _("confirmed by signing in at the provider again")),
    "signout": Kind(_("Sign-out"), _("signed out")),
    "session.ended": Kind(
        _("Session ended"),
        ngettext_lazy("ended %(count)s session of %(target)s", "ended %(count)s sessions of %(target)s", "count"),
    ),
    "session.expired": Kind(_("Session expired"), _("was signed out by the %(limit)s limit of %(minutes)s minutes")),
    "session.all_ended": Kind(
        _("Every session ended"), _("ended every session (sessions: %(count)s, people: %(people)s)")
    ),
    "session.concurrent": Kind(
        _("In two networks at once"), _("signed in while being active in another network (sessions there: %(count)s)")
    ),
    "reauthentication.ok": Kind(_("Password asked again"), _("confirmed the password")),
    "reauthentication.failed": Kind(
        _("Failed confirmation"), _("confirmed the password"), _("failed to confirm the password")
    ),
    "factor.added": Kind(_("Factor added"), _("added a second factor (%(type)s) for %(target)s")),
    "factor.removed": Kind(_("Factor removed"), _("removed a second factor (%(type)s) of %(target)s")),
    "factor.renamed": Kind(_("Passkey renamed"), _("renamed a passkey of %(target)s")),
    "factor.recovery_codes": Kind(_("Recovery codes made"), _("made new recovery codes for %(target)s")),
    "factor.confirmed": Kind(_("Factor asked again"), _("confirmed with a second factor (%(type)s)")),
    "access.fresh_factor_asked": Kind(
        _("Confirmation asked"),
        _("confirmed before a connection"),
        _("was asked to confirm before connecting to %(target)s"),
    ),
    "password.changed": Kind(_("Password changed"), _("changed the own password")),
    "password.reset": Kind(_("Password reset"), _("set a new password by e-mail link")),
    "password.reset_requested": Kind(
        _("Reset requested"),
        _("asked for a password reset of %(target)s"),
        _("asked for a password reset of %(target)s, and the mail could not be sent"),
    ),
    "password.reset_refused": Kind(
        _("Reset refused"), _("used a reset link"), _("opened a reset link that is used or too old")
    ),
    # People, roles, policies
    "enrolment.created": Kind(_("Enrolment link made"), _("made an enrolment link for the first administrator")),
    "enrolment.used": Kind(_("First administrator"), _("enrolled as the first administrator")),
    "enrolment.refused": Kind(
        _("Enrolment refused"), _("enrolled"), _("opened an enrolment link that is used or too old")
    ),
    "user.created": Kind(_("Person added"), _("added the person %(target)s")),
    "user.changed": Kind(_("Person changed"), _("changed the person %(target)s")),
    "user.change_refused": Kind(
        _("Change of a person refused"),
        _("changed the person %(target)s"),
        _("was refused a change of the person %(target)s (%(reason)s)"),
    ),
    "user.disabled": Kind(_("Person disabled"), _("disabled the account of %(target)s")),
    "user.enabled": Kind(_("Person enabled"), _("enabled the account of %(target)s")),
    "user.roles_changed": Kind(_("Roles changed"), _("changed the roles of %(target)s")),
    "user.teams_changed": Kind(_("Teams of a person changed"), _("changed the teams of %(target)s")),
    "user.password_set": Kind(_("Password set"), _("set a password for %(target)s")),
    "user.approved": Kind(_("Person approved"), _("let %(target)s in")),
    "user.link_made": Kind(_("One-time link made"), _("made a one-time link for %(target)s to choose a password")),
    "user.link_used": Kind(_("One-time link used"), _("chose a password by one-time link")),
    "user.link_refused": Kind(
        _("One-time link refused"), _("used a one-time link"), _("opened a one-time link that is used or too old")
    ),
    "factor.reset": Kind(_("Second factor removed"), _("removed the second factors of %(target)s")),
    "factor.reencrypted": Kind(
        _("Second factors encrypted anew"),
        ngettext_lazy(
            "encrypted %(count)s second factor with the new key",
            "encrypted %(count)s second factors with the new key",
            "count",
        ),
    ),
    "role.added": Kind(_("Role added"), _("added the role %(target)s")),
    "role.changed": Kind(_("Role changed"), _("changed what the role %(target)s may do")),
    "role.deleted": Kind(_("Role deleted"), _("deleted the role %(target)s")),
    "team.added": Kind(_("Team added"), _("added the team %(target)s")),
    "team.changed": Kind(_("Team renamed"), _("renamed the team %(target)s")),
    "team.members_changed": Kind(_("People of a team changed"), _("changed who is in the team %(target)s")),
    "team.deleted": Kind(_("Team deleted"), _("deleted the team %(target)s")),
    "policy.changed": Kind(_("Policy changed"), _("changed the policy")),
    "admin.added": Kind(_("Record added"), _("added %(target)s in the administration")),
    "admin.changed": Kind(_("Record changed"), _("changed %(target)s in the administration")),
    "admin.deleted": Kind(_("Record deleted"), _("deleted %(target)s in the administration")),
    # Refusals
    "access.denied": Kind(_("Page refused"), _("opened %(target)s"), _("was refused %(target)s")),
    "access.csrf": Kind(
        _("Unverified form"), _("sent a form"), _("sent a form to %(target)s that could not be verified")
    ),
    "access.embedded": Kind(
        _("Embedded elsewhere"), _("opened %(target)s"), _("met another site that tried to embed %(target)s")
    ),
    "access.limited": Kind(
        _("Limit reached"), _("reached a limit"), _("was stopped at %(target)s after too many tries")
    ),
    "limit.reached": Kind(
        _("Limit per person"),
        _("stayed within a limit"),
        _("reached the limit of %(allowed)s in %(seconds)s seconds (%(limit)s)"),
    ),
    # Invitations
    "invitation.create": Kind(
        _("Invitation created"),
        _("created an invitation for %(target)s"),
        _("tried to create an invitation for %(target)s"),
    ),
    "invitation.connect": Kind(
        _("Connection"), _("got a link into the computer of %(target)s"), _("tried to connect to %(target)s")
    ),
    "invitation.rename": Kind(
        _("Invitation renamed"),
        _("renamed the invitation for %(target)s"),
        _("tried to rename the invitation for %(target)s"),
    ),
    "invitation.close": Kind(
        _("Invitation closed"),
        _("closed the invitation for %(target)s"),
        _("tried to close the invitation for %(target)s"),
    ),
    "invitation.noted": Kind(
        _("Note or ticket changed"), _("changed note, ticket or outcome of the invitation for %(target)s")
    ),
    "invitation.expire": Kind(
        _("Invitation expired"),
        _("closed the invitation for %(target)s because it had expired"),
        _("tried to close the expired invitation for %(target)s"),
    ),
    "invitation.erase": Kind(
        _("Names and notes erased"),
        ngettext_lazy(
            "erased names and notes of %(count)s invitation closed more than %(days)s days ago",
            "erased names and notes of %(count)s invitations closed more than %(days)s days ago",
            "count",
        ),
    ),
    "invitation.extended": Kind(
        _("Invitation extended"), _("extended the invitation for %(target)s by %(hours)s hours")
    ),
    "invitation.still": Kind(_("Session confirmed"), _("said that the long session with %(target)s goes on")),
    "invitation.preview": Kind(
        _("Preview viewed"), _("looked at the desktop of %(target)s"), _("tried to look at the desktop of %(target)s")
    ),
    "invitation.revealed": Kind(_("Code revealed"), _("copied the %(what)s of %(target)s")),
    "invitation.qr": Kind(_("QR code shown"), _("was shown the QR code of %(target)s")),
    "join.continued": Kind(
        _("Client went on"), _("went on to Getscreen from the join page of %(target)s (in “%(language)s”)")
    ),
    "invitation.mailed": Kind(_("Invitation mailed"), _("sent the invitation to %(target)s by e-mail")),
    "invitation.escalated": Kind(_("Escalated"), _("told others that nobody takes care of %(target)s (%(step)s)")),
    "invitation.escalation_limited": Kind(
        _("Escalations held back"),
        _("told others of clients who wait"),
        _("told nobody else of clients who wait: %(allowed)s times in an hour are allowed"),
    ),
    "delivery.sent": Kind(_("Sent"), _("sent a %(what)s about %(target)s")),
    "delivery.failed": Kind(
        _("Not delivered"),
        _("sent a %(what)s about %(target)s"),
        _("gave up to send a %(what)s about %(target)s after %(tries)s tries"),
    ),
    "delivery.cancelled": Kind(_("Delivery cancelled"), _("did not send a %(what)s about %(target)s: %(trouble)s")),
    "delivery.hastened": Kind(_("Delivery tried again"), _("had a %(what)s about %(target)s tried again at once")),
    "delivery.tested": Kind(
        _("Delivery tested"),
        _("sent a test to %(target)s"),
        _("could not send a test to %(target)s: %(trouble)s"),
    ),
    "invitation.claim": Kind(
        _("Client claimed"), _("takes care of %(target)s"), _("tried to claim %(target)s, whom somebody else has")
    ),
    "invitation.take_over": Kind(_("Client taken over"), _("took %(target)s over from %(holder)s")),
    "invitation.hand_over": Kind(
        _("Client handed over"),
        _("handed %(target)s over to %(to)s"),
        _("tried to hand over %(target)s, whom somebody else has"),
    ),
    "invitation.release": Kind(
        _("Client released"),
        _("gave %(target)s back to the queue"),
        _("tried to give back %(target)s, whom somebody else has"),
    ),
    "invitation.return": Kind(
        _("Client returned"), _("returned %(target)s to the queue, because %(holder)s was not there")
    ),
    "history.exported": Kind(
        _("History exported"),
        ngettext_lazy("exported %(rows)s closed invitation", "exported %(rows)s closed invitations", "rows"),
        _("began to export closed invitations"),
    ),
    # What was seen at the vendor
    "vendor.joined": Kind(_("Client joined"), _("saw that %(target)s has joined")),
    "vendor.left": Kind(_("Client left"), _("saw that %(target)s has left")),
    "vendor.session": Kind(_("Session seen"), _("saw a session with %(target)s at Getscreen")),
    "vendor.closed": Kind(
        _("Closed outside"), _("saw that the invitation for %(target)s was closed outside the portal")
    ),
    "vendor.external": Kind(_("Made outside"), _("saw an invitation for %(target)s made outside the portal")),
    "vendor.status": Kind(_("Unknown status"), _("saw a status of %(target)s that it does not know")),
    "vendor.trouble": Kind(_("Getscreen unavailable"), _("lost Getscreen"), _("lost Getscreen: %(reason)s")),
    "vendor.recovered": Kind(_("Getscreen available"), _("reached Getscreen again")),
    "vendor.link_refused": Kind(
        _("Link refused"), _("got a link"), _("got a link from Getscreen that leads elsewhere, and refused it")
    ),
    # The log itself
    "audit.viewed": Kind(_("Log viewed"), _("opened the audit log")),
    "audit.event_viewed": Kind(_("Event viewed"), _("opened event %(event)s of the audit log")),
    "audit.exported": Kind(
        _("Log exported"),
        ngettext_lazy("exported %(rows)s event of the audit log", "exported %(rows)s events of the audit log", "rows"),
        _("began to export the audit log"),
    ),
    "audit.evidence": Kind(
        _("Evidence exported"),
        _("exported the evidence about %(target)s"),
        _("began to export the evidence about %(target)s"),
    ),
    "audit.verify_requested": Kind(_("Check requested"), _("asked for a check of the audit log")),
    "audit.verified": Kind(
        _("Log checked"), _("checked the audit log: nothing was changed"), _("checked the audit log: %(finding)s")
    ),
    "audit.purged": Kind(_("Log purged"), _("removed the events up to %(upto)s"), _("began to remove old events")),
    "audit.erased": Kind(
        _("Details erased"),
        ngettext_lazy(
            "erased the personal details of %(count)s event", "erased the personal details of %(count)s events", "count"
        ),
    ),
    "audit.key_created": Kind(_("Signing key made"), _("made the key %(key)s for checkpoints")),
    "audit.key_rotated": Kind(_("Signing key changed"), _("changed the key for checkpoints from %(old)s to %(key)s")),
    "audit.triggers": Kind(
        _("Triggers checked"),
        _("has the triggers of the audit log in place again"),
        _("found the triggers of the audit log changed"),
    ),
    "audit.anchor": Kind(
        _("Outside copy"),
        _("can write checkpoints to their second place again"),
        _("could not write a checkpoint to its second place"),
    ),
    "audit.forward": Kind(
        _("Forwarding"), _("reached the syslog server again"), _("could not reach the syslog server")
    ),
    "audit.forward_skipped": Kind(
        _("Forwarding gap"),
        _("sent everything to the syslog server"),
        ngettext_lazy(
            "could not send %(count)s event to the syslog server: it was purged before",
            "could not send %(count)s events to the syslog server: they were purged before",
            "count",
        ),
    ),
    "audit.forward_tested": Kind(
        _("Forwarding tested"),
        _("sent a test message to the syslog server"),
        _("could not send a test message to the syslog server"),
    ),
    # The portal as a program
    "system.started": Kind(_("Portal started"), _("started")),
    "system.stopped": Kind(_("Portal stopped"), _("stopped")),
    "system.recovered": Kind(
        _("Recovery"),
        ngettext_lazy("found %(count)s operation interrupted", "found %(count)s operations interrupted", "count"),
    ),
    "system.configured": Kind(_("Settings changed"), _("started with other settings: %(names)s")),
    "system.migrated": Kind(_("Database changed"), _("brought the database to another release")),
    "backup.made": Kind(_("Backup made"), _("made the backup %(file)s"), _("could not make a backup: %(reason)s")),
    "backup.restored": Kind(
        _("Backup restored"), _("restored the backup of %(made_at)s, with the log up to event %(head)s")
    ),
    "system.clock": Kind(_("Clock jumped"), _("noticed that the clock jumped by %(seconds)s seconds")),
}
