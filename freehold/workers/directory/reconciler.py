"""What is said again and again, from the store: who is barred, and which tickets aren't taken. Invitations that are
over are forgotten.
"""

from freehold.runtime.clock import HybridClock
from freehold.vocabulary.units import unix_ms
from freehold.workers.directory import lifecycle
from freehold.workers.directory.records import Records

PERIOD_S = 2.0
"""Between two times that it is said who is barred: a machine is cut off everywhere within a few of these."""


class Reconciler:
    """Looks at the store."""

    def __init__(self, records: Records, clock: HybridClock) -> None:
        self._records, self._clock = records, clock

    def look(self) -> tuple[tuple[str, ...], dict[bytes, int]]:
        """(who is barred now, the keys of which no ticket is taken, and until when one would hold)."""
        now, machines = self._clock.now(), self._records.machines()
        self._records.forget_invitations(unix_ms(now))
        return lifecycle.still_barred(machines, now), lifecycle.refused_keys(machines, now)
