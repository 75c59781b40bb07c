"""What a client is sent: a text per language, with placeholders in braces, and its order as a mail.

Texts are an administrator's, and come from a database: they are checked when they are saved and filled by one
pass over plain names. Nothing in them is ever evaluated, and what is filled in is never looked at again.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import formats, timezone, translation
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from invitations.forms import one_line
from invitations.links import client_link
from invitations.message_texts import BUILT_IN, DEFAULT, LANGUAGES, Text
from invitations.models import Invitation, MessageTemplate, Policy
from invitations.phrases import words_of
from portal.accounts.models import User

PLACEHOLDERS: dict[str, Promise] = {
    "link": gettext_lazy("the link to open (needed)"),
    "code": gettext_lazy("the code, in groups of three"),
    "helpdesk": gettext_lazy("the helpdesk’s name"),
    "supporter": gettext_lazy("the name of whoever sends it, as far as the policy tells it"),
    "client": gettext_lazy("the client’s name"),
    "expires": gettext_lazy("when the invitation expires, to stand after “until”"),
    "phrase": gettext_lazy("the two words that client and supporter say to each other"),
    "line": gettext_lazy("the line that the sender may add; without it, the line stands at the end"),
}
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
EXAMPLE_LINK = f"{settings.PUBLIC_URL}/j/364019582"
NAMED = 3  # so many wrong placeholders are named at most
LOOKS_LIKE_LINK = re.compile(r"\S*(?:://|www\.|@)\S*|[\w-]+\.[^\W\d_]{2,}\S*", re.IGNORECASE)
MANY_BLANK_LINES = re.compile(r"\n{3,}")


@dataclass(frozen=True)
class Message:
    """What one client gets, in one language."""

    language: str
    subject: str
    body: str


# --- Placeholders -----------------------------------------------------------------------------------


def wrong_placeholders(text: str) -> list[str]:
    """Return what stands in braces in `text` and is no placeholder, each once, as far as it is worth naming."""
    wrong = [f"{{{name}}}" for name in PLACEHOLDER.findall(text) if name not in PLACEHOLDERS]
    rest = PLACEHOLDER.sub("", text)
    wrong += [brace for brace in "{}" if brace in rest]
    return [shortened(piece) for piece in dict.fromkeys(wrong)][:NAMED]


def shortened(piece: str) -> str:
    return piece if len(piece) <= 40 else f"{piece[:39]}…"


def fill(text: str, values: dict[str, str]) -> str:
    """Return `text` with the placeholders that are known replaced, and all else as it stands."""
    return PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), text)


def link_in(text: str) -> str:
    """Return the first piece of `text` that a mail program may turn into a link, or nothing."""
    found = LOOKS_LIKE_LINK.search(unicodedata.normalize("NFKC", text))
    return found[0] if found else ""


# --- Languages --------------------------------------------------------------------------------------


def texts() -> dict[str, Text]:
    """Return the text of every language there is one for: an administrator's own before the built-in one."""
    own = {row.language: Text(row.subject, row.body) for row in MessageTemplate.objects.all()}
    found = BUILT_IN | own
    return {language: found[language] for language in LANGUAGES if language in found}


def offered(language: str, known: dict[str, Text]) -> str:
    """Return `language` if there is a text in it, else the default."""
    return language if language in known else DEFAULT


# --- One client's message ---------------------------------------------------------------------------


def message_for(
    invitation: Invitation, *, by: User, policy: Policy, language: str, text: Text | None = None, line: str = ""
) -> Message:
    """Return what the client would get from `by`. Whoever has read the `text` of the language hands it over."""
    values = {
        "link": client_link(invitation, policy),
        "code": invitation.code_grouped,
        "helpdesk": policy.helpdesk_name,
        "supporter": supporter(by, policy),
        # A name is typed by whoever sends this: no way around what the line may not hold.
        "client": "" if link_in(invitation.client_name) else invitation.client_name,
        "expires": expiry(invitation, language),
        "phrase": words_of(invitation.phrase, language),
        "line": line,
    }
    return filled(language, text or texts()[language], values)


def filled(language: str, text: Text, values: dict[str, str]) -> Message:
    body = text.body if "{line}" in text.body else f"{text.body}\n\n{{line}}"
    body = MANY_BLANK_LINES.sub("\n\n", fill(body, values)).strip()
    return Message(language, one_line(fill(text.subject, values))[:200], body)


def example(text: Text, *, language: str, policy: Policy) -> Message:
    """Return what a client could get, for whoever writes the text."""
    values = {
        "link": EXAMPLE_LINK,
        "code": "364\u00a0019\u00a0582",
        "helpdesk": policy.helpdesk_name,
        "supporter": "Ada",
        "client": "Tilda Brandtner",
        "expires": moment(timezone.now() + timedelta(hours=24), language),
        "phrase": words_of(0, language),
        "line": "",
    }
    return filled(language, text, values)


def supporter(user: User, policy: Policy) -> str:
    """Return the name that clients may know: at least the helpdesk's."""
    names = {Policy.SupporterName.FIRST: user.first_name, Policy.SupporterName.FULL: user.get_full_name()}
    return names.get(Policy.SupporterName(policy.supporter_name), "") or policy.helpdesk_name


def expiry(invitation: Invitation, language: str) -> str:
    if invitation.expires_at is None or invitation.is_kept:
        return LANGUAGES[language].further_notice
    return moment(invitation.expires_at, language)


def moment(at: datetime, language: str) -> str:
    """Return day and time as the language writes them, in the portal's time zone and with its name."""
    local = timezone.localtime(at)
    with translation.override(language):
        return f"{formats.date_format(local, 'DATE_FORMAT')} {formats.time_format(local, 'H:i')} {local:%Z}"


def mask(address: str) -> str:
    """Return a mail address of which only the first letter and the domain can be read."""
    name, at, domain = address.rpartition("@")
    return f"{name[:1]}…{at}{domain}" if at else address


# --- Orders -----------------------------------------------------------------------------------------
