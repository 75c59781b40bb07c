"""Pages of the administration about one person: invite, a one-time link for a password, second factors."""

from __future__ import annotations

from functools import partial
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST

from portal import audit
from portal.accounts import imports, people
from portal.accounts.forms import InviteForm
from portal.accounts.models import User


class LinkForm(forms.Form):
    is_mailed = forms.BooleanField(label=_("Send the link by e-mail as well"), required=False)


class ImportForm(forms.Form):
    """A file of people, or its text. The preview sends the text again."""

    file = forms.FileField(label=_("CSV file"), required=False)
    text = forms.CharField(
        label=_("Or its text"), required=False, strip=False, widget=forms.Textarea(attrs={"rows": 10, "cols": 80})
    )

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        upload = values.get("file")
        text = imports.decoded(upload.read(imports.MOST_BYTES + 1)) if upload else values.get("text", "")
        if upload:  # a file cannot be kept in the form, its text can
            self.data = {**self.data, "text": text}
        return values | {"text": text, "lines": imports.read(text)}


class FactorForm(forms.Form):
    reason = forms.CharField(
        label=_("Reason"),
        max_length=200,
        help_text=_("Such as how you made sure who asks. It is kept in the audit log."),
    )


def show(request: HttpRequest, title: Any, **context: Any) -> HttpResponse:
    return render(request, "admin/person_page.html", whole(request, title, context))


def whole(request: HttpRequest, title: Any, context: dict[str, Any]) -> dict[str, Any]:
    return {**admin.site.each_context(request), "title": title, "opts": User._meta, **context}


def keep(request: Any, title: Any, template: str = "admin/person_page.html", **context: Any) -> None:
    """Have the page come back with what was typed if what it asks for cannot be recorded."""
    request.form_page = (template, whole(request, title, context))


def find(request: HttpRequest, pk: str) -> User:
    """Return the person, whom administrators without a superuser's rights see only if it is none either."""
    seen = User.objects.all() if request.user.is_superuser else User.objects.filter(is_superuser=False)
    return get_object_or_404(seen, pk=int(pk) if pk.isdecimal() and len(pk) < 19 else 0)


def mail_if_wanted(request: HttpRequest, user: User, link: str) -> None:
    if not (request.POST.get("is_mailed") and settings.MAILERS and user.email):
        return
    if people.mail_link(user, link, partial(render_to_string, request=request)):
        messages.success(request, _("The link was mailed to %(address)s.") % {"address": user.email})
    else:
        messages.error(request, _("The mail could not be sent. Hand the link over in another way."))


@require_http_methods(["GET", "POST"])
def invite(request: Any) -> HttpResponse:
    """Add a person and show their link, once."""
    title = _("Invite a person")
    form = InviteForm(request.POST if request.method == "POST" else None)
    page: dict[str, Any] = {"form": form, "can_mail": bool(settings.MAILERS), "button": _("Invite")}
    if not form.is_valid():
        return show(request, title, **page)
    keep(request, title, **page)
    try:
        with audit.writing():
            user = people.add(form, request.user)
            link = people.make_link(user, request.user)
    except IntegrityError:  # somebody with this name or address was added since the form was read
        return show(request, title, **page | {"form": InviteForm(request.POST)})
    mail_if_wanted(request, user, link)
    return show(request, title, person=user, link=link)


@require_http_methods(["GET", "POST"])
def link(request: Any, id: str) -> HttpResponse:  # what Django's admin calls it in addresses
    """Make a link with which somebody chooses a new password, where no mail can help."""
    user, title = find(request, id), _("One-time link for a password")
    form = LinkForm(request.POST if request.method == "POST" else None)
    explanation = _(
        "The person opens the link and chooses a password. It works once: for an hour, or for a day where the account "
        "has no password yet. Second factors stay, and earlier links end."
    )
    page: dict[str, Any] = {"person": user, "form": form, "explanation": explanation, "button": _("Make a link")}
    if form.is_valid():
        keep(request, title, **page)
        try:
            with audit.writing():
                address = people.make_link(user, request.user)
        except ValidationError as error:
            people.tell_refusal(user, request.user, error)
            form.add_error(None, error)
        else:
            mail_if_wanted(request, user, address)
            return show(request, title, person=user, link=address)
    if not (settings.MAILERS and user.email):
        del form.fields["is_mailed"]
    return show(request, title, **page)


