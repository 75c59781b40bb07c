"""Is this installation as it should be? One line for each thing that can be wrong, with the way to mend it.

Looks at what the portal knows anyway; only where it is asked to does it call Getscreen and the mail server.
Changes nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from smtplib import SMTPException

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import admin
from django.core.mail import mailers
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.functional import Promise, cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods

from invitations import webhooks
from invitations.health import WHY_NOT, Health, health_of
from invitations.models import Delivery, Snapshot, Webhook
from portal.accounts import openid, seeds
from portal.accounts.models import User, administrators
from portal.audit import forwarding, triggers, verdicts
from portal.audit.models import Standing
from portal.backups import keeping, schedule
from portal.checks import is_dangerous, outspoken
from portal.getscreen import configured
from portal.getscreen.errors import GetscreenError
from portal.getscreen.links import is_address

OK, UNWISE, WRONG, UNKNOWN = "ok", "unwise", "wrong", "unknown"
SKEW = 5  # seconds: codes of authenticator apps last 30
LEAST_SPACE = 1 << 30  # bytes
LAG = timedelta(minutes=5)  # that a first try may take
LATELY = timedelta(hours=24)
LATE_BACKUP = 26  # hours: one a day, and two hours for it
NAMES = 5  # people named before it says how many more


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is, and what to do about it."""

    topic: str
    state: str
    says: str
    fix: str = ""


def run(request: HttpRequest | None = None, *, calls: bool = False) -> list[Finding]:
    """Return all findings, the dangerous ones first. `calls` asks Getscreen and the mail server now."""
    here = Circumstances(request, calls)
    found = [Finding(str(topic), *outcome) for topic, look in LOOKS.items() for outcome in look(here)]
    return sorted(found, key=lambda one: (WRONG, UNWISE, UNKNOWN, OK).index(one.state))


@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """Show the findings; POST asks Getscreen and the mail server as well."""
    context = admin.site.each_context(request) | {
        "title": _("Self-check"),
        "findings": run(request, calls=request.method == "POST"),
        "has_called": request.method == "POST",
    }
    return TemplateResponse(request, "admin/self_check.html", context)


@dataclass(frozen=True)
class Circumstances:
    """Who asks, and whether others may be asked."""

    request: HttpRequest | None
    calls: bool

    @cached_property
    def health(self) -> Health:
        return health_of(Snapshot.load(), timezone.now())

    @cached_property
    def standing(self) -> Standing:
        return Standing.load()


Outcomes = Iterator[tuple[str, ...]]


def look_at_settings(here: Circumstances) -> Outcomes:
    found = outspoken()
    for one in found:
        yield (WRONG if is_dangerous(one) else UNWISE, one.msg, one.hint or "")
    if not found:
        yield OK, _("Nothing dangerous is set.")


def look_at_key(here: Circumstances) -> Outcomes:
    """The key and the vendor's clock, by a list of invitations; else what the watcher has seen last."""
    if not here.calls:
        if here.health.trouble in WHY_NOT:
            yield (
                WRONG,
                str(WHY_NOT[here.health.trouble]),
                _("Ask Getscreen now, and see what the board says about it."),
            )
        elif here.health.state == "live":
            yield OK, _("Getscreen accepts the key.")
        else:
            yield UNKNOWN, _("Getscreen was not asked lately."), _("Ask it now.")
        return
    try:
        listing = configured.client().list()
    except GetscreenError as error:
        yield (
            WRONG,
            _("Getscreen did not answer as it should: %(reason)s.") % {"reason": error.reason},
            _("Check GETSCREEN_API_KEY, GETSCREEN_API_URL and the way out of this network."),
        )
        return
    yield OK, _("Getscreen accepts the key.")
    if listing.served_at is None:
        return
    skew = (datetime.fromtimestamp(listing.served_at, UTC) - timezone.now()).total_seconds()
    says = _("This machine's clock differs from Getscreen's by %(seconds)d s.") % {"seconds": abs(skew)}
    if abs(skew) > SKEW:
        yield WRONG, says, _("Set the clock by NTP: codes of authenticator apps last 30 seconds.")
    else:
        yield OK, says


