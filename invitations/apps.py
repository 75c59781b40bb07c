from django.apps import AppConfig


class InvitationsConfig(AppConfig):
    name = "invitations"
    verbose_name = "Invitations"

    def ready(self) -> None:
        from invitations.models import Policy
        from portal.accounts import passwords

        passwords.add_words(lambda: [Policy.load().helpdesk_name])
