"""A machine that dies, and what its operator does then: fences it, evacuates its guests, lets it in when it is back.

The operator vouches for what is so: the machine is off from before the fence until it is started again, and isn't
started before the fence is complete. Everything else may go wrong as ever.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from freehold.sim.calls import Caller, Reply, Unanswered
from freehold.vocabulary.codec import decode
from freehold.vocabulary.fence import Fence
from freehold.vocabulary.request import Admission, Request

if TYPE_CHECKING:
    from freehold.sim.site import ApiSite, HostSite
    from freehold.sim.world import World

PAUSE_S: Final = 4.0
DEADLINE_S: Final = 240.0
"""What an evacuation is given."""
FOR_GOOD: Final = 0.8
"""Of the losses, so many are no more than that: of the others the machine never comes back."""
EVACUATED: Final = 0.85
"""Of the machines that come back, the guests of so many are evacuated."""
WAITED_FOR: Final = 0.5
"""Of those evacuations, so many have ended before the machine is started."""
WAIT_S: Final = 120.0

HOSTS: Final = "/freehold/v1/hosts"


@dataclass(slots=True)
class Operator:
    """The one who looks after a world's hosts. `asked`: by its URN, each evacuation that was taken: (guest,
    host's store, the fence's term).
    """

    world: "World"
    caller: Caller
    asked: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    tries: int = 0
    """So far: each goes to the next API process."""
    busy: set[str] = field(default_factory=set)
    """The hosts that it sees to."""

    def lose(self, host: "HostSite", for_s: float, amount: float) -> None:
        """A machine stops; its operator sees to it. The last one that runs doesn't."""
        living = [other for other in self.world.hosts if not other.dead and not other.away]
        if host.name in self.busy or host.dead or len(living) < 2:
            return
        self.world.faults["host lost"] += 1
        self.world.tell(host.name, "is lost")
        host.lose_power()
        host.away = True
        self.busy.add(host.name)
        self.world.people.start(self._see_to(host, for_s, amount))

    async def _see_to(self, host: "HostSite", for_s: float, amount: float) -> None:
        assert host.store is not None

        def fence(seen: str) -> tuple[str, str, Any]:
            order = {"evidence": "it was switched off by hand", "seen": seen}
            return "PUT", f"{path}/fence", {"fence": order}

        path = f"{HOSTS}/{host.store.id}"
        fenced = await self._ordered(f"{path}/fence", fence, may_be_gone=True)
        known = fenced.status == 200
        self.world.tell(host.name, "is fenced" if known else "isn't known any more, and had no guests")
        comes_back = amount < FOR_GOOD
        share = amount / FOR_GOOD
        if known and (not comes_back or share < EVACUATED):
            await self._evacuate(host)
            if share * 10 % 1 < WAITED_FOR:
                await self._gone(host)
        if comes_back:
            await asyncio.sleep(for_s)
            host.away = False
            self.world.tell(host.name, "is switched on again")
            host.start()
            await asyncio.sleep(for_s * (share * 100 % 1))
            if known:
                await self._let_in(host)
        else:
            host.dead = True
        self.busy.discard(host.name)

    async def _let_in(self, host: "HostSite") -> None:
        """Unless it dies for good before."""
        assert host.store is not None
        path = f"{HOSTS}/{host.store.id}/fence"
        letting = self.world.people.start(
            self._ordered(path, lambda seen: ("DELETE", f"{path}?seen={seen}", None), may_be_gone=False)
        )
        while not letting.done() and not host.dead:
            await asyncio.sleep(1.0)
        if not letting.done():
            letting.cancel()
            return
        await letting
        self.world.tell(host.name, "is let in again")

    async def _evacuate(self, host: "HostSite") -> None:
        assert host.store is not None
        body = {"evacuation": {"deadline_s": DEADLINE_S}}
        reply = await self._until(202, "POST", f"{HOSTS}/{host.store.id}/evacuation", body)
        for guest in reply.json["evacuation"]["guests"]:
            if guest["request"]:
                # What is on its way already goes on with the request that it has, and may stay if the host is let in.
                term = max((fence.term for fence in _fences(self.world, host.store.id)), default=0)
                self.asked.setdefault(guest["request"], (guest["id"], host.store.id, term))
                self.world.tell(host.name, f"guest {guest['id'][:8]} is to leave it")

    async def _gone(self, host: "HostSite") -> None:
        """Waits until no guest is on its way from the host, but not for ever."""
        assert host.store is not None
        until = self.world.loop.time() + WAIT_S
        while self.world.loop.time() < until:
            reply = await self._until(200, "GET", f"{HOSTS}/{host.store.id}/evacuation")
            if all(guest["stands"] != "leaving" for guest in reply.json["evacuation"]["guests"]):
                return
            await asyncio.sleep(PAUSE_S)

    async def _ordered(self, path: str, order: Callable[[str], tuple[str, str, Any]], *, may_be_gone: bool) -> Reply:
        """Looks at a host's fence and gives an order upon that to the same API, until it is so. `may_be_gone`: nothing
        may be known of the host, which had no guests then: no API has heard it since its view was deleted.
        """
        while True:
            api = self._next_api()
            reply = await self._once(api, "GET", path)
            if reply is not None and reply.status == 200:
                reply = await self._once(api, *order(reply.json["seen"]))
                if reply is not None and (reply.status == 200 or b"isn't fenced" in reply.body):
                    return reply
            if may_be_gone and reply is not None and reply.status == 404:
                return reply
            await asyncio.sleep(PAUSE_S)

    async def _until(self, status: int, method: str, path: str, body: Any = None) -> Reply:
        """Asks one API after the other until it is so."""
        while True:
            reply = await self._once(self._next_api(), method, path, body)
            if reply is not None and reply.status == status:
                return reply
            await asyncio.sleep(PAUSE_S)

    def _next_api(self) -> "ApiSite":
        self.tries += 1
        return self.world.apis[self.tries % len(self.world.apis)]

    async def _once(self, api: "ApiSite", method: str, path: str, body: Any = None) -> Reply | None:
        """Asks an API; None if it doesn't answer."""
        try:
            reply = await self.caller.call(api, method, path, body)
        except Unanswered:
            return None
        if reply.status >= 300:
            self.world.tell("operator", f"{method} {path[:30]} by {api.name}: {reply.status}")
        if reply.status == 500:
            self.world.checkers.violated(f"{method} {path} was answered 500: {reply.body[:300]!r}")
        return reply


