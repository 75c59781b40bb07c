"""The portal's hasher, with one byte in the file HASH_LOG for each hash; and settings that use it."""

import os

from portal.accounts import hashing
from tests.benchmarks.settings import *  # noqa: F403


class Hasher(hashing.Hasher):
    def encode(self, password: str, salt: str) -> str:
        encoded = super().encode(password, salt)
        note()  # not before: where too many wait, none is made
        return encoded

    def verify(self, password: str, encoded: str) -> bool:
        is_right = super().verify(password, encoded)
        note()
        return is_right


def note() -> None:
    file = os.open(os.environ["HASH_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, b".")
    os.close(file)


PASSWORD_HASHERS = ["tests.benchmarks.counting.Hasher"]
