"""Pages of the administration about one person: invite, a one-time link for a password, second factors."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

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
        return values | {"text": text, "lines": imports.read(text)}


class FactorForm(forms.Form):
    reason = forms.CharField(
        label=_("Reason"),
        max_length=200,
        help_text=_("Such as how you made sure who asks. It is kept in the audit log."),
    )


def show(request: HttpRequest, title: Any, status: int = 200, **context: Any) -> HttpResponse:
    whole = {**admin.site.each_context(request), "title": title, "opts": User._meta, **context}
    return render(request, "admin/person_page.html", whole, status=status)


def find(request: HttpRequest, pk: str) -> User:
    """Return the person, whom administrators without a superuser's rights see only if it is none either."""
    seen = User.objects.all() if request.user.is_superuser else User.objects.filter(is_superuser=False)
    return get_object_or_404(seen, pk=int(pk) if pk.isdecimal() and len(pk) < 19 else 0)


def mail_if_wanted(request: HttpRequest, user: User, link: str) -> None:
    if not (request.POST.get("is_mailed") and settings.MAILERS and user.email):
        return
    if people.mail_link(user, link):
        messages.success(request, _("The link was mailed to %(address)s.") % {"address": user.email})
    else:
        messages.error(request, _("The mail could not be sent. Hand the link over in another way."))


@require_http_methods(["GET", "POST"])
def invite(request: Any) -> HttpResponse:
    """Add a person and show their link, once."""
    title = _("Invite a person")
    form = InviteForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        return show(request, title, form=form, can_mail=bool(settings.MAILERS), button=_("Invite"))
    with audit.writing():
        user = people.add(form, request.user)
        link = people.make_link(user, request.user)
    mail_if_wanted(request, user, link)
    return show(request, title, person=user, link=link)


@require_http_methods(["GET", "POST"])
def link(request: Any, id: str) -> HttpResponse:  # what Django's admin calls it in addresses
    """Make a link with which somebody chooses a new password, where no mail can help."""
    user, title = find(request, id), _("One-time link for a password")
    form = LinkForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            with audit.writing():
                address = people.make_link(user, request.user)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            mail_if_wanted(request, user, address)
            return show(request, title, person=user, link=address)
    if not (settings.MAILERS and user.email):
        del form.fields["is_mailed"]
    explanation = _(
        "The person opens the link and chooses a password. It works once: for an hour, or for a day where the account "
        "has no password yet. Second factors stay, and earlier links end."
    )
    return show(request, title, person=user, form=form, explanation=explanation, button=_("Make a link"))


@require_http_methods(["GET", "POST"])
def factors(request: Any, id: str) -> HttpResponse:  # what Django's admin calls it in addresses
    """Remove the second factors of somebody who has lost them."""
    user, title = find(request, id), _("Remove second factors")
    form = FactorForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            with audit.writing():
                people.reset_factors(user, request.user, form.cleaned_data["reason"])
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, _("The second factors of %(name)s are removed.") % {"name": user})
            return redirect("admin:accounts_user_change", user.pk)
    explanation = _(
        "Make sure that it is the person who asks: call back under a number you know. Their sessions end, and they "
        "set up a new second factor at the next sign-in."
    )
    return show(request, title, person=user, form=form, explanation=explanation, button=_("Remove second factors"))


@require_http_methods(["GET", "POST"])
def import_people(request: Any) -> HttpResponse:
    """Show what a file would do, then add its people and show their links, once.

    There is no file of the links to download: it would lie in a folder with everybody's way in.
    """
    form = ImportForm(request.POST, request.FILES) if request.method == "POST" else ImportForm()
    if not form.is_valid():
        return show_import(request, form=form)
    step = request.POST.get("step")
    if step in ("all", "good"):
        with audit.writing():
            lines = imports.read(form.cleaned_data["text"])  # again, now that nobody else adds people
            good = [line for line in lines if not line.problems]
            if good and (step == "good" or len(good) == len(lines)):
                added = [people.add(line.form, request.user) for line in good]
                return show_import(request, added=[(user, people.make_link(user, request.user)) for user in added])
    lines = form.cleaned_data["lines"]
    bad = sum(bool(line.problems) for line in lines)
    context = {"lines": lines, "bad": bad, "good": len(lines) - bad, "text": form.cleaned_data["text"]}
    return show_import(request, **context)


def show_import(request: HttpRequest, **context: Any) -> HttpResponse:
    whole = {**admin.site.each_context(request), "title": _("Import people"), "opts": User._meta, **context}
    return render(request, "admin/import.html", whole)
