"""Whether a team's colour can be read: WCAG 2 contrast, and the nearest shade that can."""

from __future__ import annotations

import re

ENOUGH = 4.5  # to one, for text (WCAG 2.2, 1.4.3)
WHITE, DARK_GROUND, DARK_TEXT = "#ffffff", "#151a21", "#0b0e13"
HEX = re.compile(r"#[0-9a-f]{6}")


def luminance(colour: str) -> float:
    """Return the relative luminance of `#rrggbb`, from 0 for black to 1 for white."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def mixed(colour: str, other: str, percent: int) -> str:
    pairs = [(int(colour[at : at + 2], 16), int(other[at : at + 2], 16)) for at in (1, 3, 5)]
    return "#" + "".join(f"{round((a * (100 - percent) + b * percent) / 100):02x}" for a, b in pairs)


def nearest(colour: str, *, towards: str, against: str) -> str:
    """Return the shade with the least of `towards` in it that has enough contrast against `against`."""
    shades = (mixed(colour, towards, percent) for percent in range(101))
    return next(shade for shade in shades if contrast(shade, against) >= ENOUGH)


def for_light(colour: str) -> str:
    """Return the shade that carries white text and can be read on white."""
    return nearest(colour, towards="#000000", against=WHITE)


def for_dark(colour: str) -> str:
    """Return the shade for the dark theme, where dark text stands on it and it stands on a dark ground."""
    return nearest(colour, towards=WHITE, against=DARK_GROUND)
