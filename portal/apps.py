"""The app for what belongs to the whole site, and the admin site that shares the portal's door."""

from django.apps import AppConfig
from django.contrib.admin import apps as admin


class PortalConfig(AppConfig):
    default = True
    name = "portal"
    verbose_name = "Portal"

    def ready(self) -> None:
        from portal import checks  # noqa: F401  # registers the system checks


class AdminConfig(admin.AdminConfig):
    default = False
    default_site = "portal.accounts.admin_site.PortalAdminSite"
