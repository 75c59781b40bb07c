"""What the portal knows: invitations, operations under way, how fresh it is, what was decided and what is sent."""

from invitations.models.invitation import (
    CONNECTING_FOR,
    EXPIRES_SOON,
    LATE_AFTER,
    NAME_LENGTH,
    PHRASES,
    RECENTLY_CLOSED,
    Entry,
    Invitation,
    InvitationQuerySet,
    Note,
    Outcome,
    Status,
    new_phrase,
    new_public_id,
)
from invitations.models.operation import ABANDONED_AFTER, UNSETTLED_ON_BOARD, Operation, OperationQuerySet
from invitations.models.outbox import Delivery, Escalation, MessageTemplate, Webhook
from invitations.models.policy import AlertChoice, Logo, Policy
from invitations.models.sight import Rules, Sight, sight_of
from invitations.models.snapshot import Snapshot

__all__ = [
    "ABANDONED_AFTER",
    "CONNECTING_FOR",
    "EXPIRES_SOON",
    "LATE_AFTER",
    "NAME_LENGTH",
    "PHRASES",
    "RECENTLY_CLOSED",
    "UNSETTLED_ON_BOARD",
    "AlertChoice",
    "Delivery",
    "Entry",
    "Escalation",
    "Invitation",
    "InvitationQuerySet",
    "Logo",
    "MessageTemplate",
    "Note",
    "Operation",
    "OperationQuerySet",
    "Outcome",
    "Policy",
    "Rules",
    "Sight",
    "Snapshot",
    "Status",
    "Webhook",
    "new_phrase",
    "new_public_id",
    "sight_of",
]
