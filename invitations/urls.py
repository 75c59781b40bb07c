"""Addresses of the product. An invitation is named by its random public id, never by the vendor's number."""

from django.urls import path

from invitations import branding, expiry_views, exports, stale_views, views
from invitations.alerts import alerts

urlpatterns = [
    path("", views.board, name="board"),
    path("board/rows/", views.board_rows, name="board_rows"),
    path("board/waiting/", views.board_waiting, name="board_waiting"),
    path("board/alerts/", alerts, name="alerts"),
    path("invitations/new/", views.new, name="invitation_new"),
    path("invitations/stale/", stale_views.stale_ones, name="invitation_stale"),
    path("invitations/<slug:public_id>/", views.detail, name="invitation"),
    path("invitations/<slug:public_id>/live/", views.live, name="invitation_live"),
    path("invitations/<slug:public_id>/connect/", views.connect, name="invitation_connect"),
    path("invitations/<slug:public_id>/close/", views.close, name="invitation_close"),
    path("invitations/<slug:public_id>/extend/", expiry_views.extend, name="invitation_extend"),
    path("invitations/<slug:public_id>/still/", expiry_views.still, name="invitation_still"),
    path("invitations/<slug:public_id>/rename/", views.rename, name="invitation_rename"),
    path("invitations/<slug:public_id>/preview/", views.preview, name="invitation_preview"),
    path("invitations/<slug:public_id>/qr/", views.qr, name="invitation_qr"),
    path("invitations/<slug:public_id>/copied/", views.copied, name="invitation_copied"),
    path("invitations/<slug:public_id>/evidence/", exports.evidence, name="invitation_evidence"),
    path("history/", views.history, name="history"),
    path("history/export/", exports.history, name="history_export"),
    path("logo/<slug:digest>.png", branding.logo, name="logo"),
    path("branding/<slug:digest>.css", branding.accent, name="accent"),
]
