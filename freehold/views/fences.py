"""The hosts that are fenced, as a reader knows it from the registrar's shards: by one of them is enough."""

from collections.abc import Collection, Set
from typing import Final

from freehold.views.mapped import Kept
from freehold.vocabulary.codec import decode, encode
from freehold.vocabulary.fence import Fence

_END: Final = b"\0"


class Fences:
    """Fences that stand, by key, each told by one shard."""

    def __init__(self) -> None:
        self._stand: dict[str, tuple[str, str]] = {}
        """Key -> (host, the store of the shard)."""
        self._hosts: Set[str] = frozenset()
        self._read: dict[str, set[str]] = {}
        """Of a shard whose complete state is being read, the keys that it has told so far."""

    def hosts(self) -> Set[str]:
        """The hosts that nobody heeds."""
        return self._hosts

    def learn(self, told_by: str, key: str, fence: Fence | None) -> None:
        """Takes what a shard has written; None: the record is gone."""
        if told_by in self._read:
            self._read[told_by].add(key)
        self._stand.pop(key, None)
        if fence is not None and not fence.lifted:
            self._stand[key] = (fence.host, told_by)
        self._hosts = frozenset(host for host, _ in self._stand.values())

    def begin(self, told_by: str) -> None:
        """A shard's complete state follows."""
        self._read[told_by] = set()

    def end(self, told_by: str) -> None:
        """That was all of it: what it hasn't is gone."""
        self.keep_only(told_by, self._read.pop(told_by))

    def keep_only(self, told_by: str, keys: Collection[str]) -> None:
        """Forgets what a shard once told, but for these: its complete state hasn't it."""
        self._stand = {key: one for key, one in self._stand.items() if one[1] != told_by or key in keys}
        self._hosts = frozenset(host for host, _ in self._stand.values())


class KeptFences(Fences):
    """Those that a scheduler's file has as well. Its table ``fences``: key -> the shard's store, and the record."""

    def __init__(self, kept: Kept) -> None:
        super().__init__()
        self._kept = kept
        for key, value in kept.under("fences"):
            told_by, _, fence = value.partition(_END)
            super().learn(told_by.decode(), key, decode(fence, Fence))

    def learn(self, told_by: str, key: str, fence: Fence | None) -> None:
        """See Fences."""
        super().learn(told_by, key, fence)
        if fence is None:
            self._kept.drop("fences", key)
        else:
            self._kept.put("fences", key, told_by.encode() + _END + encode(fence))

    def keep_only(self, told_by: str, keys: Collection[str]) -> None:
        """See Fences."""
        super().keep_only(told_by, keys)
        theirs = told_by.encode() + _END
        for key in [key for key, value in self._kept.under("fences") if value.startswith(theirs) and key not in keys]:
            self._kept.drop("fences", key)
