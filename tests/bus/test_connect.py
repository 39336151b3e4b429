"""Who connects how."""

from pathlib import Path

import pytest

from freehold.bus import connect
from freehold.bus.connect import connected
from freehold.bus.nats import PAUSE_OF_FEW_S_MAX, PAUSE_S_MAX
from freehold.config import Settings
from freehold.runtime.chance import SystemChance
from freehold.runtime.clock import SystemClock
from tests.nats_server import free_port
from tests.owners import until


class Drawn(SystemChance):
    """Never waits, and keeps what was the longest that it might have waited."""

    def __init__(self) -> None:
        self.longest: list[float] = []

    def uniform(self, low: float, high: float) -> float:
        self.longest.append(high)
        return 0.0


@pytest.mark.parametrize(
    ("roles", "longest_s"),
    [(("host",), PAUSE_S_MAX), (("network",), PAUSE_OF_FEW_S_MAX), (("api", "registrar", "host"), PAUSE_OF_FEW_S_MAX)],
)
async def test_the_few_who_read_come_back_before_the_many_who_tell(
    roles: tuple[str, ...], longest_s: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "WAIT_S", 0.01)
    chance, settings = Drawn(), Settings(state=tmp_path, roles=roles, bus=f"nats://127.0.0.1:{free_port()}")
    bus = await connected(settings, "one", SystemClock(), chance, lambda line: None)
    await until(lambda: len(chance.longest) >= 5)
    await bus.close()
    assert max(chance.longest) == longest_s
