from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AuditConfig(AppConfig):
    name = "portal.audit"
    label = "audit"
    verbose_name = "Audit log"

    def ready(self) -> None:
        from portal.audit import grants, triggers

        # Django rebuilds SQLite tables in some migrations and drops their triggers with them.
        post_migrate.connect(triggers.reinstall, sender=self, dispatch_uid="audit-triggers")
        post_migrate.connect(grants.give, sender=self, dispatch_uid="audit-grants")
