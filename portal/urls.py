"""The site map. The health probes are answered by a middleware, before host names are looked at."""

from django.contrib import admin
from django.urls import include, path

from invitations import sign_out
from portal import self_check, views
from portal.accounts import access, roles
from portal.audit import export_page
from portal.audit import views as audit

urlpatterns = [
    path("", include("invitations.urls")),
    path("audit/", access.require(*access.AUDIT)(audit.log), name="audit_log"),
    path("audit/verify/", access.require(roles.AUDIT_ALL)(audit.verify), name="audit_verify"),
    path("audit/<int:seq>/", access.require(*access.AUDIT)(audit.event), name="audit_event"),
    path("audit/export/", access.require(roles.AUDIT_ALL)(export_page.export), name="audit_export"),
    path("accounts/logout/", sign_out.ask_first, name="account_logout"),  # knows of clients, unlike accounts
    path("accounts/", include("portal.accounts.urls")),
    path("admin/self-check/", admin.site.admin_view(self_check.page), name="self_check"),
    path("admin/", admin.site.urls),
]

handler400 = views.bad_request
handler403 = views.forbidden
handler404 = views.not_found
handler500 = views.server_error
