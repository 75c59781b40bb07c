"""The second wall behind "no secret is ever logged": whatever looks like one is masked on its way out."""

import logging
import re

SECRETS = re.compile(
    r"""(?ix)
    (?P<before> x-api-key["']?\s*[:=]\s*["']? | apikey= | /turbo/ | [?&](?:amp;)?(?:llt|s|connect)=
        | /enrol/ | /reset/key/ )
    [^\s"'&<>]+
    """
)
# Would begin a line of its own, or speak to the terminal that shows it.
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Redact(logging.Filter):
    """Mask keys, one-time links and tokens in a record's text and traceback; nothing in it begins a new line."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = on_one_line(masked(record.getMessage()))
        reference = getattr(getattr(record, "request", None), "reference", "")
        record.msg = f"{text} [{reference}]" if reference else text  # the one that the error page shows
        record.args = None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            lines = masked(record.exc_text).splitlines()
            record.exc_text = "\n".join(f"  {on_one_line(line)}" for line in lines)
        return True


def masked(text: str) -> str:
    return SECRETS.sub(lambda match: f"{match['before']}********", text)


def on_one_line(text: str) -> str:
    return CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)