@require_http_methods(["GET", "POST"])
def factors(request: Any, id: str) -> HttpResponse:  # what Django's admin calls it in addresses
    """Remove the second factors of somebody who has lost them."""
    user, title = find(request, id), _("Remove second factors")
    form = FactorForm(request.POST if request.method == "POST" else None)
    explanation = _(
        "Make sure that it is the person who asks: call back under a number you know. Their sessions end, and they "
        "set up a new second factor at the next sign-in."
    )
    page: dict[str, Any] = {
        "person": user,
        "form": form,
        "explanation": explanation,
        "button": _("Remove second factors"),
    }
    if form.is_valid():
        keep(request, title, **page)
        try:
            with audit.writing():
                people.reset_factors(user, request.user, form.cleaned_data["reason"])
        except ValidationError as error:
            people.tell_refusal(user, request.user, error)
            form.add_error(None, error)
        else:
            messages.success(request, _("The second factors of %(name)s are removed.") % {"name": user})
            return redirect("admin:accounts_user_change", user.pk)
    return show(request, title, **page)


@require_http_methods(["GET", "POST"])
def disconnect(request: Any, id: str) -> HttpResponse:  # what Django's admin calls it in addresses
    """Take single sign-on off somebody's account."""
    user, title = find(request, id), _("Disconnect single sign-on")
    form = forms.Form(request.POST if request.method == "POST" else None)
    explanation = _(
        "The provider's account no longer opens the one here, and the person's sessions end. They sign in with their "
        "password, and may connect again under Security."
    )
    page: dict[str, Any] = {"person": user, "form": form, "explanation": explanation, "button": _("Disconnect")}
    if form.is_valid():
        keep(request, title, **page)
        try:
            with audit.writing():
                people.disconnect(user, request.user)
        except ValidationError as error:
            people.tell_refusal(user, request.user, error)
            form.add_error(None, error)
        else:
            messages.success(request, _("Single sign-on is off for %(name)s.") % {"name": user})
            return redirect("admin:accounts_user_change", user.pk)
    return show(request, title, **page)


@require_POST
def approve(request: Any, id: str) -> HttpResponse:  # what Django's admin calls it in addresses
    """Let somebody in who came by single sign-on."""
    user = find(request, id)
    try:
        with audit.writing():
            people.approve(user, request.user)
    except ValidationError as error:
        people.tell_refusal(user, request.user, error)
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, _("You have let %(name)s in. Tell them: the portal does not.") % {"name": user})
    return redirect("admin:accounts_user_change", user.pk)


@require_http_methods(["GET", "POST"])
def import_people(request: Any) -> HttpResponse:
    """Show what a file would do, then add its people and show their links, once.

    There is no file of the links to download: it would lie in a folder with everybody's way in.
    """
    title, template = _("Import people"), "admin/import.html"
    form = ImportForm(request.POST, request.FILES) if request.method == "POST" else ImportForm()
    if not form.is_valid():
        return render(request, template, whole(request, title, {"form": form}))
    text, lines = form.cleaned_data["text"], form.cleaned_data["lines"]
    keep(request, title, template, **preview(lines, text))
    step, good = request.POST.get("step"), [line for line in lines if not line.problems]
    if good and (step == "good" or (step == "all" and len(good) == len(lines))):
        with audit.writing():
            # Only this is looked at again: to read it all would keep everybody else from writing.
            if not imports.are_overtaken(good):
                added = [people.add(line.form, request.user, line.teams) for line in good]
                links = [(user, people.make_link(user, request.user)) for user in added]
                return render(request, template, whole(request, title, {"added": links}))
        lines = imports.read(text)
    return render(request, template, whole(request, title, preview(lines, text)))


def preview(lines: list[imports.Line], text: str) -> dict[str, Any]:
    bad = sum(bool(line.problems) for line in lines)
    has_teams = any(line.values.get("teams") for line in lines)
    return {
        "has_teams": has_teams,
        "lines": lines,
        "bad": bad,
        "good": len(lines) - bad,
        "form": ImportForm(initial={"text": text}),
    }
