"""What administrators do with people: invite, let in, disable, and help those who cannot sign in.

Each inside the caller's `audit.writing()`. Nobody does any of it to themselves, and somebody stays administrator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.core.mail import send_mail
from django.utils.translation import gettext as _

from portal import audit
from portal.accounts import factors, memberships, one_time, sessions, single_sign_on
from portal.accounts.forms import InviteForm
from portal.accounts.models import OneTimeLink, Team, User, administrators, lock_administrator_role
from portal.audit.kinds import Result


def about(user: User, by: User) -> dict[str, Any]:
    """Return what every event about a person says."""
    return {
        "result": Result.OK,
        "actor": by,
        "target_type": "user",
        "target_id": str(user.pk),
        "target_label": user.username,
    }


# Why an administrator was refused; what stands in the log about it.
OWN_ACCOUNT, OWN_ROLES, LAST_ADMINISTRATOR, SUPERUSER = "own account", "own roles", "last administrator", "superuser"


def tell_refusal(user: User, by: User, error: ValidationError) -> None:
    """Record that it was refused because of who they are. In no transaction that the error rolls back."""
    if error.code in (OWN_ACCOUNT, OWN_ROLES, LAST_ADMINISTRATOR, SUPERUSER):
        told = about(user, by) | {"result": Result.DENIED, "facts": {"reason": error.code}}
        audit.record_anyway("user.change_refused", **told)


def refuse_oneself(user: User, by: User) -> None:
    if user.pk == by.pk:
        words = _("You cannot do this to your own account. Ask another administrator.")
        raise ValidationError(words, code=OWN_ACCOUNT)


def last_administrator() -> ValidationError:
    words = _("Somebody must stay administrator: nobody else who may sign in has that role.")
    return ValidationError(words, code=LAST_ADMINISTRATOR)


def refuse_greater(user: User, by: User) -> None:
    """Raise ValidationError where an administrator would take hold of a superuser."""
    if user.is_superuser and not by.is_superuser:
        raise ValidationError(_("Only superusers may do this to a superuser."), code=SUPERUSER)


def add(form: InviteForm, by: User, teams: Iterable[Team] = ()) -> User:
    """Make the account of a valid form, without a password, and put the person into these teams."""
    form.instance.set_unusable_password()
    user: User = form.save()
    names = sorted(group.name for group in user.groups.all())
    changes: dict[str, list[Any]] = {
        name: [None, str(getattr(user, name))] for name in form.changed_data if name != "groups"
    }
    if names:
        changes["groups"] = [None, names]
    joined = {team.pk: team.name for team in teams}
    if joined:
        memberships.write("team", dict.fromkeys(joined, False), user=user)
        changes["teams"] = [None, sorted(joined.values())]
    more = {"joined": sorted(joined)} if joined else {}
    told = {"facts": {"fields": sorted(changes)} | more, "details": {"changes": changes}}
    audit.record("user.created", **about(user, by), **told)
    return user


def make_link(user: User, by: User) -> str:
    """Return a new link with which the person chooses a password, in place of earlier ones. Raises ValidationError."""
    refuse_oneself(user, by)
    refuse_greater(user, by)
    if not user.is_active:
        raise ValidationError(_("This account is disabled. Enable it first."))
    if user.awaits_approval:
        raise ValidationError(_("This person awaits approval. Let them in first."))
    purpose = OneTimeLink.Purpose.RESET if user.has_usable_password() else OneTimeLink.Purpose.INVITE
    OneTimeLink.objects.filter(user=user, purpose__in=one_time.PASSWORD_PURPOSES).delete()
    token = OneTimeLink.objects.issue(purpose, user)
    audit.record("user.link_made", **about(user, by), facts={"purpose": str(purpose)})
    return one_time.address_of(token)


def mail_link(user: User, link: str, words: Callable[[str, dict[str, Any]], str]) -> bool:
    """Send the link to the person's address; return whether the mail server has taken it.

    `words` fills a template with what every page knows, such as the helpdesk's name.
    """
    subject = " ".join(words("accounts/email/link_subject.txt", {}).split())
    text = words("accounts/email/link_message.txt", {"link": link, "person": user}).strip() + "\n"
    try:
        return bool(send_mail(subject, text, None, [user.email]))
    except OSError:  # what smtplib and sockets raise
        return False


def reset_factors(user: User, by: User, reason: str) -> int:
    """Remove the person's second factors and end their sessions; return how many there were."""
    refuse_oneself(user, by)
    refuse_greater(user, by)
    count = factors.reset(user, by=by)
    audit.record("factor.reset", **about(user, by), facts={"count": count}, details={"reason": reason})
    return count


def disable(user: User, by: User) -> None:
    """Raises ValidationError for oneself and for the last administrator."""
    refuse_oneself(user, by)
    refuse_greater(user, by)
    lock_administrator_role()
    if not administrators().exclude(pk=user.pk).exists():
        raise last_administrator()
    if not User.objects.filter(pk=user.pk, is_active=True).update(is_active=False):
        return
    user.end_links()
    audit.record("user.disabled", **about(user, by), **changed("is_active", before=True))
    sessions.end_all(user, reason="disabled", by=by)


def enable(user: User, by: User) -> None:
    refuse_greater(user, by)
    if User.objects.filter(pk=user.pk, is_active=False).update(is_active=True):
        audit.record("user.enabled", **about(user, by), **changed("is_active", before=False))


def approve(user: User, by: User) -> None:
    """Let somebody in who came by single sign-on."""
    refuse_oneself(user, by)
    if User.objects.filter(pk=user.pk, awaits_approval=True).update(awaits_approval=False):
        audit.record("user.approved", **about(user, by), **changed("awaits_approval", before=True))


def disconnect(user: User, by: User) -> None:
    """Take single sign-on off the person's account. Raises ValidationError where they could not sign in any more."""
    refuse_oneself(user, by)
    refuse_greater(user, by)
    reason = single_sign_on.why_kept(user)
    if reason == single_sign_on.ONLY_WAY:
        raise ValidationError(_("Single sign-on is the only way in here. To keep this person out, disable them."))
    if reason:
        words = _(
            "This person has no password and could not sign in any more. Make them a one-time link, and disconnect "
            "them once they have chosen a password. To keep them out, disable them."
        )
        raise ValidationError(words)
    single_sign_on.disconnect(user, by=by)


def end_sessions(user: User, by: User) -> None:
    refuse_oneself(user, by)
    refuse_greater(user, by)
    sessions.end_all(user, reason="administrator", by=by)


def end_session(user: User, by: User, tag: str) -> None:
    refuse_oneself(user, by)
    refuse_greater(user, by)
    sessions.end_one(user, tag, reason="administrator", by=by)


def changed(name: str, *, before: bool) -> dict[str, Any]:
    """Return before and after of a switch, as the forms of the administration say it."""
    return {"facts": {"fields": [name]}, "details": {"changes": {name: [before, not before]}}}
