"""The administration's page about what leaves the portal: syslog, and checkpoints in a second place."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from portal.audit import forwarding
from portal.audit.models import Checkpoint, Standing


def page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Show where the log stands outside; POST sends a test message and says how that went."""
    if request.method == "POST":
        return send_test(request)
    standing = Standing.load()
    context |= {
        "title": _("Forwarding"),
        "target": settings.SYSLOG_URL,
        "place": settings.AUDIT_CHECKPOINT_DIR,
        "standing": standing,
        "lag": forwarding.lag(),
        "unanchored": Checkpoint.objects.filter(size__gt=standing.anchored_size).count(),
    }
    return TemplateResponse(request, "admin/forwarding.html", context)


def send_test(request: HttpRequest) -> HttpResponse:
    if not settings.SYSLOG_URL:
        messages.error(request, _("There is no syslog server to send to."))
    elif reason := forwarding.send_test(request.user):  # type: ignore[arg-type]  # administrators only
        messages.error(request, _("The test message was not sent. %(reason)s") % {"reason": reason})
    else:
        messages.success(request, _("The test message was sent. Look for it at the syslog server."))
    return redirect("admin:forwarding")
