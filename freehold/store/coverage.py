"""How much of a store its backup has: kept by who writes the backup, read by who tells of it."""

from dataclasses import dataclass
from typing import NamedTuple

from freehold.vocabulary.envelope import BackupLag, Position


class Standing(NamedTuple):
    """Where a store stands: its log, and how many transactions have become durable since the opening."""

    position: Position
    commits: int


@dataclass(slots=True)
class Coverage:
    """`position`: what the log of a restored store would end at; None: not known yet. `commits`: how many of the
    transactions since the opening the backup has. `waiting_since_s`: since when, on the monotonic clock, the oldest of
    the others has waited at most.
    """

    waiting_since_s: float
    position: Position | None = None
    commits: int = -1

    def behind(self, stands: Standing, now_s: float) -> BackupLag:
        """What a restore would lack now."""
        known = self.position is not None and self.position.epoch == stands.position.epoch
        written = self.position.seq if self.position is not None and known else 0
        waits = self.commits < stands.commits
        return BackupLag(
            seq=written,
            entries=max(0, stands.position.seq - written),
            seconds=round(now_s - self.waiting_since_s, 3) if waits else 0.0,
        )
