from django.apps import AppConfig


class InvitationsConfig(AppConfig):
    name = "invitations"
    verbose_name = "Invitations"

    def ready(self) -> None:
        from invitations import unseen
        from invitations.models import Policy, Snapshot
        from portal.accounts import memberships, passwords
        from portal.audit.models import hide

        passwords.add_words(lambda: [Policy.load().helpdesk_name])
        memberships.tell(Snapshot.bump)
        hide(unseen.events_about)
