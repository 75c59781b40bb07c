"""People, for administrators. Nobody is deleted: leaving colleagues are disabled."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from allauth.mfa.models import Authenticator
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import (
    AdminPasswordChangeForm,
    ReadOnlyPasswordHashField,
    ReadOnlyPasswordHashWidget,
    UserChangeForm,
    UserCreationForm,
)
from django.core.exceptions import ValidationError
from django.db.models import Count, Exists, Model, OuterRef, Q
from django.http import HttpRequest
from django.shortcuts import redirect
from django.urls import path
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from portal import audit
from portal.accounts import factors, hashing, memberships, openid, people, roles, sessions, single_sign_on
from portal.accounts.adapter import forget_copied_addresses
from portal.accounts.admin import person_pages, session_pages
from portal.accounts.admin.audited import AuditedAdmin, Changes
from portal.accounts.admin.membership_table import MembershipField, facts_of
from portal.accounts.models import Team, User, administrators, lock_administrator_role


class PasswordButton(ReadOnlyPasswordHashWidget):
    """The way to a new password, without a summary of the stored one."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> Any:
        label = self.get_context(name, value, attrs)["button_label"]
        return format_html('<p><a role="button" class="button" href="../password/">{}</a></p>', label)


class PersonForm(UserChangeForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """A person's data and roles. Administrators neither lock themselves out nor leave nobody in charge."""

    actor: User
    confirmation: str  # the page to confirm on, "" where that was done a moment ago
    password = ReadOnlyPasswordHashField(label=_("Password"), widget=PasswordButton)
    memberships = MembershipField(label=_("Teams"), heads=(_("Team"), _("Member"), _("Leads")))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        teams = dict(Team.objects.values_list("pk", "name"))
        self.initial["memberships"] = memberships.places("team", teams, user=self.instance)
        field: Any = self.fields["memberships"]
        field.offer(teams)

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        lock_administrator_role()  # two administrators could otherwise switch each other off
        is_active = values.get("is_active", False)
        holds_role = self.instance.is_superuser or roles.ADMINISTRATOR in {
            role.name for role in values.get("groups", ())
        }
        if self.instance.pk == self.actor.pk and not is_active:
            words = _("You cannot switch off your own account. Ask another administrator.")
            self.refuse("is_active", ValidationError(words, code=people.OWN_ACCOUNT))
        if self.instance.pk == self.actor.pk and "groups" in self.changed_data:
            words = _("You cannot change your own roles. Ask another administrator.")
            self.refuse("groups", ValidationError(words, code=people.OWN_ROLES))
        if self.instance.pk == self.actor.pk and "email" in self.changed_data and self.confirmation:
            # Whoever has the mailbox can reset the password.
            words = _('Confirm first that it is you, then change your own address. <a href="{}">Confirm</a>')
            self.add_error("email", format_html(str(words), self.confirmation))
        if not (is_active and holds_role) and not administrators().exclude(pk=self.instance.pk).exists():
            self.refuse(None, people.last_administrator())
        return values

    def refuse(self, field: str | None, error: ValidationError) -> None:
        """Refuse what this administrator has no right to, which is an event, unlike what is merely typed wrong."""
        self.add_error(field, error)
        people.tell_refusal(self.instance, self.actor, error)


class NewPasswordForm(AdminPasswordChangeForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """Without the choice to have no password: there is no other way to sign in."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields.pop("usable_password", None)
        for field in self.fields.values():
            field.required = True


# Changes that end a person's sessions, and the word for it. What a role may do is asked on every request anyway.
SESSION_ENDING = {"user.disabled": "disabled", "user.password_set": "password", "user.roles_changed": "roles"}
LINK_ENDING = {"user.disabled", "user.password_set"}
TEAMS = ("teams", "teams_led")
KINDS_OF_FIELDS = {
    "groups": "user.roles_changed",
    "password": "user.password_set",
    **dict.fromkeys(TEAMS, "user.teams_changed"),
}


SIGN_IN: Any = (_("Sign-in and roles"), {"fields": ("is_active", "groups")})


class RoleFilter(admin.RelatedFieldListFilter):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title: Any = _("role")
        self.empty_value_display: Any = _("No role")


class FactorFilter(admin.SimpleListFilter):
    title = _("second factor")
    parameter_name = "factor"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Yes")), ("no", _("No"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        wanted = {"yes": True, "no": False}.get(self.value() or "")
        return queryset if wanted is None else queryset.filter(factor=wanted)


def with_sign_in(found: Any) -> Any:
    """Add whether people have a second factor, and how many sessions they have open, to the same query."""
    owned = Authenticator.objects.filter(user=OuterRef("pk")).exclude(type=Authenticator.Type.RECOVERY_CODES)
    is_open = Q(sessions__expire_date__gt=timezone.now())
    return found.annotate(factor=Exists(owned), open_sessions=Count("sessions", filter=is_open, distinct=True))


def labelled(label: Any, value: Any) -> str:
    """Return a cell that says what it is about where the list has no heads: on a phone."""
    return format_html('<span class="cell-label">{} </span>{}', label, value)


@admin.register(User)
class UserAdmin(AuditedAdmin, DjangoUserAdmin):  # type: ignore[type-arg]
    list_display = ("person", "role_list", "state", "has_factor", "session_count", "signed_in_at")
    list_filter = ("is_active", "awaits_approval", FactorFilter, ("groups", RoleFilter))
    actions = ("disable", "enable", "approve", "end_sessions")
    change_list_template = "admin/people_list.html"
    change_form_template = "admin/person.html"
    filter_horizontal = ()
    kind_added = "user.created"
    form = PersonForm
    add_form = UserCreationForm
    change_password_form = NewPasswordForm
    readonly_fields = ("last_login", "date_joined", "connection")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (_("Person"), {"fields": ("first_name", "last_name", "email")}),
        SIGN_IN,
        (_("Teams"), {"fields": ("memberships",)}),
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
        found = with_sign_in(super().get_queryset(request).prefetch_related("groups"))
        return found if request.user.is_superuser else found.filter(is_superuser=False)

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Where there are no teams, or is no single sign-on, nothing is said of them."""
        found = super().get_fieldsets(request, obj)
        if obj is None or not Team.objects.exists():
            found = tuple(each for each in found if "memberships" not in each[1]["fields"])
        if obj is None or not openid.is_configured():
            return found
        title, _options = SIGN_IN
        shown = (title, {"fields": ("is_active", "connection", "groups")})
        return [shown if fieldset[0] == title else fieldset for fieldset in found]

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        message = super().construct_change_message(request, form, formsets, add)
        values: Changes = request.audited_values  # type: ignore[attr-defined]
        if values.pop("memberships", None):
            before, after = form.initial["memberships"], form.cleaned_data["memberships"]
            values |= form.fields["memberships"].changes(before, after, names=TEAMS)
            request.audited_facts = facts_of(before, after)  # type: ignore[attr-defined]
        return message

    def more_facts(self, request: HttpRequest, kind: str) -> dict[str, Any]:
        return getattr(request, "audited_facts", {}) if kind == "user.teams_changed" else {}

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
        kinds = self.kinds_changed(getattr(request, "audited_values", {}))
        if LINK_ENDING & kinds.keys():
            obj.end_links()
        reasons = [reason for kind, reason in SESSION_ENDING.items() if kind in kinds]
        if reasons:
            sessions.end_all(obj, reason=reasons[0], by=request.user, keep=request.session.session_key)
        return entry

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        person = context.get("original")
        is_other = person is not None and person.pk != request.user.pk  # one's own is disconnected under Security
        context["may_disconnect"] = is_other and single_sign_on.connection_of(person) is not None
        return super().render_change_form(request, context, *args, **kwargs)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> Any:
        add = super().add_view
        with hashing.places.taken(is_known=True) if request.method == "POST" else nullcontext():  # see hashing.writing
            return self._recorded(request, add, self._add_view, form_url, extra_context)  # type: ignore[attr-defined]

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> Any:
        """Nobody changes their own password here: that page asks for the old one."""
        if id == str(request.user.pk):
            return redirect("account_change_password")
        with hashing.writing() if request.method == "POST" else nullcontext():
            return super().user_change_password(request, id, form_url)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        form.actor = request.user  # the class is made anew for each request
        is_needed = obj == request.user and not factors.is_fresh(request, factors.FRESH_SECONDS)
        form.confirmation = factors.confirmation_page(request, request.path) if is_needed else ""
        if "groups" in form.base_fields:  # a role is made on its own page, with what it may do in view
            form.base_fields["groups"].widget.can_add_related = False
        return form

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "groups":
            kwargs |= {"widget": forms.CheckboxSelectMultiple, "label": _("Roles"), "help_text": ""}
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        person = form.instance
        memberships.write("team", form.cleaned_data.get("memberships", {}), user=person)
        if not (person.is_superuser or person.groups.exists()):
            messages.warning(request, _("%(name)s has no role and can see nothing yet.") % {"name": person})

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        forget_copied_addresses(obj)

    @admin.display(description=_("person"), ordering="username")
    def person(self, user: User) -> str:
        return f"{user.username} ({user.get_full_name()})" if user.get_full_name() else user.username

    @admin.display(description=_("roles"))
    def role_list(self, user: User) -> Any:
        names = ", ".join(group.name for group in user.groups.all())
        return names or (_("Superuser") if user.is_superuser else _("No role"))

    @admin.display(description=_("state"), ordering="is_active")
    def state(self, user: User) -> Any:
        if not user.is_active:
            return _("Disabled")
        return _("Awaits approval") if user.awaits_approval else _("Active")

    @admin.display(description=_("single sign-on"))
    def connection(self, user: User) -> Any:
        found = single_sign_on.connection_of(user)
        if found is None:
            return _("Not connected")
        date = date_format(localtime(found.since), "SHORT_DATE_FORMAT")
        return _("Connected since %(date)s: %(name)s") % {"date": date, "name": found.name or _("an unnamed account")}

    @admin.display(description=_("second factor"), ordering="factor")
    def has_factor(self, user: Any) -> str:
        return labelled(_("Second factor:"), _("Yes") if user.factor else _("No"))

    @admin.display(description=_("sessions"), ordering="open_sessions")
    def session_count(self, user: Any) -> str:
        return labelled(_("Sessions:"), user.open_sessions)

    @admin.display(description=_("last sign-in"), ordering="last_login")
    def signed_in_at(self, user: User) -> str:
        at = user.last_login
        return labelled(_("Last sign-in:"), date_format(localtime(at), "SHORT_DATETIME_FORMAT") if at else _("Never"))

    @admin.action(description=_("Disable the chosen people"))
    def disable(self, request: HttpRequest, chosen: Any) -> None:
        self._do(request, chosen, people.disable, _("Disabled: %(name)s."))

    @admin.action(description=_("Enable the chosen people"))
    def enable(self, request: HttpRequest, chosen: Any) -> None:
        self._do(request, chosen, people.enable, _("Enabled: %(name)s."))

    @admin.action(description=_("Approve the chosen people"))
    def approve(self, request: HttpRequest, chosen: Any) -> None:
        self._do(request, chosen, people.approve, _("Let in: %(name)s."))

    @admin.action(description=_("End all sessions of the chosen people"))
    def end_sessions(self, request: HttpRequest, chosen: Any) -> None:
        self._do(request, chosen, people.end_sessions, _("All sessions of %(name)s are ended."))

    def _do(self, request: Any, chosen: Any, act: Callable[[User, Any], None], words: Any) -> None:
        """Do it to each of the chosen, and say so, or for whom it was refused."""
        for person in chosen:
            try:
                act(person, request.user)
            except ValidationError as error:
                people.tell_refusal(person, request.user, error)
                messages.error(request, f"{person}: {' '.join(error.messages)}")
            else:
                messages.success(request, words % {"name": person})

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        with audit.writing() if request.method == "POST" else nullcontext():
            return super().changelist_view(request, {"title": _("People")} | (extra_context or {}))

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        pages = [
            path("invite/", wrap(person_pages.invite), name="accounts_user_invite"),
            path("import/", wrap(person_pages.import_people), name="accounts_user_import"),
            path("<id>/link/", wrap(person_pages.link), name="accounts_user_link"),
            path("<id>/factors/", wrap(person_pages.factors), name="accounts_user_factors"),
            path("<id>/disconnect/", wrap(person_pages.disconnect), name="accounts_user_disconnect"),
            path("<id>/approve/", wrap(person_pages.approve), name="accounts_user_approve"),
            path("<id>/sessions/", wrap(session_pages.of_person), name="accounts_user_sessions"),
            path("end-every-session/", wrap(session_pages.end_everybodys), name="accounts_user_end_everybodys"),
        ]
        return [*pages, *super().get_urls()]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
