"""The short form of the benchmark: what it counts holds on any machine."""

from argparse import Namespace

from benchmarks import overload


async def test_what_cant_be_done_is_refused_and_what_is_promised_is_done() -> None:
    asked = Namespace(hosts=40, clusters=2, projects=2, guests=24, at_once=8, times=10.0, fill_s=0.5, for_s=3.0)
    figures = await overload.measured(asked)
    assert set(figures["answers"]) <= {202, 429, 503}
    assert (figures["broken"], figures["without_retry_after"], figures["promised_and_not_run"]) == ({}, 0, 0)
