"""A text that can be handed on but not shown."""

from typing import NoReturn, SupportsIndex


class Secret:
    """Holds a password, key or user data. `repr`, `str`, logs and JSON show only that there is one.

    It can't be pickled or copied: a dump of what holds it would be a way out. TypeError says so.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself. Call it where the text is used, never where it might be shown."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a secret can't be pickled or copied; hand on the one there is")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __bool__(self) -> bool:
        return bool(self._text)
