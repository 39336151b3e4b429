"""Sums and indexes over the admissions, kept in step with each change: what quotas, server groups and hosts ask for."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from freehold.vocabulary.request import Admission, Stage
from freehold.vocabulary.tenant import Resource
from freehold.vocabulary.units import unix_ms

_WAITS: Final = frozenset({Stage.ADMITTED, Stage.SCHEDULED})


class Tally:
    """There is no second ledger of any of it: it is taken from the admissions at each start."""

    def __init__(self, admissions: Iterable[Admission]) -> None:
        self._used: dict[str, Counter[Resource]] = {}
        self._members: dict[str, dict[str, None]] = {}
        self._at: dict[str, dict[str, None]] = {}
        """By host: the guests whose newest deed names it."""
        self._waiting: dict[str, int] = {}
        """Since when (unix ms), by guest; the oldest first, nearly."""
        for admission in sorted(admissions, key=lambda one: one.created):
            self.change(None, admission)

    def change(self, before: Admission | None, after: Admission | None) -> None:
        """An admission is `after` from now on; None: there is none."""
        guest = after or before
        if guest is None:
            return
        if before is None or after is None:
            self._use(guest, -1 if after is None else 1)
            _keep(self._members, guest.spec.server_group, guest.guest, here=after is not None)
        was, now = _host(before), _host(after)
        if was != now:
            _keep(self._at, was, guest.guest, here=False)
            _keep(self._at, now, guest.guest, here=True)
        if after is None or after.delete_urn or after.stage not in _WAITS:
            self._waiting.pop(guest.guest, None)
        elif before is None:
            self._waiting[guest.guest] = unix_ms(after.created)

    def used(self, project: str) -> Counter[Resource]:
        """What a project's guests take."""
        return self._used.get(project, Counter())

    def members(self, group: str) -> list[str]:
        """The guests of a server group."""
        return list(self._members.get(group, ()))

    def at(self, host: str) -> list[str]:
        """The guests whose newest deed names a host, in order."""
        return sorted(self._at.get(host, ()))

    def waiting(self, since_ms: int) -> int:
        """How many builds wait for a host that were admitted after `since_ms` (unix): who waits for longer isn't kept
        waiting by others.
        """
        while self._waiting:
            guest, admitted_ms = next(iter(self._waiting.items()))
            if admitted_ms >= since_ms:
                break
            del self._waiting[guest]
        return len(self._waiting)

    def _use(self, admission: Admission, sign: int) -> None:
        flavor = admission.spec.flavor
        used = self._used.setdefault(admission.project, Counter())
        used[Resource.INSTANCES] += sign
        used[Resource.CORES] += sign * flavor.vcpus
        used[Resource.RAM_MIB] += sign * flavor.ram_mib


def _host(admission: Admission | None) -> str:
    return "" if admission is None or admission.deed is None else admission.deed.host


def _keep(index: dict[str, dict[str, None]], key: str, guest: str, *, here: bool) -> None:
    if not key:
        return
    if here:
        index.setdefault(key, {})[guest] = None
        return
    there = index[key]
    del there[guest]
    if not there:
        del index[key]
