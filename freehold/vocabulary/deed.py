"""Who may run a guest."""

from freehold.vocabulary.word import Word


class Deed(Word, frozen=True, kw_only=True):
    """Only the host in the highest deed of a guest may run it.

    The registrar records deeds first-wins under (guest, number); each attempt to place and each move is a higher
    number. A deed without a host (`host` empty) ends the guest: it was deleted before any host took it.
    """

    guest: str
    project: str
    number: int
    host: str
    cluster: str
    urn: str
