"""Teams, for administrators: who is in them and who leads, and what becomes of the invitations of one that goes."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Count, Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from invitations.forms import one_line
from invitations.models import Invitation, Policy, Snapshot
from portal.accounts import memberships
from portal.accounts.admin import AuditedAdmin, Changes
from portal.accounts.admin.membership_table import MembershipField, facts_of
from portal.accounts.models import Team, User

KINDS_OF_FIELDS = {"name": "team.changed", "members": "team.members_changed", "leads": "team.members_changed"}


def name_of(user: User) -> str:
    full = user.get_full_name()
    return f"{full} ({user.username})" if full else user.username


class TeamForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """A team's name, and a row for everybody who may be in it."""

    actor: User
    members = MembershipField(
        label=_("People"),
        heads=(_("Person"), _("Member"), _("Leads")),
        help_text=_(
            "Whoever leads a team sees its private invitations and its people’s actions, and is told of clients who "
            "wait too long."
        ),
    )

    class Meta:
        model = Team
        fields = ("name",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        seen = User.objects.all() if self.actor.is_superuser else User.objects.filter(is_superuser=False)
        # Who left may be taken out, and is not offered to be put in.
        people = seen.filter(Q(is_active=True) | Q(memberships__team=self.instance.pk)).distinct()
        rows = {user.pk: name_of(user) for user in people}
        field: Any = self.fields["members"]
        field.offer(dict(sorted(rows.items(), key=lambda row: row[1].casefold())))
        self.initial["members"] = memberships.places("user", rows, team=self.instance.pk) if self.instance.pk else {}

    def clean_name(self) -> str:
        name = one_line(self.cleaned_data["name"])
        if not any(map(str.isalnum, name)):
            raise ValidationError(_("Use a letter or a digit at least."))
        return name


@admin.register(Team)
class TeamAdmin(AuditedAdmin):
    kind_added = "team.added"
    kind_deleted = "team.deleted"
    form = TeamForm
    fieldsets = ((None, {"fields": ("name", "members")}),)
    list_display = ("name", "member_count", "leads")
    search_fields = ("name",)
    actions = None
    delete_confirmation_template = "admin/team_delete.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Team]:
        found: QuerySet[Team] = super().get_queryset(request)
        return found.annotate(size=Count("memberships")).prefetch_related("memberships__user")

    @admin.display(description=_("people"), ordering="size")
    def member_count(self, team: Any) -> int:
        return int(team.size)

    @admin.display(description=_("led by"))
    def leads(self, team: Team) -> str:
        names = sorted(row.user.display_name for row in team.memberships.all() if row.is_lead)
        return ", ".join(names) or str(_("Nobody"))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        return super().changelist_view(request, {"title": _("Teams")} | (extra_context or {}))

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change=change, **kwargs | {"fields": ("name",)})
        form.actor = request.user  # the class is made anew for each request
        return form

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        memberships.write("user", form.cleaned_data["members"], team=form.instance)
        Snapshot.bump()  # rows name their team

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        message = super().construct_change_message(request, form, formsets, add)
        before, after = form.initial["members"], form.cleaned_data["members"]
        values: Changes = request.audited_values  # type: ignore[attr-defined]
        if values.pop("members", None):
            values |= form.fields["members"].changes(before, after, names=("members", "leads"))
            request.audited_facts = facts_of(before, after)  # type: ignore[attr-defined]
        return message

    def kinds_changed(self, values: Changes) -> dict[str, Changes]:
        found: dict[str, Changes] = {}
        for name, change in values.items():
            found.setdefault(KINDS_OF_FIELDS[name], {})[name] = change
        return found

    def more_facts(self, request: HttpRequest, kind: str) -> dict[str, Any]:
        is_told = kind in ("team.added", "team.members_changed")
        return getattr(request, "audited_facts", {}) if is_told else {}

    def render_delete_form(self, request: Any, context: dict[str, Any]) -> Any:
        """Say what becomes of its invitations and people before anybody is sure."""
        rows = Invitation.objects.filter(team=context["object"])
        more = {
            "open": rows.open().count(),
            "closed": rows.closed().count(),
            "size": context["object"].memberships.count(),
            "is_private_allowed": Policy.load().is_private_allowed,
        }
        return super().render_delete_form(request, context | more)

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        super().delete_model(request, obj)
        Snapshot.bump()  # its invitations are everybody's now
