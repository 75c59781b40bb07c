"""Probes for orchestrators: is the process alive, and can it do its work.

They answer under any host name and without the redirect to https, and they say little. A vendor
outage never makes the portal unready: it still shows what it knows.
"""

from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import Error as AnyDatabaseError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.utils import timezone

from portal import audit
from portal.audit import forwarding, triggers
from portal.audit.models import Standing
from portal.backups import schedule, schema
from portal.stopping import stage

STOPPING = "stopping"  # so that a proxy sends nobody here any more; who comes is answered


class HealthProbes:
    """Answer /healthz and /readyz before anything looks at the host name or the session."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.probes = {"/healthz": healthz, "/readyz": readyz}

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        probe = self.probes.get(request.path)
        if probe is None:
            return self.get_response(request)
        if request.method not in ("GET", "HEAD"):
            return HttpResponse(status=HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "GET, HEAD"})
        return probe(request)


def healthz(request: HttpRequest) -> HttpResponse:
    """Say that the process answers."""
    return HttpResponse("ok\n", content_type="text/plain; charset=utf-8")


def readyz(request: HttpRequest) -> JsonResponse:
    """Say whether the database, its migrations and the audit log are in order, and what lags behind."""
    ages: dict[str, int | None] = dict.fromkeys(AGES)
    try:
        problem = STOPPING if stage.is_leaving else database_problem()
        if not problem:
            ages = {name: age() for name, age in AGES.items()}
    except (AnyDatabaseError, ImproperlyConfigured):
        problem = "database"
    body = {"ready": not problem, "problem": problem, **ages}
    return JsonResponse(body, status=HTTPStatus.SERVICE_UNAVAILABLE if problem else HTTPStatus.OK)


def database_problem() -> str:
    if has_pending_migrations():
        return "migrations"
    if not triggers.are_installed(connection):
        return "audit"
    try:
        audit.ensure_writable()
    except audit.Unavailable:
        return "audit"
    return ""


_migrated = False


def has_pending_migrations() -> bool:
    """Look once per process until it is migrated: a migrated database stays so while we run.

    What a newer release has applied beside it is no trouble. A restore that is under way is: it may be emptied again.
    """
    global _migrated
    if not _migrated:
        executor = MigrationExecutor(connection)
        _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes()) and not schema.is_unfinished()
    return not _migrated


def seconds_since_sync() -> int | None:
    from django.apps import apps

    snapshot = apps.get_model("invitations", "Snapshot").objects.first()
    if snapshot is None or snapshot.good_at is None:
        return None
    return max(0, int((timezone.now() - snapshot.good_at).total_seconds()))


def minutes_since_anchor() -> int | None:
    """Return how old the last outside copy of a checkpoint is. None without a place for them, or without one yet."""
    anchored_at = Standing.objects.values_list("anchored_at", flat=True).first()
    if settings.AUDIT_CHECKPOINT_DIR is None or anchored_at is None:
        return None
    return max(0, int((timezone.now() - anchored_at).total_seconds() // 60))


def forward_lag() -> int | None:
    """Return how many events the syslog server does not have yet. None without one."""
    lag = forwarding.lag()
    return None if lag is None else lag.events


# Told, and never a reason not to be ready.
AGES = {
    "seconds_since_sync": seconds_since_sync,
    "minutes_since_anchor": minutes_since_anchor,
    "forward_lag": forward_lag,
    "hours_since_backup": schedule.hours_since_backup,
}
