"""Requests that were refused, by their URN: one that comes again, late or doubled, is refused again, whatever has
changed since. Who asked has been told so.
"""

from typing import Final

from freehold.store.database import Store, keep_private
from freehold.store.writing import Change
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.errors import Fault, FreeholdError, raised_from
from freehold.vocabulary.units import clock_time, unix_ms
from freehold.vocabulary.word import Word

KEPT_MS: Final = 24 * 3600 * 1000
_KIND: Final = "refused_request"


class RefusedRequest(Word, frozen=True, kw_only=True):
    """That it was, and why."""

    fault: Fault
    time: int


class RefusedRequests:
    """Those of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def check(self, urn: str) -> None:
        """Raises what a request was refused for, if it was."""
        value = self._store.read_private(_KIND, urn) if urn else None
        if value is not None:
            raise raised_from(decode(value, RefusedRequest).fault)

    def keep(self, urn: str, error: FreeholdError, now: int) -> None:
        """Stages that a request is refused. Nobody may be told before that is durable."""
        if urn:
            self._store.stage([self.change(urn, error.fault(), now)], urn)

    def change(self, urn: str, fault: Fault, now: int) -> Change:
        """The row that says so, to be staged with what else comes of it."""
        return keep_private(_KIND, urn, encode(RefusedRequest(fault=fault, time=now)))

    def forget(self, now: int) -> None:
        """Lets go of those that are so old that nothing of them can still be on its way."""
        before = clock_time(unix_ms(now) - KEPT_MS)
        old = [urn for urn, value in self._store.scan_private(_KIND) if decode(value, RefusedRequest).time < before]
        if old:
            self._store.stage([keep_private(_KIND, urn, None) for urn in old], "horizon")
