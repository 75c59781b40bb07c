"""Roles, for administrators: what each may do, chosen out of a fixed list. Administering is not in it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import ValidationError
from django.db.models import Count, Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from portal.accounts import roles
from portal.accounts.admin.audited import AuditedAdmin, Changes
from portal.accounts.models import is_administrator


def actions_of(group: Group) -> list[str]:
    """Return the actions a role has, in the order of the list."""
    pairs = group.permissions.values_list("content_type__app_label", "codename")
    held = {".".join(pair) for pair in pairs}
    return [action for action in roles.LABELS if action in held]


def permissions_for(actions: list[str]) -> QuerySet[Permission]:
    """Return the rows of these actions; none of them for a name that no list has."""
    wanted = Q(pk__in=[])
    for action in roles.LABELS.keys() & set(actions):
        label, codename = action.split(".")
        wanted |= Q(content_type__app_label=label, codename=codename)
    return Permission.objects.filter(wanted)


class RoleForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """A role's name and actions. Built-in roles keep their names and can be set back."""

    actions = forms.MultipleChoiceField(
        label=_("May"),
        choices=[(group, list(actions.items())) for group, actions in roles.ACTIONS],
        widget=forms.CheckboxSelectMultiple,
    )
    is_reset = forms.BooleanField(
        label=_("Reset to what this role may do as delivered"),
        required=False,
        help_text=_("What is ticked above does not matter then."),
    )

    class Meta:
        model = Group
        fields = ("name",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["actions"] = actions_of(self.instance) if self.instance.pk else []
        if self.is_built_in:
            self.fields["name"].disabled = True
            if self.data.get("is_reset"):
                self.fields["actions"].required = False
        else:
            del self.fields["is_reset"]

    @property
    def is_built_in(self) -> bool:
        return self.initial.get("name") in roles.ROLES

    @property
    def changed_data(self) -> list[str]:
        """Resetting changes the actions though nothing was ticked."""
        values = getattr(self, "cleaned_data", {})
        return [name for name in ("name", "actions") if name in values and values[name] != self.initial.get(name)]

    def clean_name(self) -> str:
        name = " ".join(str(self.cleaned_data["name"]).split())
        if self.is_built_in:
            return name
        if not name.isprintable():
            raise ValidationError(_("Use visible characters only."))
        if Group.objects.filter(name__iexact=name).exclude(pk=self.instance.pk).exists():
            raise ValidationError(_("There is a role with this name already."))
        return name

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if values.get("is_reset") and self.is_built_in:
            chosen = roles.ROLES[self.initial["name"]]
        else:
            chosen = frozenset(values.get("actions", ()))
        if chosen & roles.NEED_BOARD and roles.SEE not in chosen:
            self.add_error("actions", _("Tick “See the board” as well: without it the other actions cannot be used."))
        if "actions" in values:
            values["actions"] = [action for action in roles.LABELS if action in chosen]
        return values


@admin.register(Group)
class RoleAdmin(AuditedAdmin):
    """Who may do what. Rights here follow from administering alone, so that no role can be given them."""

    kind_added = "role.added"
    kind_deleted = "role.deleted"
    form = RoleForm
    list_display = ("name", "people")
    ordering = ("pk",)
    actions = None

    def kinds_changed(self, values: Changes) -> dict[str, Changes]:
        return {"role.changed": values} if values else {}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        groups: QuerySet[Group] = super().get_queryset(request)
        return groups.annotate(member_count=Count("user", distinct=True))

    @admin.display(description=_("people"))
    def people(self, group: Any) -> int:
        return int(group.member_count)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        form.instance.permissions.set(permissions_for(form.cleaned_data["actions"]))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        answer: HttpResponse = super().changelist_view(
            request, {"title": _("Roles")} | (extra_context or {}) | who_may_do_what()
        )
        return answer

    def get_fieldsets(self, request: HttpRequest, obj: Group | None = None) -> Any:
        if obj is not None and obj.name == roles.ADMINISTRATOR:
            return ((None, {"fields": ("name",), "description": _("Administrators may do everything, for ever.")}),)
        names = ["name", "actions"]
        if obj is not None and obj.name in roles.ROLES:
            names.append("is_reset")
        return ((None, {"fields": names}),)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """The fields are the form's own; Django would look for them in the table."""
        return super().get_form(request, obj, change=change, **kwargs | {"fields": ("name",)})

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return is_administrator(request.user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return is_administrator(request.user)

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return is_administrator(request.user) and (obj is None or obj.name != roles.ADMINISTRATOR)

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """Only the team's own roles, and only while nobody has them."""
        is_free = obj is None or (obj.name not in roles.ROLES and not obj.user_set.exists())
        return is_administrator(request.user) and is_free


def who_may_do_what() -> dict[str, Any]:
    """Return the table roles × actions as it is now, for the page that shows it."""
    groups = list(Group.objects.order_by("pk"))
    held = [set(actions_of(group)) for group in groups]
    rows = [(label, [action in actions for actions in held]) for action, label in roles.LABELS.items()]
    administers = [group.name == roles.ADMINISTRATOR for group in groups]
    return {"table_roles": groups, "table_rows": [*rows, (_("Manage people, roles and policies"), administers)]}
