"""Which hosts are fenced in a shard, and how long ago each host was heard.

the fence stands, the host isn't heard    its guests may leave it
the fence stands, the host is heard       none does: it isn't off, and its disks are there
the fence was lifted, or there was none   none does
"""

from freehold.runtime.clock import Clock
from freehold.vocabulary.envelope import Owner
from freehold.vocabulary.errors import Conflict
from freehold.vocabulary.fence import HEARD_S, Fence
from freehold.workers.registrar.records import Records


class Fences:
    """See the module."""

    def __init__(self, records: Records, clock: Clock) -> None:
        self._records, self._clock = records, clock
        self._heard_s: dict[str, float] = {}
        self._clusters: dict[str, str] = {}
        self._opened_s = clock.monotonic_s()

    def stands(self, host: str) -> Fence | None:
        """The fence of a host, if it stands."""
        return self._records.fence(host)

    def heeds(self, host: str) -> bool:
        """Whether what a host says counts now."""
        return self._records.fence(host) is None

    def hear(self, host: Owner) -> None:
        """A host has given a sign of life."""
        self._heard_s[host.store] = self._clock.monotonic_s()
        self._clusters[host.store] = host.cluster

    def cluster(self, host: str) -> str:
        """The cluster from which a host was heard last, without which it isn't reached; empty if it wasn't yet."""
        return self._clusters.get(host, "")

    def check(self, host: str) -> None:
        """Raises Conflict if a host is fenced: it gets no deed."""
        if self.stands(host) is not None:
            raise Conflict(f"host {host} is fenced and takes no guests until it is let in again")

    def is_heard(self, host: str) -> str:
        """A sentence that says when a host was heard, if that is so lately that it isn't off; else empty."""
        now_s = self._clock.monotonic_s()
        heard_s = self._heard_s.get(host)
        if heard_s is not None and now_s - heard_s < HEARD_S:
            return f"It was heard {now_s - heard_s:.0f} s ago."
        if heard_s is None and now_s - self._opened_s < HEARD_S:
            return f"Whether it is heard isn't known yet: the registrar listens since {now_s - self._opened_s:.0f} s."
        return ""

    def why_not_leave(self, host: str) -> str:
        """Why no guest may leave a host now, as a sentence; empty if they may."""
        if self.stands(host) is None:
            return "Its host isn't fenced."
        heard = self.is_heard(host)
        return f"Its host is fenced, but not off. {heard} Let it in again, or switch it off." if heard else ""
