from django.apps import AppConfig, apps
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "portal.accounts"
    label = "accounts"
    verbose_name = _("People and roles")

    def ready(self) -> None:
        """Say people and roles where Django says users and groups. In its models' options that would be a migration."""
        names = {"accounts.User": (_("person"), _("people")), "auth.Group": (_("role"), _("roles"))}
        for model, (one, many) in names.items():
            options = apps.get_model(model)._meta
            options.verbose_name, options.verbose_name_plural = one, many
        apps.get_app_config("auth").verbose_name = self.verbose_name
