"""The administration's pages about people and roles. What other apps bring of their own is taken away first."""

from allauth.account.admin import EmailAddress
from allauth.mfa.admin import Authenticator
from allauth.socialaccount.admin import SocialAccount, SocialApp, SocialToken
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin  # noqa: F401  # registers what is taken away
from django.contrib.auth.models import Group

# Importing their own admin registered them. It shows secrets, and a second list of e-mail addresses beside the person's
# would let somebody who no longer has the mailbox reset the password.
for model in (Group, EmailAddress, Authenticator, SocialAccount, SocialApp, SocialToken):
    admin.site.unregister(model)

from portal.accounts.admin.audited import AuditedAdmin, Changes  # noqa: E402
from portal.accounts.admin.people import UserAdmin  # noqa: E402
from portal.accounts.admin.role_table import RoleAdmin  # noqa: E402

__all__ = ["AuditedAdmin", "Changes", "RoleAdmin", "UserAdmin"]
