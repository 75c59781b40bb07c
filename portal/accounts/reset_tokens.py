"""The tokens in mailed links with which people reset their password."""

from datetime import datetime

from django.contrib.auth.tokens import PasswordResetTokenGenerator

from portal.accounts.models import User


class ResetTokens(PasswordResetTokenGenerator):
    """A token ends with the password, the address or the last sign-in it was made for, and with `User.end_links`.

    allauth's own for an account whose links were never ended: a replica of another release takes it as well.
    """

    def _make_hash_value(self, user: User, timestamp: int) -> str:
        ended: datetime | None = user.links_ended_at
        return f"{super()._make_hash_value(user, timestamp)}{user.email}{ended.timestamp() if ended else ''}"
