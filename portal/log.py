"""The second wall behind "no secret is ever logged": whatever looks like one is masked on its way out."""

import logging
import re

SECRETS = re.compile(
    r"""(?ix)
    (?P<before> x-api-key["']?\s*[:=]\s*["']? | apikey= | /turbo/ | [?&](?:amp;)?(?:llt|s|connect)= )
    [^\s"'&<>]+
    """
)


class Redact(logging.Filter):
    """Mask keys and one-time links in the text of a record, and keep it on one line."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = SECRETS.sub(lambda match: f"{match['before']}********", record.getMessage())
        record.msg = message.replace("\r", "\\r").replace("\n", "\\n")
        record.args = None
        return True
