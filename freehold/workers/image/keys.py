"""Keys to the bytes door: who shows one may carry one image's bytes in one direction, for a short time.

A key is ``expiry.signature``: unix seconds, and the keyed BLAKE2b over verb, image and expiry. Nothing is kept of keys
given out; a new secret makes all of them void.
"""

import hmac
from enum import StrEnum
from hashlib import blake2b
from typing import Final

from freehold.vocabulary.errors import Unauthorized
from freehold.vocabulary.secret import Secret

KEY_S: Final = 600
"""How long a key opens the door. What has begun by then may end."""

SECRET_BYTES: Final = 32


class Verb(StrEnum):
    """What a key is for; the HTTP method it goes with."""

    READ = "GET"
    WRITE = "PUT"


class DoorKeys:
    """Gives out keys and checks them."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def give(self, image: str, verb: Verb, now_s: int) -> Secret:
        """A key for `image` and `verb`, from `now_s` (unix seconds) on."""
        expires = now_s + KEY_S
        return Secret(f"{expires}.{self._signature(image, verb, expires)}")

    def check(self, shown: str, image: str, verb: Verb, now_s: int) -> None:
        """Raises Unauthorized for a key that isn't ours, is for something else, or has expired."""
        expiry, _, signature = shown.partition(".")
        expires = int(expiry) if expiry.isascii() and expiry.isdigit() and len(expiry) < 16 else 0
        wanted = self._signature(image, verb, expires)
        if not hmac.compare_digest(wanted.encode(), signature.encode(errors="replace")):
            raise Unauthorized("the key is not one for these bytes. Ask for a new one.")
        if now_s >= expires:
            raise Unauthorized("the key has expired. Ask for a new one.")

    def _signature(self, image: str, verb: Verb, expires: int) -> str:
        claim = f"{verb}\n{image}\n{expires}".encode()
        return blake2b(claim, key=self._secret, digest_size=32, person=b"freehold.image").hexdigest()
