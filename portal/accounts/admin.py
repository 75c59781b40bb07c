"""People and roles for administrators. Nobody is deleted: leaving colleagues are disabled."""

from __future__ import annotations

from typing import Any

from allauth.account.admin import EmailAddress
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from portal import audit
from portal.accounts.adapter import forget_copied_addresses
from portal.accounts.models import User
from portal.audit.kinds import Result


class AuditedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    """Every addition, change and deletion becomes an event in the same transaction."""

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        request.audited_values = values_of(form)  # type: ignore[attr-defined]
        return super().construct_change_message(request, form, formsets, add)

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        self._record("admin.added", request, obj, message)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        self._record("admin.changed", request, obj, message)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        for obj in queryset:
            self._record("admin.deleted", request, obj, [])
        return super().log_deletions(request, queryset)

    def _record(self, kind: str, request: HttpRequest, obj: Model, message: Any) -> None:
        audit.record(
            kind,
            result=Result.OK,
            actor=request.user,
            target_type=obj._meta.model_name or "",
            target_id=str(obj.pk),
            target_label=str(obj),
            data={
                "changes": message if isinstance(message, list) else str(message),
                "values": getattr(request, "audited_values", {}),
            },
        )


def values_of(form: Any) -> dict[str, list[Any]]:
    """Return what each changed field was and is. Of passwords only that they were changed is said."""
    changed = (name for name in form.changed_data if "password" not in name and name in form.cleaned_data)
    return {name: [shown(form.initial.get(name)), shown(form.cleaned_data[name])] for name in changed}


def shown(value: Any) -> Any:
    """Return a form's value as plain JSON."""
    if isinstance(value, QuerySet | list | tuple):
        return sorted(map(str, value))
    return value if value is None or isinstance(value, bool) else str(value)


# Importing their own admin registered them. A second list of e-mail addresses beside the person's
# would let somebody who no longer has the mailbox reset the password.
for model in (Group, EmailAddress):
    admin.site.unregister(model)


@admin.register(User)
class UserAdmin(AuditedAdmin, DjangoUserAdmin):  # type: ignore[type-arg]
    list_display = ("username", "email", "first_name", "last_name", "roles", "is_active", "last_login")
    list_filter = ("is_active", "groups")
    readonly_fields = ("last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (_("Person"), {"fields": ("first_name", "last_name", "email")}),
        (_("May sign in, and as what"), {"fields": ("is_active", "groups")}),
        (_("Dates"), {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("username", "email", "usable_password", "password1", "password2", "groups"),
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        people = super().get_queryset(request).prefetch_related("groups")
        return people if request.user.is_superuser else people.filter(is_superuser=False)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        forget_copied_addresses(obj)

    @admin.display(description=_("roles"))
    def roles(self, user: User) -> str:
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
