"""Who may do what: every address, method, role and ownership, with the expected status read from one table.

A new address fails the suite until it has its lines here. Columns: nobody signed in; a person without
a role (though `is_staff`); an agent with an own invitation, and with a colleague's or one made outside
the portal; team lead; auditor; administrator; superuser. Leads and administrators may do the same to
every invitation, so their column is tried with all three.

Further columns follow from these: who is disabled or awaits approval is nobody, and who has a role of the
team's own may open what its actions open (`NEEDS`) as an agent or a lead does, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.urls import URLPattern, get_resolver

from invitations.models import Delivery, Invitation, MessageTemplate, Outcome, Policy, Status, Webhook
from invitations.webhooks import Target, keep
from portal import audit
from portal.accounts import roles
from portal.accounts.admin.role_table import permissions_for
from portal.accounts.models import Team, User
from portal.audit.models import Event
from portal.getscreen.simulator import Ledger
from tests.conftest import Browser

WHO = ("anon", "none", "own", "other", "lead", "auditor", "admin", "root")
TABLE = """
-                                                         GET   302  403  200  200  200  200  200  200
-                                                         POST  302  405  405  405  405  405  405  405
board/rows/                                               GET   302  403  200  200  200  200  200  200
board/rows/                                               POST  302  405  405  405  405  405  405  405
board/waiting/                                            GET   302  403  200  200  200  200  200  200
board/waiting/                                            POST  302  405  405  405  405  405  405  405
board/alerts/                                             GET   302  405  405  405  405  405  405  405
board/alerts/                                             POST  302  403  302  302  302  302  302  302
sign-out/                                                 GET   302  302  302  302  302  302  302  302
sign-out/                                                 POST  302  302  302  302  302  302  302  302
history/                                                  GET   302  403  200  200  200  200  200  200
history/                                                  POST  302  405  405  405  405  405  405  405
history/export/                                           GET   302  405  405  405  405  405  405  405
history/export/                                           POST  302  403  200  200  200  200  200  200
audit/export/                                             GET   302  403  403  403  403  200  200  200
audit/export/                                             POST  302  403  403  403  403  422  422  422
audit/verify/                                             GET   302  403  403  403  403  405  405  405
audit/verify/                                             POST  302  403  403  403  403  302  302  302
audit/<int:seq>/                                          GET   302  403  200  404  200  200  200  200
audit/<int:seq>/                                          POST  302  403  405  405  405  405  405  405
audit/                                                    GET   302  403  200  200  200  200  200  200
audit/                                                    POST  302  403  405  405  405  405  405  405
invitations/new/                                          GET   302  403  200  200  200  403  200  200
invitations/new/                                          POST  302  403  302  302  302  403  302  302
invitations/<slug:public_id>/                             GET   302  403  200  200  200  200  200  200
invitations/<slug:public_id>/                             POST  302  405  405  405  405  405  405  405
invitations/<slug:public_id>/live/                        GET   302  403  200  200  200  200  200  200
invitations/<slug:public_id>/live/                        POST  302  405  405  405  405  405  405  405
invitations/<slug:public_id>/connect/                     GET   302  405  405  405  405  405  405  405
invitations/<slug:public_id>/connect/                     POST  302  403  303  303  303  403  303  303
invitations/<slug:public_id>/rename/                      GET   302  403  200  403  200  403  200  200
invitations/<slug:public_id>/rename/                      POST  302  403  302  403  302  403  302  302
invitations/<slug:public_id>/claim/                       GET   302  403  200  200  200  403  200  200
invitations/<slug:public_id>/claim/                       POST  302  403  302  302  302  403  302  302
invitations/<slug:public_id>/release/                     GET   302  405  405  405  405  405  405  405
invitations/<slug:public_id>/release/                     POST  302  403  302  302  302  403  302  302
invitations/<slug:public_id>/hand-over/                   GET   302  403  200  200  200  403  200  200
invitations/<slug:public_id>/hand-over/                   POST  302  403  422  422  422  403  422  422
invitations/<slug:public_id>/close/                       GET   302  403  200  403  200  403  200  200
invitations/<slug:public_id>/close/                       POST  302  403  302  403  302  403  302  302
invitations/<slug:public_id>/note/                        GET  302  403  200  200  200  403  200  200
invitations/<slug:public_id>/note/                        POST 302  403  302  302  302  403  302  302
invitations/<slug:public_id>/note/versions/               GET  302  403  200  200  200  200  200  200
invitations/<slug:public_id>/note/versions/               POST 302  405  405  405  405  405  405  405
invitations/<slug:public_id>/outcome/                     GET  302  403  200  200  200  403  200  200
invitations/<slug:public_id>/outcome/                     POST 302  403  302  302  302  403  302  302
invitations/<slug:public_id>/summary/                     GET  302  403  200  200  200  200  200  200
invitations/<slug:public_id>/summary/                     POST 302  405  405  405  405  405  405  405
invitations/<slug:public_id>/extend/                      GET   302  405  405  405  405  405  405  405
invitations/<slug:public_id>/extend/                      POST  302  403  400  403  400  403  400  400
invitations/<slug:public_id>/still/                       GET   302  405  405  405  405  405  405  405
invitations/<slug:public_id>/still/                       POST  302  403  302  403  302  403  302  302
invitations/stale/                                        GET   302  403  200  200  200  403  200  200
invitations/stale/                                        POST  302  403  422  422  422  403  422  422
invitations/<slug:public_id>/preview/                     GET   302  403  200  200  200  403  200  200
invitations/<slug:public_id>/preview/                     POST  302  405  405  405  405  405  405  405
invitations/<slug:public_id>/copied/                      GET   302  405  405  405  405  405  405  405
invitations/<slug:public_id>/copied/                      POST  302  403  400  400  400  403  400  400
invitations/<slug:public_id>/qr/                          GET   302  403  200  200  200  403  200  200
invitations/<slug:public_id>/qr/                          POST  302  405  405  405  405  405  405  405
invitations/<slug:public_id>/share/                       GET   302  403  200  200  200  403  200  200
invitations/<slug:public_id>/share/                       POST  302  405  405  405  405  405  405  405
invitations/<slug:public_id>/share/mail/                  GET   302  403  200  200  200  403  200  200
invitations/<slug:public_id>/share/mail/                  POST  302  403  422  422  422  403  422  422
invitations/<slug:public_id>/evidence/                    GET   302  405  405  405  405  405  405  405
invitations/<slug:public_id>/evidence/                    POST  302  403  403  403  403  200  200  200
accounts/login/                                           GET   200  302  302  302  302  302  302  302
accounts/login/                                           POST  200  302  302  302  302  302  302  302
accounts/keys/                                            GET   302  405  405  405  405  405  405  405
accounts/keys/                                            POST  302  204  204  204  204  204  204  204
accounts/logout/                                          GET   302  200  200  200  200  200  200  200
accounts/logout/                                          POST  302  302  302  302  302  302  302  302
accounts/signup/                                          GET   404  404  404  404  404  404  404  404
accounts/signup/                                          POST  404  404  404  404  404  404  404  404
accounts/inactive/                                        GET   200  200  200  200  200  200  200  200
accounts/inactive/                                        POST  405  405  405  405  405  405  405  405
accounts/reauthenticate/                                  GET   302  200  200  200  200  200  200  200
accounts/reauthenticate/                                  POST  302  200  200  200  200  200  200  200
accounts/reauthenticate/code/                             GET   302  302  302  302  302  302  302  302
accounts/reauthenticate/code/                             POST  302  302  302  302  302  302  302  302
accounts/reauthenticate/passkey/                          GET   302  302  302  302  302  302  302  302
accounts/reauthenticate/passkey/                          POST  302  302  302  302  302  302  302  302
accounts/login/code/                                      GET   302  302  302  302  302  302  302  302
accounts/login/code/                                      POST  302  302  302  302  302  302  302  302
accounts/login/passkey/                                   GET   302  302  302  302  302  302  302  302
accounts/login/passkey/                                   POST  302  302  302  302  302  302  302  302
accounts/security/                                        GET   302  200  200  200  200  200  200  200
accounts/security/                                        POST  302  405  405  405  405  405  405  405
accounts/security/app/                                    GET   302  302  302  302  302  302  302  302
accounts/security/app/                                    POST  302  302  302  302  302  302  302  302
accounts/security/app/qr/                                 GET   302  404  404  404  404  404  404  404
accounts/security/app/qr/                                 POST  302  405  405  405  405  405  405  405
accounts/security/app/remove/                             GET   302  404  404  404  404  404  404  404
accounts/security/app/remove/                             POST  302  404  404  404  404  404  404  404
accounts/security/passkeys/add/                           GET   302  302  302  302  302  302  302  302
accounts/security/passkeys/add/                           POST  302  302  302  302  302  302  302  302
accounts/security/passkeys/<int:pk>/rename/               GET   302  302  302  302  302  302  302  302
accounts/security/passkeys/<int:pk>/rename/               POST  302  302  302  302  302  302  302  302
accounts/security/passkeys/<int:pk>/remove/               GET   302  302  302  302  302  302  302  302
accounts/security/passkeys/<int:pk>/remove/               POST  302  302  302  302  302  302  302  302
accounts/security/codes/                                  GET   302  404  404  404  404  404  404  404
accounts/security/codes/                                  POST  302  405  405  405  405  405  405  405
accounts/security/codes/new/                              GET   302  302  302  302  302  302  302  302
accounts/security/codes/new/                              POST  302  302  302  302  302  302  302  302
accounts/security/sessions/                               GET   302  200  200  200  200  200  200  200
accounts/security/sessions/                               POST  302  405  405  405  405  405  405  405
accounts/security/sessions/others/end/                    GET   302  302  302  302  302  302  302  302
accounts/security/sessions/others/end/                    POST  302  302  302  302  302  302  302  302
accounts/security/sessions/<slug:tag>/end/                GET   302  302  302  302  302  302  302  302
accounts/security/sessions/<slug:tag>/end/                POST  302  302  302  302  302  302  302  302
accounts/password/change/                                 GET   302  200  200  200  200  200  200  200
accounts/password/change/                                 POST  302  200  200  200  200  200  200  200
accounts/password/reset/                                  GET   200  200  200  200  200  200  200  200
accounts/password/reset/                                  POST  200  200  200  200  200  200  200  200
accounts/password/reset/done/                             GET   200  200  200  200  200  200  200  200
accounts/password/reset/done/                             POST  405  405  405  405  405  405  405  405
accounts/password/reset/key/<uid>-<key>/                  GET   200  200  200  200  200  200  200  200
accounts/password/reset/key/<uid>-<key>/                  POST  200  200  200  200  200  200  200  200
accounts/password/reset/key/done/                         GET   200  200  200  200  200  200  200  200
accounts/password/reset/key/done/                         POST  405  405  405  405  405  405  405  405
accounts/enrol/<str:token>/                               GET   410  410  410  410  410  410  410  410
accounts/enrol/<str:token>/                               POST  410  410  410  410  410  410  410  410
accounts/invite/<str:token>/                              GET   410  410  410  410  410  410  410  410
accounts/invite/<str:token>/                              POST  410  410  410  410  410  410  410  410
accounts/single-sign-on/                                  GET  404  404  404  404  404  404  404  404
accounts/single-sign-on/                                  POST 405  405  405  405  405  405  405  405
accounts/single-sign-on/callback/                         GET  404  404  404  404  404  404  404  404
accounts/single-sign-on/callback/                         POST 405  405  405  405  405  405  405  405
accounts/signed-out/                                      GET  404  404  404  404  404  404  404  404
accounts/signed-out/                                      POST 405  405  405  405  405  405  405  405
accounts/single-sign-on/confirm/                          GET  302  404  404  404  404  404  404  404
accounts/single-sign-on/confirm/                          POST 302  405  405  405  405  405  405  405
accounts/single-sign-on/connect/                          GET  302  404  404  404  404  404  404  404
accounts/single-sign-on/connect/                          POST 302  404  404  404  404  404  404  404
accounts/single-sign-on/disconnect/                       GET  302  404  404  404  404  404  404  404
accounts/single-sign-on/disconnect/                       POST 302  404  404  404  404  404  404  404
accounts/waiting/                                         GET  200  200  200  200  200  200  200  200
accounts/waiting/                                         POST 405  405  405  405  405  405  405  405
accounts/sign-in/<str:token>/                             GET  410  410  410  410  410  410  410  410
accounts/sign-in/<str:token>/                             POST 410  410  410  410  410  410  410  410
logo/<slug:digest>.png                                    GET   404  404  404  404  404  404  404  404
logo/<slug:digest>.png                                    POST  405  405  405  405  405  405  405  405
branding/<slug:digest>.css                                GET   404  404  404  404  404  404  404  404
branding/<slug:digest>.css                                POST  405  405  405  405  405  405  405  405
join/                                                     GET   200  200  200  200  200  200  200  200
join/                                                     POST  422  422  422  422  422  422  422  422
join/<path:code>                                          GET   404  404  404  404  404  404  404  404
join/<path:code>                                          POST  404  404  404  404  404  404  404  404
j/                                                        GET   200  200  200  200  200  200  200  200
j/                                                        POST  422  422  422  422  422  422  422  422
j/<path:code>                                             GET   404  404  404  404  404  404  404  404
j/<path:code>                                             POST  404  404  404  404  404  404  404  404
admin/                                                    GET   302  403  403  403  403  403  200  200
admin/login/                                              GET   302  302  302  302  302  302  302  302
admin/login/                                              POST  302  302  302  302  302  302  302  302
admin/logout/                                             GET   302  403  403  403  403  403  302  302
admin/logout/                                             POST  302  403  403  403  403  403  302  302
admin/password_change/                                    GET   302  403  403  403  403  403  302  302
admin/password_change/                                    POST  302  403  403  403  403  403  302  302
admin/password_change/done/                               GET   302  403  403  403  403  403  200  200
admin/autocomplete/                                       GET   302  403  403  403  403  403  403  403
admin/jsi18n/                                             GET   302  403  403  403  403  403  200  200
admin/r/<path:content_type_id>/<path:object_id>/          GET   302  403  403  403  403  403  404  404
admin/self-check/                                         GET   302  403  403  403  403  403  200  200
admin/self-check/                                         POST  302  403  403  403  403  403  200  200
admin/forwarding/                                         GET   302  403  403  403  403  403  200  200
admin/forwarding/                                         POST  302  403  403  403  403  403  302  302
admin/<app>/                                              GET   302  403  403  403  403  403  200  200
admin/<anything>                                          GET   302  403  403  403  403  403  404  404
admin/<anything>                                          POST  302  403  403  403  403  403  404  404
admin/accounts/user/                                      GET   302  403  403  403  403  403  200  200
admin/accounts/user/                                      POST  302  403  403  403  403  403  200  200
admin/accounts/user/add/                                  GET   302  403  403  403  403  403  200  200
admin/accounts/user/add/                                  POST  302  403  403  403  403  403  200  200
admin/accounts/user/<id>/password/                        GET   302  403  403  403  403  403  200  200
admin/accounts/user/<id>/password/                        POST  302  403  403  403  403  403  200  200
admin/accounts/user/invite/                               GET   302  403  403  403  403  403  200  200
admin/accounts/user/invite/                               POST  302  403  403  403  403  403  200  200
admin/accounts/user/import/                               GET   302  403  403  403  403  403  200  200
admin/accounts/user/import/                               POST  302  403  403  403  403  403  200  200
admin/accounts/user/<id>/link/                            GET   302  403  403  403  403  403  200  200
admin/accounts/user/<id>/link/                            POST  302  403  403  403  403  403  200  200
admin/accounts/user/<id>/factors/                         GET   302  403  403  403  403  403  200  200
admin/accounts/user/<id>/factors/                         POST  302  403  403  403  403  403  200  200
admin/accounts/user/<id>/disconnect/                      GET   302  403  403  403  403  403  200  200
admin/accounts/user/<id>/disconnect/                      POST  302  403  403  403  403  403  302  302
admin/accounts/user/<id>/approve/                         GET   302  403  403  403  403  403  405  405
admin/accounts/user/<id>/approve/                         POST  302  403  403  403  403  403  302  302
admin/accounts/user/<id>/sessions/                        GET   302  403  403  403  403  403  200  200
admin/accounts/user/<id>/sessions/                        POST  302  403  403  403  403  403  302  302
admin/accounts/user/end-every-session/                    GET   302  403  403  403  403  403  302  302
admin/accounts/user/end-every-session/                    POST  302  403  403  403  403  403  302  302
admin/accounts/user/<path:object_id>/                     GET   302  403  403  403  403  403  302  302
admin/accounts/user/<path:object_id>/change/              GET   302  403  403  403  403  403  200  200
admin/accounts/user/<path:object_id>/change/              POST  302  403  403  403  403  403  200  200
admin/accounts/user/<path:object_id>/history/             GET   302  403  403  403  403  403  200  200
admin/accounts/user/<path:object_id>/delete/              GET   302  403  403  403  403  403  403  403
admin/accounts/user/<path:object_id>/delete/              POST  302  403  403  403  403  403  403  403
admin/accounts/team/                                      GET   302  403  403  403  403  403  200  200
admin/accounts/team/add/                                  GET   302  403  403  403  403  403  200  200
admin/accounts/team/add/                                  POST  302  403  403  403  403  403  200  200
admin/accounts/team/<path:object_id>/                     GET   302  403  403  403  403  403  302  302
admin/accounts/team/<path:object_id>/change/              GET   302  403  403  403  403  403  200  200
admin/accounts/team/<path:object_id>/change/              POST  302  403  403  403  403  403  200  200
admin/accounts/team/<path:object_id>/history/             GET   302  403  403  403  403  403  200  200
admin/accounts/team/<path:object_id>/delete/              GET   302  403  403  403  403  403  200  200
admin/accounts/team/<path:object_id>/delete/              POST  302  403  403  403  403  403  302  302
admin/auth/group/                                         GET   302  403  403  403  403  403  200  200
admin/auth/group/add/                                     GET   302  403  403  403  403  403  200  200
admin/auth/group/add/                                     POST  302  403  403  403  403  403  200  200
admin/auth/group/<path:object_id>/                        GET   302  403  403  403  403  403  302  302
admin/auth/group/<path:object_id>/change/                 GET   302  403  403  403  403  403  200  200
admin/auth/group/<path:object_id>/change/                 POST  302  403  403  403  403  403  200  200
admin/auth/group/<path:object_id>/history/                GET   302  403  403  403  403  403  200  200
admin/auth/group/<path:object_id>/delete/                 GET   302  403  403  403  403  403  403  403
admin/auth/group/<path:object_id>/delete/                 POST  302  403  403  403  403  403  403  403
admin/audit/event/                                        GET   302  403  403  403  403  403  200  200
admin/audit/event/add/                                    GET   302  403  403  403  403  403  403  403
admin/audit/event/add/                                    POST  302  403  403  403  403  403  403  403
admin/audit/event/<path:object_id>/                       GET   302  403  403  403  403  403  302  302
admin/audit/event/<path:object_id>/change/                GET   302  403  403  403  403  403  200  200
admin/audit/event/<path:object_id>/change/                POST  302  403  403  403  403  403  403  403
admin/audit/event/<path:object_id>/history/               GET   302  403  403  403  403  403  200  200
admin/audit/event/<path:object_id>/delete/                GET   302  403  403  403  403  403  403  403
admin/audit/event/<path:object_id>/delete/                POST  302  403  403  403  403  403  403  403
admin/invitations/policy/                                 GET   302  403  403  403  403  403  302  302
admin/invitations/policy/add/                             GET   302  403  403  403  403  403  403  403
admin/invitations/policy/add/                             POST  302  403  403  403  403  403  403  403
admin/invitations/policy/<path:object_id>/                GET   302  403  403  403  403  403  302  302
admin/invitations/policy/<path:object_id>/change/         GET   302  403  403  403  403  403  200  200
admin/invitations/policy/<path:object_id>/change/         POST  302  403  403  403  403  403  200  200
admin/invitations/policy/<path:object_id>/history/        GET   302  403  403  403  403  403  200  200
admin/invitations/policy/<path:object_id>/delete/         GET   302  403  403  403  403  403  403  403
admin/invitations/policy/<path:object_id>/delete/         POST  302  403  403  403  403  403  403  403
admin/invitations/outcome/                                GET  302  403  403  403  403  403  200  200
admin/invitations/outcome/add/                            GET  302  403  403  403  403  403  200  200
admin/invitations/outcome/add/                            POST 302  403  403  403  403  403  200  200
admin/invitations/outcome/<path:object_id>/               GET  302  403  403  403  403  403  302  302
admin/invitations/outcome/<path:object_id>/change/        GET  302  403  403  403  403  403  200  200
admin/invitations/outcome/<path:object_id>/change/        POST 302  403  403  403  403  403  200  200
admin/invitations/outcome/<path:object_id>/history/       GET  302  403  403  403  403  403  200  200
admin/invitations/outcome/<path:object_id>/delete/        GET  302  403  403  403  403  403  200  200
admin/invitations/outcome/<path:object_id>/delete/        POST 302  403  403  403  403  403  302  302
admin/invitations/messagetemplate/                         GET   302  403  403  403  403  403  200  200
admin/invitations/messagetemplate/add/                     GET   302  403  403  403  403  403  200  200
admin/invitations/messagetemplate/add/                     POST  302  403  403  403  403  403  200  200
admin/invitations/messagetemplate/<path:object_id>/        GET   302  403  403  403  403  403  302  302
admin/invitations/messagetemplate/<path:object_id>/change/ GET   302  403  403  403  403  403  200  200
admin/invitations/messagetemplate/<path:object_id>/change/ POST  302  403  403  403  403  403  200  200
admin/invitations/messagetemplate/<path:object_id>/history/ GET  302  403  403  403  403  403  200  200
admin/invitations/messagetemplate/<path:object_id>/delete/ GET   302  403  403  403  403  403  200  200
admin/invitations/messagetemplate/<path:object_id>/delete/ POST  302  403  403  403  403  403  302  302
admin/invitations/policy/test-mail/                       GET  302  403  403  403  403  403  405  405
admin/invitations/policy/test-mail/                       POST 302  403  403  403  403  403  302  302
admin/invitations/policy/test-webhooks/                   GET  302  403  403  403  403  403  405  405
admin/invitations/policy/test-webhooks/                   POST 302  403  403  403  403  403  302  302
admin/invitations/webhook/                                GET  302  403  403  403  403  403  200  200
admin/invitations/webhook/add/                            GET  302  403  403  403  403  403  200  200
admin/invitations/webhook/add/                            POST 302  403  403  403  403  403  200  200
admin/invitations/webhook/<int:pk>/test/                  GET  302  403  403  403  403  403  405  405
admin/invitations/webhook/<int:pk>/test/                  POST 302  403  403  403  403  403  302  302
admin/invitations/webhook/<path:object_id>/               GET  302  403  403  403  403  403  302  302
admin/invitations/webhook/<path:object_id>/change/        GET  302  403  403  403  403  403  200  200
admin/invitations/webhook/<path:object_id>/change/        POST 302  403  403  403  403  403  200  200
admin/invitations/webhook/<path:object_id>/history/       GET  302  403  403  403  403  403  200  200
admin/invitations/webhook/<path:object_id>/delete/        GET  302  403  403  403  403  403  200  200
admin/invitations/webhook/<path:object_id>/delete/        POST 302  403  403  403  403  403  302  302
admin/invitations/delivery/                               GET  302  403  403  403  403  403  200  200
admin/invitations/delivery/                               POST 302  403  403  403  403  403  200  200
admin/invitations/delivery/add/                           GET  302  403  403  403  403  403  403  403
admin/invitations/delivery/add/                           POST 302  403  403  403  403  403  403  403
admin/invitations/delivery/<path:object_id>/              GET  302  403  403  403  403  403  302  302
admin/invitations/delivery/<path:object_id>/change/       GET  302  403  403  403  403  403  200  200
admin/invitations/delivery/<path:object_id>/change/       POST 302  403  403  403  403  403  403  403
admin/invitations/delivery/<path:object_id>/history/      GET  302  403  403  403  403  403  200  200
admin/invitations/delivery/<path:object_id>/delete/       GET  302  403  403  403  403  403  403  403
admin/invitations/delivery/<path:object_id>/delete/       POST 302  403  403  403  403  403  403  403
admin/invitations/invitation/                             GET   302  403  403  403  403  403  200  200
admin/invitations/invitation/add/                         GET   302  403  403  403  403  403  403  403
admin/invitations/invitation/add/                         POST  302  403  403  403  403  403  403  403
admin/invitations/invitation/<path:object_id>/            GET   302  403  403  403  403  403  302  302
admin/invitations/invitation/<path:object_id>/change/     GET   302  403  403  403  403  403  200  200
admin/invitations/invitation/<path:object_id>/change/     POST  302  403  403  403  403  403  403  403
admin/invitations/invitation/<path:object_id>/history/    GET   302  403  403  403  403  403  200  200
admin/invitations/invitation/<path:object_id>/delete/     GET   302  403  403  403  403  403  403  403
admin/invitations/invitation/<path:object_id>/delete/     POST  302  403  403  403  403  403  403  403
"""
WRITTEN = {  # what the table calls addresses that the site map writes as regular expressions
    r"accounts/^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>[0-9A-Za-z-]+)/$": (
        "accounts/password/reset/key/<uid>-<key>/"
    ),
    r"admin/^(?P<app_label>accounts|auth|audit|invitations)/$": "admin/<app>/",
    "admin/(?P<url>.*)$": "admin/<anything>",
    "": "-",
}
OWNED = ("<slug:public_id>", "<int:seq>")  # invitations and events are somebody's
OTHER_METHODS = ("HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE")
# Everybody's, with or without an account; `tests/test_architecture.py` says why.
PUBLIC = {route for route, _, anon, *_ in (line.split() for line in TABLE.strip().splitlines()) if anon != "302"}
PUBLIC |= {"accounts/logout/", "accounts/login/passkey/", "accounts/login/code/"}
# For clients, whose browsers keep no cookie of ours: what these do, a link could do as well (docs/decisions/0022).
TOKENLESS = {"join/", "join/<path:code>", "j/", "j/<path:code>"}
# Effects of these at the vendor are what the POST is for.
ACTING = {
    "invitations/new/",
    *(f"invitations/<slug:public_id>/{verb}/" for verb in ("connect", "rename", "close")),
}


def addresses(patterns: list[Any], before: str = "") -> Iterator[str]:
    """Every address of the site map, as the table writes it."""
    for entry in patterns:
        route = before + str(entry.pattern)
        if isinstance(entry, URLPattern):
            yield WRITTEN.get(route, route)
        else:
            yield from addresses(entry.url_patterns, route)


HERE = "invitations/<slug:public_id>/"
# The actions of which one opens an address; what is not named here needs the board, or nothing of a role.
NEEDS = {
    "invitations/new/": {roles.CREATE},
    f"{HERE}connect/": {roles.CONNECT},
    f"{HERE}claim/": {roles.CONNECT},
    **{f"{HERE}{part}/": {roles.CONNECT, roles.MANAGE_ANY} for part in ("release", "hand-over")},
    **{f"{HERE}{part}/": {roles.MANAGE_OWN, roles.MANAGE_ANY} for part in ("rename", "close")},
    **{f"{HERE}{part}/": {roles.CONNECT, roles.MANAGE_OWN, roles.MANAGE_ANY} for part in ("note", "outcome")},
    **{f"{HERE}{part}/": {roles.MANAGE_OWN, roles.MANAGE_ANY, roles.CONNECT} for part in ("extend", "still")},
    "invitations/stale/": {roles.MANAGE_OWN, roles.MANAGE_ANY},
    **{f"{HERE}{part}/": {roles.SEE_CODES} for part in ("preview", "copied", "qr", "share", "share/mail")},
    f"{HERE}evidence/": {roles.AUDIT_ALL},
    **{f"audit/{part}/": {roles.AUDIT_ALL} for part in ("export", "verify")},
    **{f"audit/{part}": {roles.AUDIT_OWN, roles.AUDIT_TEAM, roles.AUDIT_ALL} for part in ("", "<int:seq>/")},
}
# Roles that an administrator has made. Together they have every action but to see the whole log.
TEAMS_OWN = {
    "reception": {roles.SEE, roles.CREATE, roles.MANAGE_OWN, roles.AUDIT_OWN},
    "night": {roles.SEE, roles.CONNECT, roles.MANAGE_ANY},
    "viewer": {roles.SEE, roles.SEE_CODES, roles.AUDIT_TEAM},
}
NOBODY = ("disabled", "waiting")
MORE = (*NOBODY, *(f"{name} {whose}" for name in TEAMS_OWN for whose in ("own", "other")))


def derived(route: str, who: str, row: dict[str, int]) -> int:
    """Return what one of the further columns says, from a row of the table."""
    if who in NOBODY:
        return row["anon"]
    name, whose = who.split()
    actions, needs = TEAMS_OWN[name], NEEDS.get(route, {roles.SEE})
    if route.startswith("admin/") or not actions & needs:
        return row["none"]
    sees_more = actions & needs & {roles.MANAGE_ANY, roles.AUDIT_TEAM}
    return row["lead" if sees_more else whose]


EVERY = sorted(set(addresses(get_resolver().url_patterns)))
LINES = [line.split() for line in TABLE.strip().splitlines()]
EXPECTED = {(route, method): dict(zip(WHO, map(int, cells), strict=True)) for route, method, *cells in LINES}
for (route, _), row in EXPECTED.items():
    row |= {who: derived(route, who, row) for who in MORE}


class Cast:
    """One person of each column, a browser for each, and an invitation of each ownership."""

    def __init__(self, make_person: Any, vendor: Any, look: Any) -> None:
        agent = make_person("anna", roles.AGENT)
        self.people: dict[str, User | None] = {
            "anon": None,
            "none": make_person("nils", is_staff=True),
            "own": agent,
            "other": agent,
            "lead": make_person("lena", roles.TEAM_LEAD),
            "auditor": make_person("aino", roles.AUDITOR),
            "admin": make_person("adam", roles.ADMINISTRATOR),
            "root": make_person("rut", is_superuser=True),
        }
        for who in NOBODY:
            self.people[who] = make_person(who, roles.AGENT)
        for name, actions in TEAMS_OWN.items():
            role = Group.objects.create(name=name)
            role.permissions.set(permissions_for(list(actions)))
            self.people[f"{name} own"] = self.people[f"{name} other"] = make_person(name, name)
        self.somebody = make_person("tom", roles.AGENT)
        self.vendor, self.look = vendor, look
        Policy.load()

    def invite(self) -> None:
        """Have an invitation of everybody's, and one made outside the portal."""
        owners = {self.somebody, *self.people.values()}
        numbers = {owner: self.vendor.add("Tilda", status=1, client_os="win") for owner in owners}
        self.look()
        for owner, number in numbers.items():
            Invitation.objects.filter(vendor_id=number).update(created_by=owner, is_external=owner is None)
        self.vendor.ledger = Ledger()

    def browser(self, who: str) -> Browser:
        browser = Browser()
        if person := self.people[who]:
            browser.force_login(person)
        if who in NOBODY:  # while they are signed in
            User.objects.filter(username=who).update(is_active=who == "waiting", awaits_approval=who == "waiting")
        return browser

    def owners(self, who: str) -> list[User | None]:
        """Whose invitations get the answer of this column."""
        if who.endswith("own"):
            return [self.people[who]]
        others = [self.somebody, None]
        return others if who.endswith("other") else [*others, self.people[who]]

    def paths(self, route: str, who: str) -> list[str]:
        """The address filled in with things that exist, for each ownership."""
        if "invitation" in route and not Invitation.objects.exists():
            self.invite()
        Invitation.objects.update(taken_by=None, taken_by_name="", taken_at=None)  # whoever was here before
        if "<int:seq>" in route:
            events = [audit.record("signout", actor=owner) for owner in self.owners(who)]
            return [f"/{route}".replace("<int:seq>", str(event.seq)) for event in events]
        if "<slug:public_id>" not in route:
            return [self.path(route)]
        found = [Invitation.objects.get(created_by=owner).public_id for owner in self.owners(who)]
        return [f"/{route}".replace("<slug:public_id>", public_id) for public_id in found]

    def path(self, route: str) -> str:
        rows = {
            "group": Group,
            "event": Event,
            "policy": Policy,
            "invitation": Invitation,
            "outcome": Outcome,
            "team": Team,
            "messagetemplate": MessageTemplate,
            "webhook": Webhook,
            "delivery": Delivery,
        }
        model = rows.get(route.split("/")[2]) if route.count("/") > 2 else None
        if model is Event:
            audit.record("signout")
        if model is MessageTemplate:
            MessageTemplate.objects.get_or_create(language="es", defaults={"subject": "Hola", "body": "{link}"})
        if model is Delivery and not Delivery.objects.exists():
            Delivery.objects.create(kind="mail", to="tilda@example.org", subject="Hello", body="Hello")
        if model is Webhook and not Webhook.objects.exists():
            webhook = Webhook(name="Chat")
            keep(webhook, Target("https://127.0.0.1:1/", "no key at all"))  # refused before anything is sent
            webhook.save()
        if model is Team:
            Team.objects.get_or_create(name="Second line")
        key = model.objects.values_list("pk", flat=True).first() if model else self.somebody.pk
        path = "/" if route == "-" else f"/{route}"
        for pattern, value in {
            "<uid>-<key>": "1-set-password",
            "<slug:digest>": "0" * 64,
            "<slug:tag>": "0" * 16,
            "<str:token>": "no-such-token",
            "<path:code>": "000000000",
            "<int:pk>": str(key) if model is Webhook else "1",
            "<path:content_type_id>": "1",
            "<path:object_id>": str(key),
            "<id>": str(self.somebody.pk),
            "<app>": "accounts",
            "<anything>": "no/such/page/",
        }.items():
            path = path.replace(pattern, value)
        return path


