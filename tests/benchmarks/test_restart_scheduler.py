"""The short form of the benchmark: what it counts holds on any machine."""

from benchmarks import restart_scheduler


async def test_a_scheduler_that_comes_again_asks_for_what_it_lacks_alone() -> None:
    figures = await restart_scheduler.measured(crowd=500, hosts=3, tail=30)
    assert figures["without_the_real_hosts"]["complete_states"] == 3 + 1, "those of the hosts, and the registrar's"
    for name in ("with_all", "without_the_tail"):
        assert figures[name]["complete_states"] == 0, name
        assert figures[name]["wrong_choices"] == 0, name
    assert figures["without_the_tail"]["questions"] >= 3
