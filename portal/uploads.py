"""How much may be uploaded: one small file, in memory. Nothing of it reaches a disk."""

from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import MemoryFileUploadHandler


class SmallFiles(MemoryFileUploadHandler):
    """Django's, without the one that would write larger files to a folder."""

    def handle_raw_input(
        self, input_data: Any, META: Any, content_length: int, boundary: Any, encoding: Any = None
    ) -> None:
        """Raise RequestDataTooBig before anything is read of a form that is too large."""
        if content_length > settings.FILE_UPLOAD_MAX_MEMORY_SIZE:
            raise RequestDataTooBig("The form with its file is too large.")
        super().handle_raw_input(input_data, META, content_length, boundary, encoding)