@pytest.fixture
def cast(make_person, vendor, look) -> Cast:
    return Cast(make_person, vendor, look)


def send(browser: Browser, method: str, path: str) -> Any:
    body = "client_name=Tilda" if method in ("POST", "PUT", "PATCH") else ""
    return browser.generic(method, path, body, "application/x-www-form-urlencoded")


def test_every_address_stands_in_the_table():
    assert sorted({route for route, _ in EXPECTED}) == EVERY
    assert len(EXPECTED) == len(LINES)


@pytest.mark.parametrize(("route", "method"), EXPECTED, ids=lambda value: value)
def test_everybody_gets_the_answer_of_the_table(cast, route, method):
    # The same person, unless the address is something of somebody's.
    found = {who: EXPECTED[route, method][who] for who in (*WHO, *MORE) if who.endswith("other")}
    for who in (*WHO, *MORE) if any(owned in route for owned in OWNED) else {*WHO, *MORE} - found.keys():
        browser = cast.browser(who)
        statuses = {send(browser, method, path).status_code for path in cast.paths(route, who)}
        found[who] = statuses.pop() if len(statuses) == 1 else statuses
    assert found == EXPECTED[route, method]
    if method == "GET" or route not in ACTING:
        assert not cast.vendor.ledger.effects


@pytest.mark.parametrize("route", EVERY)
def test_other_methods_break_nothing_and_change_nothing(cast, route):
    cast.paths(route, "root")
    before = list(Invitation.objects.order_by("pk").values())
    read = EXPECTED.get((route, "GET"), {})
    for who in ("anon", "own", "reception other", "waiting", "root"):
        browser = cast.browser(who)
        path = cast.paths(route, who)[0]
        refused = {302} if route not in PUBLIC and who in ("anon", "waiting") else {405}
        for method in OTHER_METHODS:
            status = send(browser, method, path).status_code
            assert status in (refused | {read.get(who)} if method == "HEAD" else refused), (who, method, status)
    assert not cast.vendor.ledger.effects
    assert not cast.vendor.ledger.links
    assert list(Invitation.objects.order_by("pk").values()) == before


