"""What follows a decision: the build goes on to its host, or the registrar hears why it can't."""

from freehold.bus import subjects, talk
from freehold.bus.interface import Bus
from freehold.runtime.log import logger
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import FreeholdError
from freehold.vocabulary.request import Build, GiveUp, Intent, IntentList, Intents
from freehold.vocabulary.shards import ONE_SHARD, Shards
from freehold.workers.network.lifecycle import Decision, Dropped, Granted, Impossible, Standing

_log = logger("network")


class Effects:
    """All may be repeated: the registrar sends a build again until it has ended."""

    def __init__(self, bus: Bus, shards: Shards = ONE_SHARD) -> None:
        self._bus, self._shards = bus, shards

    async def carry_out(self, build: Build, decision: Decision) -> None:
        """Call it when the decision is durable."""
        match decision:
            case Granted(build=wired, host=host):
                await talk.say(self._bus, subjects.build_host(host), wired)
            case Impossible():
                await self._give_up(build, decision)
            case Dropped(standing=standing):
                _report(build, standing)

    async def intents(self, shard: int, guests: list[str]) -> tuple[Intent, ...]:
        """What a shard of the registrar knows of guests; of another's it knows nothing. Raises NoAnswer."""
        question = Intents(host="", guests=tuple(guests))
        return (await talk.ask(self._bus, subjects.ask_ledger(shard, "network"), question, IntentList)).intents

    async def _give_up(self, build: Build, decision: Impossible) -> None:
        notice = GiveUp(urn=build.urn, guest=build.guest, deed=decision.deed, fault=decision.fault)
        _log.info("a build can't be addressed", urn=build.urn, guest=build.guest, reason=decision.fault.message)
        try:
            await talk.ask(self._bus, subjects.ask_ledger(self._shards.of(build.project), "network"), notice, Done)
        except FreeholdError as error:
            _log.warning("the registrar wasn't told; it asks again", urn=build.urn, error=error.message)


def _report(build: Build, standing: Standing) -> None:
    say = _log.error if standing is Standing.CONTRADICTED else _log.info
    say("build dropped", urn=build.urn, guest=build.guest, reason=standing.value)
