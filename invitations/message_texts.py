"""What clients are sent and shown where no administrator has written a text, and the languages there can be."""

from __future__ import annotations

from typing import NamedTuple

DEFAULT = "en"


class Language(NamedTuple):
    """A language's own name, and what `{expires}` says in it of an invitation that never expires."""

    name: str
    further_notice: str  # after "until"


LANGUAGES = {
    "en": Language("English", "further notice"),
    "de": Language("Deutsch", "auf Weiteres"),
    "es": Language("Español", "nuevo aviso"),
    "fr": Language("Français", "nouvel ordre"),
    "pt": Language("Português", "novo aviso"),
    "uk": Language("Українська", "подальшого повідомлення"),
    "ru": Language("Русский", "дальнейшего уведомления"),
}


class Text(NamedTuple):
    """Subject and body with placeholders: `invitations.messages`."""

    subject: str
    body: str


BUILT_IN = {
    "en": Text(
        "{helpdesk}: your link for remote help",
        "Hello,\n\nto let {helpdesk} help you on your computer, open this link and follow the steps:\n\n"
        "{link}\n\nIf you are asked for a code, type {code}.\n\n{line}\n\n"
        "Only continue if you are talking to {helpdesk} right now. "
        "We never ask for your password or bank details.\n\n{supporter}",
    ),
    "de": Text(
        "{helpdesk}: Ihr Link für die Fernhilfe",
        "Guten Tag,\n\ndamit {helpdesk} Ihnen an Ihrem Computer helfen kann, öffnen Sie diesen Link und folgen Sie "
        "den Schritten:\n\n{link}\n\nFalls nach einem Code gefragt wird, tippen Sie {code}.\n\n{line}\n\n"
        "Machen Sie nur weiter, wenn Sie gerade mit {helpdesk} sprechen. "
        "Wir fragen nie nach Ihrem Passwort oder Ihren Bankdaten.\n\n{supporter}",
    ),
}


class Sheet(NamedTuple):
    """The sheet on paper, around link, code and QR code."""

    title: str  # after the helpdesk's name
    before_link: str
    after_link: str  # before the code
    camera: str
    steps: tuple[str, str, str]
    safety: str
    never: str


SHEETS = {
    "en": Sheet(
        title="your code",
        before_link="Open",
        after_link="If you are asked for a code, type",
        camera="Or point a phone’s camera here",
        steps=(
            "Open the link, and start the small program that it offers.",
            "Stay on the phone with us, and allow us to see your screen.",
            "Watch what we do. You can end it at any time.",
        ),
        safety="Only continue if you are talking to our helpdesk right now.",
        never="We never ask for your password or bank details.",
    ),
    "de": Sheet(
        title="Ihr Code",
        before_link="Öffnen Sie",
        after_link="Falls nach einem Code gefragt wird, tippen Sie",
        camera="Oder halten Sie die Kamera eines Telefons hierauf",
        steps=(
            "Öffnen Sie den Link und starten Sie das kleine Programm, das er anbietet.",
            "Bleiben Sie mit uns am Telefon und erlauben Sie uns, Ihren Bildschirm zu sehen.",
            "Sehen Sie zu, was wir tun. Sie können es jederzeit beenden.",
        ),
        safety="Machen Sie nur weiter, wenn Sie gerade mit unserem Helpdesk sprechen.",
        never="Wir fragen nie nach Ihrem Passwort oder Ihren Bankdaten.",
    ),
}