def look_at_provider(here: Circumstances) -> Outcomes:
    """Whether people can be sent to the provider of single sign-on, and its clock, by which tokens are old."""
    if not openid.is_configured():
        return
    name = settings.OIDC_NAME
    if not settings.OIDC_CLIENT_SECRET.reveal():
        yield (
            UNWISE,
            _("No secret is used at %(provider)s: the portal is a public client there.") % {"provider": name},
            _("Register a confidential client, and set OIDC_CLIENT_SECRET or OIDC_CLIENT_SECRET_FILE."),
        )
    if not here.calls:
        yield UNKNOWN, _("%(provider)s was not asked.") % {"provider": name}, _("Ask it now.")
        return
    try:
        served_at = openid.examine()
    except openid.ProviderError as error:
        says = _("%(provider)s does not answer as it should: %(reason)s.") % {"provider": name, "reason": error.reason}
        yield WRONG, says, _("Check OIDC_ISSUER, the way out of this network, and docs/sign-in.md.")
        return
    yield OK, _("%(provider)s is there and names its keys.") % {"provider": name}
    if served_at is not None and abs(skew := served_at - timezone.now().timestamp()) > openid.LEEWAY / 2:
        says = _("This machine's clock differs from that of %(provider)s by %(seconds)d s.")
        yield (
            WRONG,
            says % {"provider": name, "seconds": abs(skew)},
            _("Set both clocks by NTP: tokens are good for minutes."),
        )


def look_at_watcher(here: Circumstances) -> Outcomes:
    if not settings.GETSCREEN_API_KEY:
        yield WRONG, _("There is no API key to watch with."), _("Set GETSCREEN_API_KEY.")
    elif here.health.has_stopped_asking:
        yield WRONG, _("No process looks at Getscreen."), _("Start `manage.py serve` or `manage.py watch`.")
    else:
        yield OK, _("A process looks at Getscreen.")


def look_at_mail(here: Circumstances) -> Outcomes:
    if not settings.MAILERS:
        yield UNWISE, _("No mail can be sent, so an administrator makes each new password."), _("Set EMAIL_URL.")
    elif not here.calls:
        yield UNKNOWN, _("The mail server was not asked."), _("Ask it now.")
    else:
        try:
            server = mailers["default"]
            server.open()
            server.close()
        except (OSError, SMTPException) as error:
            reason = type(error).__name__  # its text may repeat what the server was told
            yield WRONG, _("The mail server cannot be used: %(reason)s.") % {"reason": reason}, _("Check EMAIL_URL.")
        else:
            yield OK, _("The mail server takes mails.")


def look_at_outbox(here: Circumstances) -> Outcomes:
    """How far mails and webhooks are behind, and what was given up."""
    now, log = timezone.now(), _("See the log of deliveries in the administration.")
    waiting = Delivery.objects.filter(state=Delivery.State.WAITING)
    count = waiting.count()
    says = ngettext("%(count)d delivery waits.", "%(count)d deliveries wait.", count) % {"count": count}
    is_stuck = waiting.filter(attempts=0, webhook=None, ordered_at__lt=now - LAG).exists()
    if is_stuck:
        yield WRONG, says, _("No process sends them: start `manage.py serve` or `manage.py watch`.")
    else:
        yield OK, says
    failed = Delivery.objects.filter(state=Delivery.State.FAILED, ended_at__gt=now - LATELY).first()
    if failed is not None:
        what = failed.webhook.name if failed.webhook else str(failed.get_kind_display())
        at = f"{timezone.localtime(failed.ended_at):%Y-%m-%d %H:%M}"
        words = {"what": what, "at": at, "why": failed.trouble}
        yield UNWISE, _("%(what)s: given up at %(at)s. %(why)s") % words, log


def look_at_webhooks(here: Circumstances) -> Outcomes:
    """Whether each active webhook took what it was called with last."""
    if lost := webhooks.unreadable():
        yield (
            WRONG,
            _("No key opens the addresses of the webhooks: %(names)s.") % {"names": shortened(lost)},
            _("Add the former key to SECRET_KEY_FALLBACKS, or type the addresses anew."),
        )
    for webhook in Webhook.objects.filter(is_active=True):
        last = webhook.deliveries.exclude(trouble="", state=Delivery.State.WAITING).first()
        if last is not None and last.state != Delivery.State.CANCELLED and last.trouble:
            says = _("%(name)s at %(host)s: %(why)s")
            words = {"name": webhook.name, "host": webhook.host, "why": last.trouble}
            yield WRONG, says % words, _("Send it a test from its page in the administration.")


