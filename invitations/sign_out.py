"""Signing out while one has clients: who takes care of each from now on is asked first.

Nobody is kept signed in by it: without a client there is no question, and what cannot be carried out
any more is left to the watcher, which returns the clients of absent people to the queue.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from allauth.account import views as allauth
from django import forms
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from invitations import claims
from invitations.claim_forms import NOTE_LENGTH, Recipients
from invitations.context import policy_of
from invitations.forms import OneLineField
from invitations.models import Invitation, Policy, Status
from invitations.refusals import ActionRefused, CannotTake
from portal import audit
from portal.accounts import factors
from portal.accounts.access import SignedInRequest
from portal.accounts.models import User

QUEUE, KEEP = "queue", "keep"


class SignOutForm(forms.Form):
    """One choice for each client whom the person has, and a note for whoever gets any of them."""

    note = OneLineField(label=_("Note for whoever takes them"), max_length=NOTE_LENGTH, required=False)

    def __init__(self, *args: Any, held: Sequence[Invitation], by: User, policy: Policy, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.held, self.found = held, {row.public_id: Recipients.of(row, by) for row in held}
        note = self.fields.pop("note")
        for row in held:
            self.fields[row.public_id] = choice_for(row, self.found[row.public_id], policy)
        if any(found.by_key for found in self.found.values()):
            self.fields["note"] = note

    @property
    def clients(self) -> list[tuple[Invitation, forms.BoundField]]:
        return [(row, self[row.public_id]) for row in self.held]

    def carry_out(self, by: User) -> None:
        """Do what was chosen, as far as it is still the person's to decide."""
        for row in self.held:
            # Taken over, closed, without the right by now, or a log that cannot be written: they sign out all the same.
            with suppress(ActionRefused, PermissionDenied, audit.Unavailable):
                self.settle(row, by, self.cleaned_data[row.public_id])

    def settle(self, row: Invitation, by: User, choice: str) -> None:
        if choice == QUEUE:
            claims.release(invitation=row, by=by)
        elif choice != KEEP:
            to, note = self.found[row.public_id].by_key[choice], self.cleaned_data.get("note", "")
            try:
                claims.hand_over(invitation=row, by=by, to=to, note=note)
            except CannotTake:
                claims.release(invitation=row, by=by)


def choice_for(row: Invitation, found: Recipients, policy: Policy) -> forms.ChoiceField:
    own = [(QUEUE, gettext("Return to the queue")), (KEEP, gettext("Keep"))]
    return forms.ChoiceField(
        label=row.display_name,
        choices=[*own, *found.choices(policy)],
        initial=KEEP if row.status == Status.ACTIVE else QUEUE,
        error_messages={"invalid_choice": _("This person or team cannot be chosen any more. Choose another.")},
    )


@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def ask_first(request: HttpRequest) -> HttpResponse:
    """Sign out, or ask about the person's clients before. A session without its second factor decides nothing."""
    user = request.user
    is_trusted = user.is_authenticated and (factors.is_strong(request) or not factors.is_demanded(user))
    if is_trusted and claims.held_by(user).exists():  # type: ignore[arg-type]  # signed in
        return redirect("sign_out")
    return leave(request)


def leave(request: HttpRequest) -> HttpResponse:
    response: HttpResponse = allauth.logout(request)
    return response


@require_http_methods(["GET", "HEAD", "POST"])
def page(request: SignedInRequest) -> HttpResponse:
    """Ask who takes care of the person's clients, carry that out, and sign out."""
    held = list(claims.held_by(request.user))
    if not held:
        return leave(request) if request.method == "POST" else redirect("account_logout")
    policy = policy_of(request)
    form = SignOutForm(request.POST or None, held=held, by=request.user, policy=policy)
    if request.method == "POST" and form.is_valid():
        form.carry_out(request.user)
        return leave(request)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if request.method == "POST" else HTTPStatus.OK
    context = {"form": form, "minutes": policy.orphaned_after_minutes}
    return render(request, "invitations/sign_out.html", context, status=status)
