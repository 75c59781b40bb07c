"""What the portal itself refuses, before or instead of asking the vendor."""

from __future__ import annotations

from invitations.models import Invitation


class ActionRefused(Exception):
    """The portal will not do it now. `reason` is a key that the failure page words."""

    reason = "refused"
    status = 409
    reference = ""  # of the operation in the audit log, if it has begun

    def __init__(self, invitation: Invitation | None = None) -> None:
        self.invitation = invitation
        super().__init__(self.reason)


class NotJoined(ActionRefused):
    """Nobody has joined yet, so there is no desktop to connect to."""

    reason = "not_ready"


class StatusUnknown(ActionRefused):
    """The vendor reports a status we do not know, so connecting could do anything."""

    reason = "status_unknown"


class AlreadyClosed(ActionRefused):
    """The invitation is closed."""

    reason = "closed"


class Expired(ActionRefused):
    """The invitation's time is over, though it may not be closed at the vendor yet."""

    reason = "expired"


class MailOff(ActionRefused):
    """No mail server is configured."""

    reason = "mail_off"


class NoLink(ActionRefused):
    """Getscreen has given no link that could be sent to the client."""

    reason = "no_link"


class OtherAccount(ActionRefused):
    """The invitation belongs to an API key that is no longer in use."""

    reason = "other_account"


class SentTwice(ActionRefused):
    """The same form was sent twice; a one-time link cannot be handed out again."""

    reason = "double"


class UnderWay(ActionRefused):
    """The same thing is being done at this moment."""

    reason = "busy"


class OutcomeUnknown(ActionRefused):
    """An earlier sending of this form has no known outcome yet; sending it again could do it twice."""

    reason = "outcome_unknown"


class NotCreated(ActionRefused):
    """The first sending of this form has failed and made nothing."""

    reason = "not_created"


class TicketMissing(ActionRefused):
    """The policy wants the number of a ticket with every invitation."""

    reason = "ticket_missing"
    status = 422


class ReasonMissing(ActionRefused):
    """The policy wants the number of a ticket or, without one, a reason."""

    reason = "reason_missing"
    status = 422


class TicketMalformed(ActionRefused):
    """The ticket looks like none of the team's."""

    reason = "ticket_malformed"
    status = 422


class OutcomeMissing(ActionRefused):
    """The policy wants to know how it ended before an invitation is closed."""

    reason = "outcome_missing"
    status = 422


class NoteChanged(ActionRefused):
    """Somebody has changed the note since the person saw it."""

    reason = "note_changed"


class RecordingNotChosen(ActionRefused):
    """The policy wants the person to say whether the session is recorded."""

    reason = "choose_recording"


class LimitReached(ActionRefused):
    """The person has done it as often as the policy allows in that time. `wait_seconds`: until it may be done again."""

    status = 429

    def __init__(self, reason: str, wait_seconds: int, invitation: Invitation | None = None) -> None:
        self.reason, self.wait_seconds = reason, wait_seconds
        super().__init__(invitation)


class NeverExpires(ActionRefused):
    """The invitation has no end to be put off."""

    reason = "never_expires"


class ExtendedEnough(ActionRefused):
    """It would live for more than a week from now."""

    reason = "extended_enough"


class ExpiresAlready(ActionRefused):
    """Its time is up and the watcher closes it at this moment."""

    reason = "expires_already"


class Spared(ActionRefused):
    """The watcher does not close what has expired, after another look. No person meets it."""

    def __init__(self, invitation: Invitation, reason: str) -> None:
        self.reason = reason
        super().__init__(invitation)


class Mismatch(ActionRefused):
    """The vendor answered with another invitation than the one asked for."""

    reason = "unknown_invitation"
    status = 404


class Taken(ActionRefused):
    """A colleague has taken care of the client, connects at this moment, or was given the client just now."""

    def __init__(self, invitation: Invitation, *, is_connecting: bool) -> None:
        self.reason = "connecting" if is_connecting else "taken" if invitation.taken_at else "handed_over"
        super().__init__(invitation)


class CannotTake(ActionRefused):
    """Whoever was to get the client may not connect or not see the invitation; or the team is gone, or nobody's."""

    reason = "cannot_take"
    status = 422