def look_at_proxy(here: Circumstances) -> Outcomes:
    """Whether the address that the audit log keeps is the person's, which only they can tell."""
    if here.request is None:
        networks = ", ".join(map(str, settings.TRUSTED_PROXIES)) or _("none")
        yield (
            UNKNOWN,
            _("Trusted proxies: %(networks)s.") % {"networks": networks},
            _("Open the self-check in the administration: it says which address it sees you at."),
        )
        return
    address = here.request.META.get("REMOTE_ADDR", "")
    is_proxied = getattr(here.request, "is_proxied", False)
    if "HTTP_X_FORWARDED_FOR" in here.request.META and not is_proxied:
        yield (
            WRONG,
            _("A proxy at %(address)s speaks for you and is not trusted: everybody looks like it.")
            % {"address": address},
            _("Add %(address)s to TRUSTED_PROXIES, if it is yours.") % {"address": address},
        )
    else:
        says = _("I see you at %(address)s, through a trusted proxy.") if is_proxied else _("I see you at %(address)s.")
        yield OK, f"{says} {_('If that is not your address, correct TRUSTED_PROXIES.')}" % {"address": address}


def look_at_log(here: Circumstances) -> Outcomes:
    missing = triggers.missing(connection)
    if missing:
        yield (
            WRONG,
            _("Triggers of the audit log are missing or changed: %(names)s.") % {"names": ", ".join(missing)},
            _("Find out who did it, then run `manage.py audit_triggers`."),
        )
    else:
        yield OK, _("The database refuses changes of the audit log.")
    verdict = verdicts.of(here.standing, timezone.now())
    state = {"ok": OK, "danger": WRONG, "info": UNKNOWN}.get(verdict.tone, UNWISE)
    fix = "" if state == OK else _("See the audit log's page, and docs/audit.md.")
    yield state, " ".join(filter(None, (f"{verdict.title.rstrip('.')}.", verdict.text))), fix


def look_at_outside(here: Circumstances) -> Outcomes:
    standing = here.standing
    if settings.AUDIT_CHECKPOINT_DIR is None:
        yield UNWISE, _("Nothing outside proves that the audit log is whole."), _("Set AUDIT_CHECKPOINT_DIR.")
    elif standing.anchor_error:
        yield (
            WRONG,
            standing.anchor_error,
            _("Make the folder writable: %(folder)s.") % {"folder": settings.AUDIT_CHECKPOINT_DIR},
        )
    if standing.forward_error and settings.SYSLOG_URL:
        yield WRONG, standing.forward_error, _("Check SYSLOG_URL and the server behind it.")
    elif (lag := forwarding.lag()) is not None:
        says = ngettext("%(count)d event waits for syslog.", "%(count)d events wait for syslog.", lag.events)
        yield OK, says % {"count": lag.events}


def look_at_factors(here: Circumstances) -> Outcomes:
    people = User.objects.filter(is_active=True)
    kinds = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
    without = people.exclude(pk__in=Authenticator.objects.filter(type__in=kinds).values("user")).order_by("username")
    names = list(without.values_list("username", flat=True)[: NAMES + 1])
    if settings.REQUIRE_MFA == "off":
        yield UNWISE, _("A password alone opens the portal."), _("Set REQUIRE_MFA=everyone.")
    if names:
        yield (
            UNWISE,
            _("%(count)d of %(all)d people have no second factor: %(names)s.")
            % {
                "count": without.count(),
                "all": people.count(),
                "names": shortened(names),
            },
            _("Ask them to set one up under Security."),
        )
    elif people.exists():
        yield OK, _("Everybody has a second factor.")
    yield from look_at_seeds()


