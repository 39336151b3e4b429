"""What a decision leads to: one message each."""

from freehold.bus import subjects, talk
from freehold.vocabulary.deed import Deed
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import Fault
from freehold.vocabulary.request import Build, GiveUp, RecordDeed
from freehold.workers.base import Means


async def record_deed(means: Means, deed: Deed) -> Deed:
    """The deed that holds, which may name another host. Raises NoAnswer; Conflict if the guest gets none, with the
    hosts of its server group as `names` if that is why.
    """
    return await talk.ask(means.bus, _ledger(means, deed.project), RecordDeed(deed=deed), Deed)


async def pass_on(means: Means, build: Build) -> None:
    """Sends a build with its deed to the cluster's network worker."""
    assert build.deed is not None
    cluster = build.deed.cluster
    await talk.say(means.bus, subjects.build_network(cluster, means.beyond(cluster)), build)


async def give_up(means: Means, build: Build, fault: Fault) -> None:
    """Tells the registrar that no host can take it."""
    deed = 0 if build.deed is None else build.deed.number
    last = (build.number or len(build.refused) + 1) - 1  # the deed that its last host has refused
    question = GiveUp(urn=build.urn, guest=build.guest, deed=max(deed, last), fault=fault)
    await talk.ask(means.bus, _ledger(means, build.project), question, Done)


def _ledger(means: Means, project: str) -> str:
    return subjects.ask_ledger(means.shards.of(project), "scheduler")