def evacuated(world: "World", stranded: frozenset[str]) -> None:
    """A guest that was to be evacuated is up elsewhere in the end, or it is said why not; but for those whose next
    machine died as well, and nobody has vouched for that yet. It may be on the machine that it had left when that was
    let in meanwhile, and was chosen like any other.
    """
    requests: dict[str, Request] = {}
    admissions: dict[str, Admission] = {}
    for site in world.registrars:
        for kind, key, value in site.store.rows() if site.store is not None else ():
            if kind == "request":
                requests[key] = decode(value, Request)
            elif kind == "admission":
                admissions[key] = decode(value, Admission)
    for urn, (guest, host, term) in world.operator.asked.items():
        request, admission = requests.get(urn), admissions.get(guest)
        if request is None or request.finished is None:
            if admission is not None and guest not in stranded:
                world.checkers.violated(f"guest {guest} was to be evacuated by {urn}, which never ended")
        elif request.action == "evacuate" and request.fault is None and admission is not None:
            deed = admission.live_deed()
            let_in = any(fence.lifted or fence.term > term for fence in _fences(world, host))
            if deed is not None and deed.urn == urn and deed.host == host and not let_in:
                world.checkers.violated(f"guest {guest} was evacuated from {host}, and is there")


def _fences(world: "World", host: str) -> list[Fence]:
    """A host's fences, as the registrar's shards have them: the last of each."""
    stores = [site.store for site in world.registrars if site.store is not None]
    fences = (decode(value, Fence) for store in stores for kind, _, value in store.rows() if kind == "fence")
    return [fence for fence in fences if fence.host == host]