def look_at_seeds() -> Outcomes:
    """Which stored factors a change of SECRET_KEY has left behind."""
    ages = seeds.ages()
    if ages.old:
        yield (
            UNWISE,
            _("A former SECRET_KEY still protects the second factors of: %(names)s.") % {"names": shortened(ages.old)},
            _("Run `manage.py reencrypt_factors`, then take the former key out of SECRET_KEY_FALLBACKS."),
        )
    if ages.lost:
        yield (
            WRONG,
            _("No key opens the second factors of: %(names)s.") % {"names": shortened(ages.lost)},
            _("Add the former key to SECRET_KEY_FALLBACKS, or reset their second factors in the list of people."),
        )


def shortened(names: list[str]) -> str:
    return ", ".join(names[:NAMES]) + (" …" if len(names) > NAMES else "")


def look_at_people(here: Circumstances) -> Outcomes:
    count = administrators().count()
    if count == 0:
        yield WRONG, _("Nobody administers the portal."), _("Run `manage.py create_admin`.")
    elif count == 1:
        yield UNWISE, _("One person alone administers the portal."), _("Make a second administrator.")
    else:
        yield OK, _("%(count)d people administer the portal.") % {"count": count}
    if waiting := User.objects.filter(awaits_approval=True).count():
        yield (
            UNWISE,
            ngettext("%(count)d person waits to be let in.", "%(count)d people wait to be let in.", waiting)
            % {"count": waiting},
            _("Approve or disable them in the list of people."),
        )


def look_at_space(here: Circumstances) -> Outcomes:
    name = settings.DATABASES["default"]["NAME"]
    if connection.vendor == "sqlite" and Path(str(name)).is_file():
        free = shutil.disk_usage(Path(name).parent).free
        says = _("%(gigabytes).1f GB are free where the database is.") % {"gigabytes": free / 1e9}
        if free < LEAST_SPACE:
            yield WRONG, says, _("Make room: on a full disk the audit log cannot be written, and nothing may be done.")
        else:
            yield OK, says


def look_at_backups(here: Circumstances) -> Outcomes:
    """How old the last good backup is, why the newest was not made, and whether it is on another disk."""
    folder, hours, trouble = settings.BACKUP_DIR, schedule.hours_since_backup(), schedule.last_failure()
    says = _("The last backup is %(hours)d hours old.") % {"hours": hours or 0}
    if trouble:
        fix = _("Mend that, then run `manage.py backup`.")
        yield WRONG, _("The last backup was not made: %(reason)s") % {"reason": trouble}, fix
    if folder is None:
        says = _("The portal makes no backups by itself.") if hours is None else says
        yield UNKNOWN, says, _("Set BACKUP_DIR, or see that something else saves the database.")
    elif hours is None or hours > LATE_BACKUP:
        says = _("There is no backup yet.") if hours is None else says
        yield WRONG, says, _("Look at the log of `serve` or `watch`, and run `manage.py backup`.")
    elif not trouble:
        yield OK, says
    if folder is not None and keeping.is_on_disk_of_database(folder):
        yield (
            UNWISE,
            _("The backups are on the disk of the database."),
            _("Set BACKUP_DIR (with Docker: BACKUPS) to a folder on another one."),
        )


def look_at_name(here: Circumstances) -> Outcomes:
    if any(is_address(host.strip("[]")) for host in settings.ALLOWED_HOSTS) and not settings.DEMO:
        yield UNWISE, _("The portal answers to a bare address."), _("Give it a name: passkeys need one.")


LOOKS: dict[str | Promise, Callable[[Circumstances], Outcomes]] = {
    gettext_lazy("Settings"): look_at_settings,
    gettext_lazy("Getscreen"): look_at_key,
    gettext_lazy("Single sign-on"): look_at_provider,
    gettext_lazy("Watcher"): look_at_watcher,
    gettext_lazy("Mail"): look_at_mail,
    gettext_lazy("Outbox"): look_at_outbox,
    gettext_lazy("Webhooks"): look_at_webhooks,
    gettext_lazy("Proxy"): look_at_proxy,
    gettext_lazy("Audit log"): look_at_log,
    gettext_lazy("Outside copies"): look_at_outside,
    gettext_lazy("Second factors"): look_at_factors,
    gettext_lazy("People"): look_at_people,
    gettext_lazy("Storage"): look_at_space,
    gettext_lazy("Backups"): look_at_backups,
    gettext_lazy("Host names"): look_at_name,
}
