"""What the world or the portal has refused, in words: what happened, what it means, what to do next."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Text = str | Promise


@dataclass(frozen=True)
class Wording:
    """What happened, what it means, what to do next."""

    status: int
    title: Text
    text: Text
    next: Text


WORDINGS: dict[str, Wording] = {
    "no_audit": Wording(
        503,
        _("The audit log cannot be written"),
        _("The audit log cannot be written. Nothing was done."),
        _("Wait a moment and try again. If it stays like this, tell your administrator: reading goes on meanwhile."),
    ),
    "unrecorded": Wording(
        503,
        _("The audit log cannot be written"),
        _("The request was sent to Getscreen, but how it ended could not be recorded. It may have been carried out."),
        _("Look at the board before you try again: what has happened shows up there as soon as the log works."),
    ),
    "unrecorded_connect": Wording(
        503,
        _("The audit log cannot be written"),
        _("The connection could not be recorded, so its link was thrown away. Nobody can use it."),
        _("Wait a moment and try again: you get a fresh link."),
    ),
    "crowded": Wording(
        503,
        _("Many people are signing in"),
        _("The portal checks only a few passwords at a time, and it was not your turn. Nothing was checked."),
        _("Wait a few seconds and try again."),
    ),
    "unreachable": Wording(
        503,
        _("Getscreen does not answer"),
        _("The portal works, but it could not reach Getscreen. Nothing was changed."),
        _("Wait a moment and try again. Sessions that are running are not affected."),
    ),
    "maybe": Wording(
        503,
        _("We do not know whether it worked"),
        _("The request was sent, but Getscreen did not confirm it. It may have been carried out."),
        _("Look at the board before you try again: what has happened shows up there within a minute."),
    ),
    "maybe_connect": Wording(
        503,
        _("Getscreen did not send the link"),
        _("The request was sent, but its answer was lost. A link that may have been made is unused and harmless."),
        _("Try again: you get a fresh link."),
    ),
    "quota": Wording(
        503,
        _("The plan's limit is used up"),
        _("Getscreen refuses this because your plan has no sessions or requests left."),
        _("Ask whoever looks after the Getscreen plan. Open sessions are not affected."),
    ),
    "key": Wording(
        503,
        _("Getscreen rejected the portal's API key"),
        _("The key is wrong, was revoked, or lacks rights. Nothing was changed."),
        _("Ask your administrator to check GETSCREEN_API_KEY."),
    ),
    "address": Wording(
        502,
        _("The Getscreen address does not know this request"),
        _("The configured address is wrong, or that server is older. Nothing was changed."),
        _("Ask your administrator to check GETSCREEN_API_URL."),
    ),
    "garbled": Wording(
        502,
        _("Getscreen answered something we do not understand"),
        _("The answer was incomplete or in an unknown form, so the portal did not act on it."),
        _("Try again. If it happens repeatedly, tell your administrator the reference below."),
    ),
    "unknown_invitation": Wording(
        404,
        _("Getscreen does not know this invitation"),
        _("It was probably closed or removed elsewhere."),
        _("Go back to the board and create a new invitation if the client still needs help."),
    ),
    "not_ready": Wording(
        409,
        _("The client has not joined yet"),
        _("You can connect as soon as the client has entered the code."),
        _("Read the code out again or send the link, and wait for “Client joined”."),
    ),
    "status_unknown": Wording(
        409,
        _("The state of this invitation is unknown"),
        _("Getscreen reports a state that the portal does not know, so it does not connect."),
        _("Look at the invitation in the Getscreen dashboard, or create a new one."),
    ),
    "closed": Wording(
        409,
        _("This invitation is closed"),
        _("Its code and link no longer work."),
        _("Create a new invitation if the client still needs help."),
    ),
    "expired": Wording(
        409,
        _("This invitation has expired"),
        _("Its code and link no longer work, so nothing was sent."),
        _("Create a new invitation if the client still needs help."),
    ),
    "mail_off": Wording(
        409,
        _("This portal sends no e-mail"),
        _("No mail server is configured, so nothing was sent."),
        _("Copy the message and send it from your own mail program."),
    ),
    "no_link": Wording(
        409,
        _("There is no link to send"),
        _("Getscreen has told no link for this invitation, so nothing was sent."),
        _("Read the code out to the client, or create a new invitation."),
    ),
    "other_account": Wording(
        409,
        _("This invitation belongs to another Getscreen account"),
        _("It was made with an API key that the portal no longer uses."),
        _("Create a new invitation."),
    ),
    "double": Wording(
        409,
        _("Already opened in another tab"),
        _("This form was sent before, and its link works only once."),
        _("If you closed that tab, press Connect for a new link."),
    ),
    "busy": Wording(
        409,
        _("This is being done already"),
        _("The same request is still on its way."),
        _("Wait a few seconds and look at the board."),
    ),
    "not_created": Wording(
        409,
        _("No invitation was made"),
        _("The form was sent twice; the first time failed and made nothing."),
        _("Go back to the form and send it again."),
    ),
    "choose_recording": Wording(
        409,
        _("Say whether to record"),
        _("Your helpdesk asks at each connection whether the session is recorded. Nothing was started."),
        _("Open the invitation, choose, and press Connect."),
    ),
    "connecting": Wording(
        409,
        _("%(name)s is connecting to this client"),
        _("%(name)s pressed Connect at %(time)s, so nothing was started for you."),
        _("Close this tab, or ask %(name)s. If you take over, the board and the timeline say so."),
    ),
    "taken": Wording(
        409,
        _("%(name)s has taken care of this client"),
        _("%(name)s has had this client since %(time)s, so nothing was started for you."),
        _("Close this tab, or ask %(name)s. If you take over, the board and the timeline say so."),
    ),
    "handed_over": Wording(
        409,
        _("This client was handed over to %(name)s"),
        _("%(name)s has not taken it up yet. Nothing was started for you."),
        _("Close this tab, or ask %(name)s. If you take over, the board and the timeline say so."),
    ),
    "taken_unchanged": Wording(
        409,
        _("%(name)s has this client"),
        _("%(name)s has this client by now, so nothing was changed."),
        _("Ask %(name)s, or look at the timeline to see what has happened."),
    ),
    "cannot_take": Wording(
        422,
        _("Nothing was handed over"),
        _("The person or team you chose may not connect to this client any more."),
        _("Choose another."),
    ),
    "ticket_missing": Wording(
        422,
        _("A ticket is missing"),
        _("Your team asks for a ticket with every invitation, so none was made."),
        _("Type its number and send the form again."),
    ),
    "reason_missing": Wording(
        422,
        _("A ticket or a reason is missing"),
        _("Your team asks for a ticket or a reason with every invitation, so none was made."),
        _("Type one of them and send the form again."),
    ),
    "ticket_malformed": Wording(
        422,
        _("This is not a ticket of yours"),
        _("Your team's tickets look different, so nothing was saved."),
        _("Look at the number once more and send the form again."),
    ),
    "outcome_missing": Wording(
        422,
        _("Say how it ended"),
        _("Your team asks for an outcome when an invitation is closed, so it stays open."),
        _("Choose one and send the form again."),
    ),
    "note_changed": Wording(
        409,
        _("Somebody has changed this note meanwhile"),
        _("Nothing was saved, so that no words are lost. Their note and yours stand below."),
        _("Put both together and save again."),
    ),
    "never_expires": Wording(
        409,
        _("This invitation does not expire"),
        _("It has no end that could be put off: it was made outside the portal, or without a time limit."),
        _("Close it when it is no longer needed."),
    ),
    "extended_enough": Wording(
        409,
        _("It cannot be extended that far"),
        _("An invitation may be valid for seven days from now at most, so nothing was changed."),
        _("Choose less, or extend it again later."),
    ),
    "expires_already": Wording(
        409,
        _("This invitation has just expired"),
        _("Its time is up and the portal is closing it at this moment."),
        _("Look at it again in a few seconds. If it is closed, create a new invitation."),
    ),
    "limit_connect": Wording(
        429,
        _("Too many connections in a short time"),
        _("You have opened as many connections as one person may in ten minutes, so nothing was started."),
        _("Wait a few minutes and try again."),
    ),
    "limit_create": Wording(
        429,
        _("Too many invitations in a short time"),
        _("You have made as many invitations as one person may in an hour, so none was made."),
        _("Wait a while and try again."),
    ),
    "limit_mail": Wording(
        429,
        _("Too many e-mails in a short time"),
        _("You have sent as many e-mails as one person may in an hour, so this one was not sent."),
        _("Copy the message and send it from your own mail program."),
    ),
    "outcome_unknown": Wording(
        409,
        _("We do not know yet whether the invitation was made"),
        _("An earlier sending of this form got no answer. Sending it again could make two."),
        _("Look at the board: if Getscreen made it, it shows up there within a minute."),
    ),
}
