"""What the API room is handed."""

from collections.abc import Callable
from dataclasses import dataclass, field

from freehold.api.admission import Limits
from freehold.api.backlog import Backlog
from freehold.bus.interface import Bus
from freehold.runtime.chance import Chance
from freehold.runtime.clock import HybridClock
from freehold.views.interface import View
from freehold.views.questions import Questions
from freehold.vocabulary.shards import ONE_SHARD, Shards


@dataclass(frozen=True, slots=True)
class Cloud:
    """One cloud as its API sees it. `public_url`: where clients reach this API, without a slash at the end."""

    bus: Bus
    view: View
    clock: HybridClock
    chance: Chance
    public_url: str
    region: str = "RegionOne"
    cluster: str = "default"
    """The cluster that new networks belong to."""
    shards: Shards = ONE_SHARD
    """The registrar's."""
    unknown_after_s: float | None = None
    """How long a host may be silent before its guests are shown as UNKNOWN; None: they never are."""
    limits: Limits = field(default_factory=Limits)
    """How much an API process takes on at once."""
    backlog: Backlog = field(init=False)
    questions: Questions = field(init=False)
    """To the owners, of what has happened."""
    enrolls: bool = True
    """Whether a directory lets machines in. A cloud whose bus is within one process has none."""
    beyond: Callable[[str], str] = lambda cluster: ""
    """A cluster, if it isn't the centre; else empty."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "questions", Questions(self.bus))
        object.__setattr__(self, "backlog", Backlog(self.clock.clock))
