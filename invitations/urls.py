"""Addresses of the product. An invitation is named by its random public id, never by the vendor's number."""

from django.urls import path

from invitations import branding, claim_views, exports, join, note_views, share_views, sign_out, views
from invitations.alerts import alerts

urlpatterns = [
    path("", views.board, name="board"),
    path("board/rows/", views.board_rows, name="board_rows"),
    path("board/waiting/", views.board_waiting, name="board_waiting"),
    path("board/alerts/", alerts, name="alerts"),
    path("invitations/new/", views.new, name="invitation_new"),
    path("invitations/<slug:public_id>/", views.detail, name="invitation"),
    path("invitations/<slug:public_id>/live/", views.live, name="invitation_live"),
    path("invitations/<slug:public_id>/connect/", views.connect, name="invitation_connect"),
    path("invitations/<slug:public_id>/claim/", claim_views.claim, name="invitation_claim"),
    path("invitations/<slug:public_id>/release/", claim_views.release, name="invitation_release"),
    path("invitations/<slug:public_id>/hand-over/", claim_views.hand_over, name="invitation_hand_over"),
    path("invitations/<slug:public_id>/close/", views.close, name="invitation_close"),
    path("invitations/<slug:public_id>/rename/", views.rename, name="invitation_rename"),
    path("invitations/<slug:public_id>/preview/", views.preview, name="invitation_preview"),
    path("invitations/<slug:public_id>/qr/", views.qr, name="invitation_qr"),
    path("invitations/<slug:public_id>/copied/", views.copied, name="invitation_copied"),
    path("invitations/<slug:public_id>/note/", note_views.note, name="invitation_note"),
    path("invitations/<slug:public_id>/note/versions/", note_views.versions, name="invitation_versions"),
    path("invitations/<slug:public_id>/outcome/", note_views.outcome, name="invitation_outcome"),
    path("invitations/<slug:public_id>/summary/", note_views.summary, name="invitation_summary"),
    path("invitations/<slug:public_id>/share/", share_views.share, name="invitation_share"),
    path("invitations/<slug:public_id>/share/mail/", share_views.mail, name="invitation_mail"),
    path("invitations/<slug:public_id>/evidence/", exports.evidence, name="invitation_evidence"),
    path("sign-out/", sign_out.page, name="sign_out"),
    path("history/", views.history, name="history"),
    path("history/export/", exports.history, name="history_export"),
    path("join/", join.start, name="join"),
    path("join/<path:code>", join.invited, name="join_code"),
    path("j/", join.start, name="join_short"),
    path("j/<path:code>", join.invited, name="join_short_code"),
    path("logo/<slug:digest>.png", branding.logo, name="logo"),
    path("branding/<slug:digest>.css", branding.accent, name="accent"),
]
