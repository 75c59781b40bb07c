"""People and roles for administrators. Nobody is deleted: leaving colleagues are disabled."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from allauth.account.admin import EmailAddress
from allauth.mfa.admin import Authenticator
from allauth.socialaccount.admin import SocialAccount, SocialApp, SocialToken
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import (
    AdminPasswordChangeForm,
    ReadOnlyPasswordHashField,
    ReadOnlyPasswordHashWidget,
    UserChangeForm,
    UserCreationForm,
)
from django.contrib.auth.models import Group
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from portal import audit
from portal.accounts import roles, sessions
from portal.accounts.adapter import forget_copied_addresses
from portal.accounts.models import User, administrators, lock_administrator_role
from portal.audit.kinds import Result

Changes = dict[str, list[Any]]  # field → before and after


class AuditedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    """Every addition, change and deletion becomes an event in the same transaction, with before and after."""

    kind_added = "admin.added"

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        request.audited_values = values_of(form)  # type: ignore[attr-defined]
        return super().construct_change_message(request, form, formsets, add)

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        self._record(self.kind_added, request, obj)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        for kind, values in self.kinds_changed(getattr(request, "audited_values", {})).items():
            self._record(kind, request, obj, values)
        return super().log_change(request, obj, message)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Take the log's lock before the rows': see `audit.writing`. Without the log nothing is changed."""
        with audit.writing() if request.method == "POST" else nullcontext():
            return super().changeform_view(request, *args, **kwargs)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        for obj in queryset:
            self._record("admin.deleted", request, obj, {})
        return super().log_deletions(request, queryset)

    def kinds_changed(self, values: Changes) -> dict[str, Changes]:
        """Return the kinds of events that these changes are, each with its own."""
        return {"admin.changed": values}

    def _record(self, kind: str, request: HttpRequest, obj: Model, values: Changes | None = None) -> None:
        changes = getattr(request, "audited_values", {}) if values is None else values
        audit.record(
            kind,
            result=Result.OK,
            actor=request.user,
            target_type=obj._meta.model_name or "",
            target_id=str(obj.pk),
            target_label=str(obj),
            facts={"fields": sorted(changes)},
            details={"changes": changes},
        )


def values_of(form: Any) -> Changes:
    """Return what each changed field was and is. Of passwords only that they were set is said."""
    # The form for passwords calls its change "password", which is none of its fields.
    values: Changes = {"password": ["", "set"]} if any("password" in name for name in form.changed_data) else {}
    for name in form.changed_data:
        if "password" not in name and name in form.cleaned_data:
            values[name] = [shown(form.initial.get(name)), shown(form.cleaned_data[name])]
    return values


def shown(value: Any) -> Any:
    """Return a form's value as plain JSON."""
    if isinstance(value, QuerySet | list | tuple):
        return sorted(map(str, value))
    return value if value is None or isinstance(value, bool) else str(value)


# Importing their own admin registered them. It shows secrets, and a second list of e-mail addresses beside the person's
# would let somebody who no longer has the mailbox reset the password.
for model in (Group, EmailAddress, Authenticator, SocialAccount, SocialApp, SocialToken):
    admin.site.unregister(model)


class PasswordButton(ReadOnlyPasswordHashWidget):
    """The way to a new password, without a summary of the stored one."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> Any:
        label = self.get_context(name, value, attrs)["button_label"]
        return format_html('<p><a role="button" class="button" href="../password/">{}</a></p>', label)


class PersonForm(UserChangeForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """A person's data and roles. Administrators neither lock themselves out nor leave nobody in charge."""

    actor: User
    password = ReadOnlyPasswordHashField(label=_("Password"), widget=PasswordButton)

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        lock_administrator_role()  # two administrators could otherwise switch each other off
        is_active = values.get("is_active", False)
        holds_role = self.instance.is_superuser or roles.ADMINISTRATOR in {
            role.name for role in values.get("groups", ())
        }
        if self.instance.pk == self.actor.pk and not is_active:
            self.add_error("is_active", _("You cannot switch off your own account. Ask another administrator."))
        if self.instance.pk == self.actor.pk and not holds_role and "groups" in values:
            self.add_error(
                "groups", _("You cannot take the Administrator role from yourself. Ask another administrator.")
            )
        if not (is_active and holds_role) and not administrators().exclude(pk=self.instance.pk).exists():
            self.add_error(None, _("Somebody must stay administrator: nobody else who may sign in has that role."))
        return values


class NewPasswordForm(AdminPasswordChangeForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """Without the choice to have no password: there is no other way to sign in."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields.pop("usable_password", None)
        for field in self.fields.values():
            field.required = True


SESSION_ENDING = {"user.disabled", "user.password_set"}
KINDS_OF_FIELDS = {"groups": "user.roles_changed", "password": "user.password_set"}


class RoleFilter(admin.RelatedFieldListFilter):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = _("role")


@admin.register(User)
class UserAdmin(AuditedAdmin, DjangoUserAdmin):  # type: ignore[type-arg]
    list_display = ("username", "email", "first_name", "last_name", "role_list", "is_active", "last_login")
    list_filter = ("is_active", ("groups", RoleFilter))
    filter_horizontal = ()
    kind_added = "user.created"
    form = PersonForm
    add_form = UserCreationForm
    change_password_form = NewPasswordForm
    readonly_fields = ("last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (_("Person"), {"fields": ("first_name", "last_name", "email")}),
        (_("Sign-in and roles"), {"fields": ("is_active", "groups")}),
        (_("Dates"), {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("username", "first_name", "last_name", "email", "password1", "password2", "groups"),
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        people = super().get_queryset(request).prefetch_related("groups")
        return people if request.user.is_superuser else people.filter(is_superuser=False)

    def kinds_changed(self, values: Changes) -> dict[str, Changes]:
        """Taking somebody's access or roles is another matter than a new name."""
        found: dict[str, Changes] = {}
        for name, change in values.items():
            kind = KINDS_OF_FIELDS.get(name, "user.changed")
            if name == "is_active":
                kind = "user.enabled" if change[1] else "user.disabled"
            found.setdefault(kind, {})[name] = change
        return found or {"user.changed": {}}

    def log_change(self, request: HttpRequest, obj: User, message: Any) -> Any:  # type: ignore[override]
        entry = super().log_change(request, obj, message)
        if SESSION_ENDING & set(self.kinds_changed(getattr(request, "audited_values", {}))):
            sessions.end_others(obj, by=request.user, but=request.session.session_key)
        return entry

    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        with audit.writing() if request.method == "POST" else nullcontext():
            return super().add_view(request, *args, **kwargs)

    def user_change_password(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        with audit.writing() if request.method == "POST" else nullcontext():
            return super().user_change_password(request, *args, **kwargs)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        form.actor = request.user  # the class is made anew for each request
        return form

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "groups":
            kwargs |= {"widget": forms.CheckboxSelectMultiple, "label": _("Roles"), "help_text": ""}
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        person = form.instance
        if not (person.is_superuser or person.groups.exists()):
            messages.warning(request, _("%(name)s has no role and can see nothing yet.") % {"name": person})

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        forget_copied_addresses(obj)

    @admin.display(description=_("roles"))
    def role_list(self, user: User) -> str:
        return ", ".join(group.name for group in user.groups.all())

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Group)
class GroupAdmin(AuditedAdmin, DjangoGroupAdmin):
    """The roles, to look at: what each may do is fixed."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
