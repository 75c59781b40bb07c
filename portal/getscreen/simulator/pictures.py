"""A small real PNG of a desktop, one per operating system, so that previews have something to show.

Responsible for a simple drawing of rectangles and for the bytes of the PNG format. Refuses to know whose
desktop it is.
"""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache

type Colour = tuple[int, int, int]
type Rectangle = tuple[int, int, int, int, Colour]  # left, top, width, height in pixels

WHITE, GREY, DARK = (255, 255, 255), (206, 212, 220), (38, 43, 51)
BLUE, TEAL, VIOLET, GREEN, ORANGE = (
    (31, 98, 168),
    (0, 128, 122),
    (108, 84, 160),
    (46, 139, 87),
    (222, 120, 40),
)
LANDSCAPE, PORTRAIT = (320, 200), (120, 200)

# Each starts with the wallpaper, which fills the picture.
WINDOW: list[Rectangle] = [
    (70, 40, 180, 110, WHITE),
    (70, 40, 180, 14, GREY),
    (82, 66, 90, 8, GREY),
    (82, 82, 150, 5, GREY),
    (82, 93, 140, 5, GREY),
    (82, 104, 120, 5, GREY),
    (82, 124, 46, 14, BLUE),
]
DRAWINGS: dict[str, tuple[tuple[int, int], Colour, list[Rectangle]]] = {
    "win": (
        LANDSCAPE,
        BLUE,
        [
            *WINDOW,
            (0, 184, 320, 16, DARK),
            (132, 187, 10, 10, WHITE),
            (148, 187, 10, 10, TEAL),
            (164, 187, 10, 10, ORANGE),
            (12, 12, 14, 14, ORANGE),
            (12, 36, 14, 14, GREY),
        ],
    ),
    "mac": (
        LANDSCAPE,
        VIOLET,
        [
            *WINDOW,
            (0, 0, 320, 10, GREY),
            (74, 44, 6, 6, ORANGE),
            (84, 44, 6, 6, GREEN),
            (100, 178, 120, 18, GREY),
            (106, 181, 12, 12, BLUE),
            (124, 181, 12, 12, GREEN),
            (142, 181, 12, 12, ORANGE),
        ],
    ),
    "linux": (
        LANDSCAPE,
        TEAL,
        [
            *WINDOW,
            (0, 0, 320, 12, DARK),
            (0, 12, 20, 188, DARK),
            (4, 20, 12, 12, ORANGE),
            (4, 40, 12, 12, GREEN),
            (4, 60, 12, 12, GREY),
        ],
    ),
    "android": (
        PORTRAIT,
        GREEN,
        [
            (0, 0, 120, 8, DARK),
            (12, 24, 96, 22, WHITE),
            *[
                (14 + 34 * column, 70 + 34 * row, 24, 24, colour)
                for row, colours in enumerate([(BLUE, ORANGE, TEAL), (VIOLET, WHITE, GREY)])
                for column, colour in enumerate(colours)
            ],
            (48, 188, 24, 4, WHITE),
        ],
    ),
}


@lru_cache
def desktop(system: str) -> bytes:
    """The PNG of a desktop with this system; Windows for one that is unknown."""
    (width, height), wallpaper, rectangles = DRAWINGS.get(system, DRAWINGS["win"])
    lines = [bytearray(bytes(wallpaper) * width) for _ in range(height)]
    for left, top, across, down, colour in rectangles:
        for line in lines[top : top + down]:
            line[3 * left : 3 * (left + across)] = bytes(colour) * across
    return _png(width, height, b"".join(b"\0" + line for line in lines))


def _png(width: int, height: int, scanlines: bytes) -> bytes:
    """Eight bits each of red, green and blue. Each scanline starts with its filter type."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(scanlines, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
