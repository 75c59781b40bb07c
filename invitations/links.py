"""Which link a client gets: the vendor's, or that of our own join page. The one place that knows.

Ours ends in the code and a tag that only this portal can make. Whoever has it was sent it, so it is let through where
typed codes are not (`invitations.guesses`), and it never leads to a later invitation with the same code.
"""

from __future__ import annotations

import base64
import re

from django.conf import settings
from django.urls import reverse
from django.utils.crypto import constant_time_compare, salted_hmac

from invitations.codes import Code
from invitations.models import Invitation, Policy
from portal.getscreen.links import LinkRefused, normalise

TAG = 8  # signs of five bits


def client_link(invitation: Invitation, policy: Policy) -> str:
    """Return what to send to the client, or nothing where the vendor has given no link that may be followed.

    The join page knows neither what was made outside the portal nor codes that are not nine digits.
    """
    is_ours = policy.shared_link == Policy.Link.JOIN and not invitation.is_external
    if not is_ours or not invitation.invite_url or not re.fullmatch(r"[0-9]{9}", invitation.code):
        return invitation.invite_url
    code = Code(invitation.code, tag_of(invitation, settings.SECRET_KEY))
    return settings.PUBLIC_URL + reverse("join_short_code", args=[str(code)])


def tag_of(invitation: Invitation, key: str) -> str:
    digest = salted_hmac("invitations.links", invitation.public_id, secret=key, algorithm="sha256").digest()
    return base64.b32encode(digest)[:TAG].decode().lower()


def is_of(invitation: Invitation, tag: str) -> bool:
    """Say whether the tag is one that this portal has made for the invitation, also with an earlier key."""
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return any(constant_time_compare(tag_of(invitation, key), tag) for key in keys)


def vendors(invitation: Invitation) -> str:
    """Return the vendor's link if it leads to a host that is allowed now, else nothing."""
    try:
        return normalise(invitation.invite_url, settings.GETSCREEN_LINK_HOSTS)
    except LinkRefused:
        return ""
