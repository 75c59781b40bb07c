"""What a person with a second factor does: an authenticator app as tests have it, and the pages it is for."""

from __future__ import annotations

import time
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value

from portal.accounts.models import User
from tests.conftest import PASSWORD, Browser

SEED = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
LOGIN, CODE, SECURITY = "/accounts/login/", "/accounts/login/code/", "/accounts/security/"


def code(seed: str = SEED, *, steps: int = 0) -> str:
    """Return what an app shows now, or `steps` times 30 seconds later."""
    return format_hotp_value(hotp_value(seed, int(time.time()) // 30 + steps))


def give_app(user: User) -> Authenticator:
    app: Authenticator = TOTP.activate(user, SEED).instance
    return app


def give_codes(user: User) -> list[str]:
    codes: list[str] = RecoveryCodes.activate(user).get_unused_codes()
    return codes


def by_password(user: User, password: str = PASSWORD) -> Browser:
    """A browser in which the first step is done."""
    browser = Browser()
    browser.post(LOGIN, {"login": user.username, "password": password})
    return browser


def show(browser: Browser, typed: str) -> Any:
    return browser.post(CODE, {"code": typed})


def by_code(user: User, *, steps: int = 0) -> Browser:
    browser = by_password(user)
    assert show(browser, code(steps=steps)).status_code == 302
    return browser
