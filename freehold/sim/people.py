"""Clients: each project has one, which asks, remembers what it was promised, and says when a promise is broken."""

import asyncio
import base64
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from freehold.sim.calls import Caller, Reply, Unanswered
from freehold.sim.checkers import SECRET
from freehold.sim.plan import VOLUME_ASKS, Ask
from freehold.sim.volume_people import Volumes

if TYPE_CHECKING:
    from freehold.sim.site import ApiSite
    from freehold.sim.world import World

SERVERS: Final = "/compute/v2.1/servers"
PAGE: Final = 2
WHILE_S_MAX: Final = 20
SOON_S_MAX: Final = 5
LOOKS: Final = 4
LOOK_S: Final = 0.005
TOKEN_MS: Final = 50 * 60_000
"""A clock that is ahead by more takes a token for expired."""

EXPECTED: Final = frozenset({200, 201, 202, 204, 400, 403, 404, 409, 413, 429, 503, 504})
"""Statuses that a well-formed question may get while things go wrong. Never 500; 401 would be a token forgotten."""


_ACTIONS: Final[dict[str, dict[str, Any]]] = {
    "stop": {"os-stop": None},
    "start": {"os-start": None},
    "reboot soft": {"reboot": {"type": "SOFT"}},
    "reboot hard": {"reboot": {"type": "HARD"}},
    "console": {"os-getConsoleOutput": {"length": 5}},
}


@dataclass(slots=True)
class Known:
    """What a client knows of a guest it was promised."""

    id: str
    name: str
    deleting: bool = False
    """A delete has been sent: from now on it may vanish at any moment."""
    deleted: bool = False
    """A delete was answered 204: it will be gone."""
    gone: bool = False
    """A 404 was seen after the delete: from now on it must stay away."""


