"""The README inside an export: what the files are and how somebody without the portal checks them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

if TYPE_CHECKING:
    from portal.audit.export import Export


def manual(export: Export, *, is_whole: bool) -> str:
    """Return the text of README.txt."""
    paragraphs = [
        _("Events of the audit log, exported from the portal."),
        whole(export) if is_whole else chosen(export),
        _("To check it on any computer with Python 3.8 or newer:"),
        "    python3 verify_export.py export.zip --key KEY --anchors FILE",
        _(
            "Best take verify_export.py from somewhere else than this ZIP: from the portal's source code. KEY is the "
            "portal's public key as you got it from its operators, not from this ZIP. FILE holds checkpoints that were "
            "kept outside of the portal (AUDIT_CHECKPOINT_DIR), or the lines of its output that a log host has kept."
        ),
        _(
            "The answer is INTACT, TAMPERED WITH and where, or INCOMPLETE and of what. Exit code: 0, 1, 2; "
            "3 if it could not run. Without KEY and FILE it is incomplete: whoever owns the portal's machine could "
            "have written the log anew and signed it with a new key."
        ),
        files(is_whole=is_whole),
    ]
    if not export.with_details:
        paragraphs.append(
            _("Personal details were left out. The events still commit to them: they cannot be guessed or exchanged.")
        )
    return "\n\n".join(paragraphs) + "\n"


def whole(export: Export) -> str:
    size = {"first": export.first, "last": export.last}
    text = _("This is the whole log, events %(first)s to %(last)s. It proves that no event was changed or left out.")
    return text % size


def chosen(export: Export) -> str:
    text = _(
        "These are chosen events of a log of %(last)s. Each has a proof that it is in the log, unchanged and at its "
        "place. That no other event would have belonged to the choice, only the whole log can show."
    )
    return text % {"last": export.last}


def files(*, is_whole: bool) -> str:
    """Return what is what, a line for each file."""
    lines = [
        ("events.jsonl", _("every event as it is stored: record, hash, personal details with their salt")),
        ("events.csv", _("the same for spreadsheets; an apostrophe before =, +, - and @ keeps them from calculating")),
        ("checkpoint.txt", _("the signed statement of what the log adds up to")),
        ("keys.json", _("the public keys that the log names")),
        ("verify_export.py", _("the program that checks all this; it needs no other and no network")),
    ]
    if is_whole:
        lines.append(("checkpoints.txt", _("all checkpoints so far")))
    return "\n".join(f"{name:<18}{text}" for name, text in lines)
