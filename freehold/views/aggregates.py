"""Host aggregates as the scheduler knows them, and what they make of hosts. They are in its file:

aggregates        id              -> the shard's store, and the record
aggregate_hosts   aggregate/host  -> the shard's store
"""

from collections.abc import Collection, Iterator
from typing import Final

from freehold.views.mapped import Kept
from freehold.vocabulary.aggregate import FOR_ALL, Aggregate, AggregateHost, projects, quality
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.word import Word

TABLES: Final = ("aggregates", "aggregate_hosts")
KINDS: Final = frozenset({"aggregate", "aggregate_host"})
_END: Final = b"\0"
_NONE: Final = frozenset[str]()


class Aggregates:
    """All of them."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._known: dict[str, Aggregate] = {}
        self._within: dict[str, frozenset[str]] = {}
        """By host: the aggregates that it is in. Hosts that are in the same have one set."""
        self._alike: dict[frozenset[str], frozenset[str]] = {}
        self._qualities: dict[frozenset[str], frozenset[str]] = {}
        """By the aggregates that a host is in."""
        self._open_to: dict[str, frozenset[str]] = {}
        """By project: the aggregates that are kept for it, and maybe for others."""
        self._closed = _NONE
        """The aggregates that are kept for some projects."""
        for key, value in kept.under("aggregates"):
            self._known[key] = decode(value.partition(_END)[2], Aggregate)
        for key, _ in kept.under("aggregate_hosts"):
            self._move(key, is_in=True)
        self._reckon()

    def __iter__(self) -> Iterator[Aggregate]:
        return iter(self._known.values())

    def qualities(self, host: str) -> frozenset[str]:
        """What a host is by its aggregates. Hosts that are in the same have one set."""
        within = self._within.get(host, _NONE)
        found = self._qualities.get(within)
        if found is None:
            named = frozenset(map(quality, within))
            found = self._qualities[within] = named if within & self._closed else named | {FOR_ALL}
        return found

    def for_project(self, project: str) -> frozenset[str]:
        """Qualities of which a host needs one to take a project's guests; none: no host is kept for anybody."""
        if not self._closed:
            return _NONE
        return frozenset(map(quality, self._open_to.get(project, _NONE))) | {FOR_ALL}

    def learn(self, kind: str, key: str, record: Word | None, told_by: str) -> Collection[str]:
        """Takes what a shard has written of an aggregate, or of a host that is in one; None: it is gone. The hosts
        that may not be as they were.
        """
        if kind == "aggregate_host":
            self._keep(kind, key, None if record is None else b"", told_by)
            return [self._move(key, is_in=isinstance(record, AggregateHost))]
        self._keep(kind, key, None if record is None else encode(record), told_by)
        before, now = self._known.pop(key, None), record if isinstance(record, Aggregate) else None
        if now is not None:
            self._known[key] = now
        was, is_now = None if before is None else projects(before), None if now is None else projects(now)
        if was == is_now:
            return ()
        self._reckon()
        if (was is None) is (is_now is None):  # for whom they are kept is no quality of theirs
            return ()
        return [host for host, within in self._within.items() if key in within]

    def keep_only(self, kind: str, told_by: str, keys: Collection[str]) -> Collection[str]:
        """Forgets what a shard once told of others than these: its complete state hasn't them. The hosts that may not
        be as they were.
        """
        theirs = told_by.encode() + _END
        gone = [key for key, value in self._kept.under(f"{kind}s") if value.startswith(theirs) and key not in keys]
        return {host for key in gone for host in self.learn(kind, key, None, told_by)}

    def _keep(self, kind: str, key: str, record: bytes | None, told_by: str) -> None:
        if record is None:
            self._kept.drop(f"{kind}s", key)
        else:
            self._kept.put(f"{kind}s", key, told_by.encode() + _END + record)

    def _move(self, key: str, *, is_in: bool) -> str:
        aggregate, _, host = key.partition("/")
        within = self._within.get(host, _NONE) - {aggregate} | ({aggregate} if is_in else _NONE)
        self._within[host] = self._alike.setdefault(within, within)
        if not within:
            del self._within[host]
        return host

    def _reckon(self) -> None:
        """Aggregates change seldom, and are looked at for every guest."""
        kept = {key: for_whom for key, one in self._known.items() if (for_whom := projects(one)) is not None}
        open_to = dict[str, set[str]]()
        for key, for_whom in kept.items():
            for project in for_whom:
                open_to.setdefault(project, set()).add(key)
        self._open_to = {project: frozenset(keys) for project, keys in open_to.items()}
        self._closed = frozenset(kept)
        self._qualities.clear()
