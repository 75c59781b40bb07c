"""What a browser calls itself, in words that its owner recognises. It says what it likes: never a proof."""

from __future__ import annotations

from functools import lru_cache

import ua_parser
from django.utils.translation import gettext as _


@lru_cache(maxsize=512)
def families(user_agent: str) -> tuple[str, str]:
    """Return the browser and the operating system, empty where they are not known."""
    found = ua_parser.parse(user_agent)
    browser = found.user_agent.family if found.user_agent else ""
    system = found.os.family if found.os else ""
    return browser, system


def name_of(user_agent: str) -> str:
    """Return for example "Firefox on Windows"."""
    browser, system = families(user_agent)
    if browser and system:
        return _("%(browser)s on %(system)s") % {"browser": browser, "system": system}
    return browser or system or _("Unknown browser")
