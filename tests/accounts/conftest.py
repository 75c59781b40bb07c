"""The provider of single sign-on that tests sign in at."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from portal.accounts import openid, roles
from portal.getscreen.types import Secret
from tests.openid_provider import CLIENT_ID, CLIENT_SECRET, MAYA, Provider, signed


@pytest.fixture(scope="module")
def one_provider() -> Iterator[Provider]:
    with closing(Provider()) as provider:
        yield provider


@pytest.fixture
def provider(one_provider, settings, db) -> Provider:
    """The provider, telling the truth, and the portal set to it."""
    one_provider.claims, one_provider.document, one_provider.token = dict(MAYA), {}, {}
    one_provider.sign, one_provider.broken, one_provider.signed_in_at = signed, {}, int(time.time())
    one_provider.asked.clear()
    openid.memory.documents.clear()
    settings.OIDC_ISSUER = one_provider.issuer
    settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = CLIENT_ID, Secret(CLIENT_SECRET)
    settings.OIDC_NAME = "Example SSO"
    settings.OIDC_ROLES = {"helpdesk": roles.AGENT, "leads": roles.TEAM_LEAD, "admins": roles.ADMINISTRATOR}
    return one_provider