@dataclass(slots=True)
class Client:
    """One project's user."""

    world: "World"
    number: int
    project: dict[str, str]
    caller: Caller
    guests: dict[str, Known] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    """What each idempotency key gave."""
    unsure: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Creates that weren't answered: (idempotency key, body). They are asked again, with the same key."""
    asked: int = 0
    failed: int = 0
    volumes: Volumes = field(init=False)

    def __post_init__(self) -> None:
        self.volumes = Volumes(self)

    @property
    def name(self) -> str:
        """For the transcript."""
        return f"client-{self.number}"

    async def ask(self, ask: Ask) -> None:
        """Does what the plan says. What isn't answered is no violation; a wrong answer is."""
        self.asked += 1
        try:
            await self._ask(ask)
        except Unanswered:
            self.failed += 1

    async def _ask(self, ask: Ask) -> None:
        api = self._api(ask.pick)
        match ask.what:
            case "create":
                await self._create(api, 1, ask.pick)
            case "create and look":
                await self._create_and_look(api, ask.pick)
            case "create for a while":
                await self._create_for_a_while(api, ask.pick)
            case "create several":
                await self._create(api, 3, ask.pick)
            case "list":
                await self.list(api)
            case "pages":
                await self.pages(ask.pick)
            case "stop what runs":
                await self._act_on_what_runs(api, ask.pick, "stop")
            case "reboot and delete":
                await self._reboot_and_delete(api, ask.pick)
            case what if what in VOLUME_ASKS:
                await self.volumes.ask(api, what, ask.pick)
            case _ if (known := self._known(ask.pick)) is not None:
                await self._ask_about(known, api, ask)

    async def _ask_about(self, known: Known, api: "ApiSite", ask: Ask) -> None:
        match ask.what:
            case "delete":
                await self.delete(api, known)
            case "get":
                await self.get(api, known)
            case "rename":
                await self.call(api, "PUT", f"{SERVERS}/{known.id}", {"server": {"name": f"renamed {ask.pick}"}})
            case what:
                await self._act(api, known, _ACTIONS[what])

    def _api(self, pick: int) -> "ApiSite":
        return self.world.apis[pick % len(self.world.apis)]

    def _known(self, pick: int) -> Known | None:
        there = [known for known in self.guests.values() if not known.gone]
        return there[(pick >> 8) % len(there)] if there else None

    # --- creating and deleting -------------------------------------------------------------------------------------

    async def _create_for_a_while(self, api: "ApiSite", pick: int) -> None:
        """A guest that is deleted while its build may still be on its way, or not long after."""
        key = await self._create(api, 1, pick)
        known = self.guests.get(self.keys.get(key, ""))
        await asyncio.sleep(pick % WHILE_S_MAX)
        if known is not None:
            await self.delete(api, known)

    async def _create_and_look(self, api: "ApiSite", pick: int) -> None:
        """A guest that is looked for where the same client is just reading."""
        other = self._other()
        lists = [asyncio.ensure_future(self._list_later(other, turn * LOOK_S)) for turn in range(LOOKS)]
        try:
            await self._create(api, 1, pick)
        finally:
            await asyncio.gather(*lists)

    async def _list_later(self, api: "ApiSite", after_s: float) -> None:
        await asyncio.sleep(after_s)
        with suppress(Unanswered):
            await self.list(api)

    def _other(self) -> "ApiSite":
        """Where a guest is read that was created just now."""
        return self.world.apis[(self.asked + 1) % len(self.world.apis)]

    async def _create(self, api: "ApiSite", count: int, pick: int) -> str:
        """Gives the idempotency key."""
        key = f"key-{self.number}-{self.asked}"
        body: dict[str, Any] = {
            "name": f"vm-{self.number}-{self.asked}",
            "imageRef": self.world.image_id,
            "flavorRef": self.world.flavor,
            "networks": [{"uuid": self.project["network"]}],
            "user_data": base64.b64encode(SECRET).decode(),
            "config_drive": pick % 2 == 0,
        }
        if count > 1:
            body |= {"min_count": count, "max_count": count}
        try:
            await self.create(api, key, body)
        except Unanswered:
            self.unsure.append((key, body))
            raise
        return key

    async def create(self, api: "ApiSite", key: str, body: dict[str, Any]) -> bool:
        """Creates with an idempotency key. False if it was refused for now: the key may be asked with again."""
        reply = await self.call(api, "POST", SERVERS, {"server": body}, {"idempotency-key": key})
        if reply.status != 202:
            if reply.status >= 500:
                self.unsure.append((key, body))
            return reply.status < 500
        guest = reply.json["server"]["id"]
        if self.keys.setdefault(key, guest) != guest:
            self._violated(f"key {key} gave guest {self.keys[key]} and then {guest}")
        if body.get("min_count", 1) == 1 and guest not in self.guests:
            self.guests[guest] = Known(guest, body["name"])
            await self.get(self._other(), self.guests[guest])
        return True

    async def delete(self, api: "ApiSite", known: Known) -> None:
        """Deletes a guest."""
        known.deleting = True
        reply = await self.call(api, "DELETE", f"{SERVERS}/{known.id}")
        known.deleted |= reply.status == 204
        if reply.status == 404:
            known.gone = True

    async def get(self, api: "ApiSite", known: Known) -> Reply:
        """Reads a guest: there since the 202, away since the 404 after its delete."""
        gone_before = known.gone
        reply = await self.call(api, "GET", f"{SERVERS}/{known.id}")
        if reply.status == 404 and not known.deleting:
            self._violated(f"guest {known.id} was admitted, and {api.name} doesn't find it")
        if reply.status == 200 and gone_before:
            self._violated(f"guest {known.id} was gone, and {api.name} shows it again")
        if reply.status == 404:
            known.gone = True
        return reply

    async def _act(self, api: "ApiSite", known: Known, body: dict[str, Any]) -> None:
        deleting = known.deleting
        reply = await self.call(api, "POST", f"{SERVERS}/{known.id}/action", body)
        if reply.status == 404 and not deleting and not known.deleting and not _not_built(reply):
            self._violated(f"guest {known.id} was admitted, and {api.name} doesn't find it for {next(iter(body))}")

    async def what_runs(self, api: "ApiSite", pick: int) -> Known | None:
        """Most guests that a client remembers are gone or not built yet: this one is one that runs."""
        running = [server["id"] for server in await self.list(api) or [] if server["status"] == "ACTIVE"]
        return self.guests.get(running[(pick >> 8) % len(running)]) if running else None

    async def _act_on_what_runs(self, api: "ApiSite", pick: int, what: str) -> Known | None:
        known = await self.what_runs(api, pick)
        if known is not None:
            await self._act(api, known, _ACTIONS[what])
        return known

    async def _reboot_and_delete(self, api: "ApiSite", pick: int) -> None:
        """A guest that is deleted while it is being started, or not long after."""
        known = await self._act_on_what_runs(api, pick, "reboot hard")
        await asyncio.sleep(pick % SOON_S_MAX)
        if known is not None:
            await self.delete(api, known)

    # --- lists -----------------------------------------------------------------------------------------------------

    async def list(self, api: "ApiSite") -> list[dict[str, Any]] | None:
        """The project's guests: all that were promised before, none that was gone before, none of anybody else."""
        before = {known.id for known in self.guests.values() if not known.deleting}
        gone = {known.id for known in self.guests.values() if known.gone}
        reply = await self.call(api, "GET", f"{SERVERS}/detail")
        if reply.status != 200:
            return None
        servers: list[dict[str, Any]] = reply.json["servers"]
        self._check_list(api, {server["id"] for server in servers}, before, gone)
        for server in servers:
            if server["tenant_id"] != self.project["id"]:
                self._violated(f"{api.name} shows {self.name} guest {server['id']} of another project")
        return servers

    def _check_list(self, api: "ApiSite", shown: set[str], before: set[str], gone: set[str]) -> None:
        missing = sorted(guest for guest in before - shown if not self.guests[guest].deleting)
        if missing:
            self._violated(f"guest {missing[0]} was admitted, and isn't in the list of {api.name}")
        back = sorted(shown & gone)
        if back:
            self._violated(f"guest {back[0]} was gone, and is in the list of {api.name} again")

    async def pages(self, pick: int) -> None:
        """A list page by page, each from another API: none skipped or doubled that was there throughout."""
        before = {known.id for known in self.guests.values() if not known.deleting}
        seen: list[str] = []
        marker = ""
        for turn in range(50):
            path = f"{SERVERS}?limit={PAGE}" + (f"&marker={marker}" if marker else "")
            reply = await self.call(self._api(pick + turn), "GET", path)
            if reply.status != 200:
                return  # the marker itself may have been deleted meanwhile
            page = [server["id"] for server in reply.json["servers"]]
            if not page:
                break
            seen += page
            marker = page[-1]
        if len(seen) != len(set(seen)):
            self._violated(f"{self.name} was shown a guest on two pages: {seen}")
        missing = sorted(guest for guest in before - set(seen) if not self.guests[guest].deleting)
        if missing:
            self._violated(f"guest {missing[0]} was there throughout, and no page of {self.name} had it")

    # --- when nothing goes wrong any more ----------------------------------------------------------------------------

    async def make_sure(self) -> bool:
        """Asks again for what wasn't answered; True when nothing is unsure."""
        unsure, self.unsure = self.unsure, []
        for number, (key, body) in enumerate(unsure):
            try:
                await self.create(self._api(number), key, body)
            except Unanswered:
                self.unsure.append((key, body))
        return await self.volumes.make_sure() and not self.unsure

    async def can_create(self) -> bool:
        """Whether one more guest is admitted, when nothing goes wrong."""
        body = {"name": "last", "imageRef": self.world.image_id, "flavorRef": self.world.flavor, "networks": "none"}
        reply = await self.call(self.world.apis[0], "POST", SERVERS, {"server": body})
        return reply.status == 202

    async def call(
        self, api: "ApiSite", method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Reply:
        """An answer, looked at for what no answer may be. Raises Unanswered."""
        try:
            reply = await self.caller.call(api, method, path, body, headers)
        except Unanswered:
            self.world.tell(self.name, f"{method} {_short(path, body)} by {api.name}: no answer")
            raise
        self.world.tell(self.name, f"{method} {_short(path, body)} by {api.name}: {reply.status}")
        late = reply.status == 401 and api.clock.offset_ms + self.world.loop.time() * 1000 > TOKEN_MS
        if reply.status not in EXPECTED and not late:
            self._violated(f"{method} {path} by {api.name} was answered {reply.status}: {reply.body[:300]!r}")
        if SECRET in reply.body or base64.b64encode(SECRET) in reply.body:
            self._violated(f"{method} {path} by {api.name} showed a secret")
        return reply

    def _violated(self, what: str) -> None:
        self.world.checkers.violated(what)


def _not_built(reply: Reply) -> bool:
    return b"on any host" in reply.body or b"There is no guest" in reply.body


def _short(path: str, body: Any) -> str:
    words = path.removeprefix("/compute/v2.1")
    if isinstance(body, dict) and path.endswith("/action"):
        words += f" {next(iter(body))}"
    elif isinstance(body, dict) and isinstance(body.get("server"), dict):
        words += f" {body['server'].get('name', '')}"
    return words
