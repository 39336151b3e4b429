"""The hosts that are fenced, as a reader knows it from the registrar's shards: by one of them is enough."""

from collections.abc import Collection, Set

from freehold.vocabulary.fence import Fence


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
