"""Django's command, with the event that it happened, and with no way around the rules for passwords."""

from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.contrib.auth.models import UserManager
from django.contrib.auth.password_validation import validate_password

from portal import audit
from portal.accounts.management.recording import saving_with
from portal.accounts.models import User
from portal.audit.kinds import Result


class CheckingManager(UserManager):  # type: ignore[type-arg]
    """Django's command offers to do with a bad password, and asks nothing where it is in the environment."""

    def create_superuser(
        self, username: str, email: str | None = None, password: str | None = None, **more: Any
    ) -> User:
        """Raise ValidationError, which the command prints, for a password that no page would take."""
        email = (email or "").lower()  # as on every page: the reset looks for it so
        if password is not None:
            validate_password(password, User(username=username, email=email))
        user: User = super().create_superuser(username, email, password, **more)
        return user


class People:
    """Stands in for the model: the same, with another manager."""

    def __init__(self) -> None:
        self._default_manager = CheckingManager()
        self._default_manager.model = User

    def __getattr__(self, name: str) -> Any:
        return getattr(User, name)

    def __call__(self, **fields: Any) -> User:
        return User(**fields)


class Command(createsuperuser.Command):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.UserModel = People()  # type: ignore[assignment]  # as far as the command uses it

    def handle(self, *args: Any, **options: Any) -> Any:
        with saving_with(record_created):
            return super().handle(*args, **options)


def record_created(user: User) -> None:
    audit.record(
        "user.created",
        result=Result.OK,
        target_type="user",
        target_id=str(user.pk),
        target_label=user.username,
        facts={"superuser": user.is_superuser},
    )
