"""A short form of `make red-team`: nothing that a fallen host tries is taken, and each try is counted."""

import pytest

from tests.red_team import Attack, fallen, held, run, table

ATTACKS = 2000


def spread(attack: Attack) -> None:
    """Whoever hears, hears: honest machines were taken at their word."""
    assert attack.genuine > 0 and attack.taken == attack.genuine


async def test_over_a_broker_that_holds_the_table() -> None:
    async with held(seed=1) as attack:
        tallies = await run(attack, ATTACKS)
        spread(attack)
        assert sum(tally.taken for tally in tallies.values()) == 0, table(tallies)
        assert tallies["over-claiming"].denied == tallies["over-claiming"].sent > 0, "the broker has stopped all of it"
        posed = tallies["answers in another's place"]
        assert posed.sent == 0, "it is asked nothing that is another's"


async def test_over_a_broker_that_has_fallen_too() -> None:
    async with fallen(seed=1) as attack:
        tallies = await run(attack, ATTACKS)
        spread(attack)
        assert sum(tally.taken for tally in tallies.values()) == 0, table(tallies)
        assert not any(tally.denied for tally in tallies.values())
        assert {reason for tally in tallies.values() for reason in tally.refused} >= {
            *("unreadable", "unknown", "expired", "not allowed", "stale", "forged", "replayed")
        }
        assert tallies["answers in another's place"].sent > 0
        for kind, tally in tallies.items():
            assert tally.refused.total() + tally.misnamed == tally.sent > 0, kind


@pytest.mark.parametrize("wall", ["is_new", "is_signed", "may_speak"])
async def test_a_wall_that_is_missing_is_seen(monkeypatch: pytest.MonkeyPatch, wall: str) -> None:
    where = "Heard.is_new" if wall == "is_new" else wall
    monkeypatch.setattr(f"freehold.bus.signed.{where}", lambda *given: True)
    async with fallen(seed=1) as attack:
        tallies = await run(attack, ATTACKS // 4)
        assert sum(tally.taken for tally in tallies.values()) > 0
