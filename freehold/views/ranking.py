"""Which of the records that several owners have under one key is shown, whatever order they were heard in. Pure."""

from collections.abc import Callable

from freehold.vocabulary.codec import UNDER_DEED, decode_kind
from freehold.vocabulary.deed import Deed

Rank = Callable[[bytes, str], tuple[int, int, str]]
"""Of a record's bytes, and the store that has it. The highest is shown."""


def ranking(kind: str, deed: Deed | None) -> Rank:
    """How records of `kind` are ranked under a guest's highest deed, as the ledger has told: the host that it names
    comes first, then the highest deed of those the ledger has given, then mere claims.
    """

    def rank(value: bytes, store: str) -> tuple[int, int, str]:
        claimed = int(getattr(decode_kind(kind, value), "deed", 0)) if kind in UNDER_DEED else 0
        if deed is None:
            return 1, claimed, store
        if store == deed.host and (claimed == deed.number or (kind != "guest" and claimed < deed.number)):
            return 2, claimed, store
        return int(claimed < deed.number), claimed, store

    return rank
