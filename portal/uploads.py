"""How much may be uploaded: small forms, in memory. Nothing of them reaches a disk."""

from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import MemoryFileUploadHandler


class SmallFiles(MemoryFileUploadHandler):
    """Django's, without the one that would write larger files to a folder."""

    def handle_raw_input(
        self, input_data: Any, META: Any, content_length: int, boundary: Any, encoding: Any = None
    ) -> None:
        """Raise RequestDataTooBig before anything is read of a form that is too large for its address."""
        if content_length > self.most_bytes():
            raise RequestDataTooBig("The form with its file is too large.")
        super().handle_raw_input(input_data, META, content_length, boundary, encoding)

    def most_bytes(self) -> int:
        """Return what this address takes: what every form may have, or more for somebody signed in."""
        match = getattr(self.request, "resolver_match", None)
        most: int = settings.LARGER_FORMS.get(match.view_name if match else "", settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        if most > settings.DATA_UPLOAD_MAX_MEMORY_SIZE and not self.request.user.is_authenticated:  # type: ignore[union-attr]
            return settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        return most
