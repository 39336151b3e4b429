"""The short form of the benchmark: what it counts holds on any machine."""

from argparse import Namespace

from benchmarks import boots


async def test_a_boot_takes_so_many_messages_and_changes_however_many_guests_there_are() -> None:
    asked = Namespace(hosts=6, clusters=2, projects=2, guests=16, rounds=2, at_once=4)
    figures = await boots.measured(asked)
    for figure in figures["curve"]:
        assert figure["answers"] == {202: 16}
        kinds = figure["messages_by_kind"]
        assert (kinds["publish build"], kinds["ask registrar"], kinds["ask ledger"]) == (4, 1, 2)
        assert kinds["publish event"] <= 12
        assert figure["changes"] <= 60
    assert [figure["guests_there"] for figure in figures["curve"]] == [18, 34]
