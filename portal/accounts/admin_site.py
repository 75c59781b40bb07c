"""The administration behind the portal's own door: same sign-in, Administrators only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from portal.accounts.models import is_administrator
from portal.audit import outside


class PortalAdminSite(AdminSite):
    """Django's admin with our people: `is_staff` means nothing here."""

    site_header = _("Administration")
    site_title = _("Administration")
    index_title = _("People and policies")
    enable_nav_sidebar = True

    def has_permission(self, request: HttpRequest) -> bool:
        return is_administrator(request.user)

    def admin_view(self, view: Callable[..., HttpResponseBase], cacheable: bool = False) -> Any:
        inner = super().admin_view(view, cacheable)

        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if request.user.is_authenticated and not self.has_permission(request):
                raise PermissionDenied
            return inner(request, *args, **kwargs)

        return guarded

    def get_urls(self) -> list[Any]:
        page = require_http_methods(["GET", "HEAD", "POST"])(self.forwarding)
        return [path("forwarding/", self.admin_view(page), name="forwarding"), *super().get_urls()]

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Roles stand with the people who have them, and beside the log's events where they go, which is no model."""
        apps = super().get_app_list(request, app_label)
        people = next((app for app in apps if app["app_label"] == "accounts"), None)
        roles = next((app for app in apps if app["app_label"] == "auth"), None)
        if people and roles:
            people["models"] += roles["models"]
            apps.remove(roles)
        address = reverse("admin:forwarding")
        for app in apps:
            if app["app_label"] == "audit":
                name = _("Forwarding")
                app["models"].append({"name": name, "object_name": name, "admin_url": address, "view_only": True})
        return apps

    def forwarding(self, request: HttpRequest) -> HttpResponse:
        return outside.page(request, self.each_context(request))

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Send to the portal's sign-in; there is no second door."""
        target = request.GET.get("next") or reverse("admin:index")
        return redirect(f"{reverse('account_login')}?{urlencode({'next': target})}")

    def logout(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:  # type: ignore[override]
        return redirect("account_logout")

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:  # type: ignore[override]
        return redirect("account_change_password")
