"""The base of every record and message.

Words travel as MessagePack maps with defaults left out: fields may be added anywhere and readers of another version
skip what they don't know. Views keep the owner's bytes as they came, and who rewrites a record or passes a build on
keeps what it doesn't know (`unknown`).
"""

import msgspec


class Word(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Frozen, keyword-only data. Change one with `msgspec.structs.replace`."""


class Message(Word, frozen=True, kw_only=True, tag=True):
    """A word that carries its own name, so that a receiver can tell which of several it was given."""