@pytest.mark.parametrize("route", [route for route in EVERY if "<slug:public_id>" in route])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_without_a_role_one_cannot_learn_which_invitations_exist(cast, route, method):
    for who in ("anon", "none"):
        browser = cast.browser(who)
        there = send(browser, method, cast.paths(route, who)[0])
        nowhere = send(browser, method, f"/{route}".replace("<slug:public_id>", "nothing-there"))
        assert there.status_code == nowhere.status_code


@pytest.mark.parametrize("route", [route for route in EVERY if "<slug:public_id>" in route])
def test_an_invitation_that_does_not_exist_is_404(cast, route):
    posted = ("connect/", "release/", "copied/", "evidence/", "extend/", "still/")
    method = "POST" if route.endswith(posted) else "GET"
    answer = send(cast.browser("root"), method, f"/{route}".replace("<slug:public_id>", "nothing-there"))
    assert answer.status_code == 404


def test_several_roles_add_up(make_person, browser_of, vendor, look):
    both = make_person("both", roles.AGENT, roles.AUDITOR)
    vendor.add("Tilda", status=1)
    look()
    invitation = Invitation.objects.get()
    browser = browser_of(both)
    assert invitation.code_grouped in browser.get(f"/invitations/{invitation.public_id}/").content.decode()
    assert browser.post(f"/invitations/{invitation.public_id}/connect/").status_code == 303
    assert browser.post(f"/invitations/{invitation.public_id}/close/").status_code == 403
    assert "Everybody’s actions" in browser.get("/audit/").content.decode()
    assert both.role_names == [roles.AGENT, roles.AUDITOR]


def test_a_role_taken_away_is_gone_with_the_next_request(agent, browser_of, vendor, look):
    browser = browser_of(agent)
    assert browser.get("/").status_code == 200
    agent.groups.clear()
    assert browser.get("/").status_code == 403
    User.objects.filter(pk=agent.pk).update(is_active=False)
    assert browser.get("/").headers["Location"] == "/accounts/login/?next=%2F"


def test_a_disabled_superuser_is_nobody(make_person, browser_of, vendor):
    browser = browser_of(make_person("rut", is_superuser=True))
    User.objects.update(is_active=False)
    assert browser.get("/admin/").status_code == 302


def test_a_refused_action_leaves_nothing_at_the_vendor(cast):
    for who in ("none", "other", "auditor"):
        browser = cast.browser(who)
        for verb in ("close", "rename"):
            for path in cast.paths(f"invitations/<slug:public_id>/{verb}/", who):
                assert send(browser, "POST", path).status_code == 403
    assert not cast.vendor.ledger.requests
    assert not Event.objects.filter(kind__startswith="invitation.").exists()
    assert not Invitation.objects.filter(status=Status.CLOSED).exists()
