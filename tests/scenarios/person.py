"""One project's user in a story: asks by name, says in words what was answered, and polls for changes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from freehold.sim.calls import Reply, Unanswered
from freehold.sim.people import SERVERS, Client, Known
from freehold.sim.site import ApiSite

NO_ANSWER: Final = "no answer"
BEGINNING: Final = "1970-01-01T00:00:00Z"
UNTIL: Final = "freehold-changes-until"
"""What an answer says to ask for next: see docs/decisions/0007."""


@dataclass(slots=True)
class Person(Client):
    """See the module. `last`: the body of the last answer."""

    last: bytes = b""
    polled: dict[str, str] = field(default_factory=dict)
    """What polling has shown of each guest, by name."""
    _since: str = BEGINNING

    async def call(
        self, api: ApiSite, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Reply:
        """See Client."""
        reply = await Client.call(self, api, method, path, body, headers)
        self.last = reply.body
        return reply

    def called(self, name: str) -> Iterator[Known]:
        """The newest guest of that name, if there was ever one."""
        yield from [known for known in self.guests.values() if known.name == name][-1:]

    async def make(self, name: str) -> str:
        """Asks the first API for a guest."""
        body = {
            "name": name,
            "imageRef": self.world.image_id,
            "flavorRef": self.world.flavor,
            "networks": [{"uuid": self.project["network"]}],
        }
        self.asked += 1
        key = f"key-{name}-{self.asked}"
        try:
            await self.create(self.world.apis[0], key, body)
        except Unanswered:
            self.unsure.append((key, body))
            return f"{name}: {NO_ANSWER}"
        return f"{name} is admitted" if any(self.called(name)) else f"{name} is refused: {self._why()}"

    async def end(self, known: Known) -> str:
        """Asks the first API to delete a guest."""
        try:
            await self.delete(self.world.apis[0], known)
        except Unanswered:
            return f"{known.name}: {NO_ANSWER}"
        return f"{known.name} will be deleted" if known.deleted else f"{known.name} isn't deleted: {self._why()}"

    async def act(self, known: Known, action: dict[str, Any]) -> str:
        """Asks the first API to do something with a guest."""
        try:
            reply = await self.call(self.world.apis[0], "POST", f"{SERVERS}/{known.id}/action", action)
        except Unanswered:
            return f"{known.name}: {NO_ANSWER}"
        return f"{known.name}: accepted" if reply.status == 202 else f"{known.name} is refused: {self._why()}"

    async def look(self, api: ApiSite, known: Known) -> str:
        """What an API shows of a guest: its status, or that it is gone."""
        try:
            reply = await self.get(api, known)
        except Unanswered:
            return NO_ANSWER
        if reply.status == 404:
            return "gone"
        return _status(reply.json["server"]) if reply.status == 200 else str(reply.status)

    async def listed(self, api: ApiSite) -> list[str]:
        """The list of an API, a line a guest."""
        try:
            servers = await self.list(api)
        except Unanswered:
            return [NO_ANSWER]
        if servers is None:
            return [f"refused: {self._why()}"]
        return [f"{server['name']} {_status(server)} {_address(server)}".rstrip() for server in servers]

    async def poll(self, api: ApiSite) -> list[str]:
        """Asks what has changed since the moment that the last answer named."""
        try:
            reply = await self.call(api, "GET", f"{SERVERS}/detail?changes-since={self._since}")
        except Unanswered:
            return [NO_ANSWER]
        if reply.status != 200:
            return [f"refused: {self._why()}"]
        self._since = reply.headers[UNTIL]
        shown = {server["name"]: _status(server) for server in reply.json["servers"]}
        self.polled |= shown
        return [f"{name} {status}" for name, status in sorted(shown.items())] or ["nothing has changed"]

    async def remove_trial(self) -> None:
        """Deletes the guest by which settling has tried whether there is room for one more."""
        api = self.world.apis[0]
        for server in await self.list(api) or []:
            if server["id"] not in self.guests:
                trial = self.guests[server["id"]] = Known(server["id"], server["name"])
                await self.delete(api, trial)
                while await self.look(api, trial) != "gone":
                    await self.world.people_wait(0.5)

    def _why(self) -> str:
        """The reason that the last answer gave."""
        for key in (b'"message": "', b'"message":"'):
            if key in self.last:
                return self.last.partition(key)[2].partition(b'"')[0].decode()
        return self.last.decode()


def _status(server: dict[str, Any]) -> str:
    doing = server["OS-EXT-STS:task_state"]
    return f"{server['status']} ({doing})" if doing else str(server["status"])


def _address(server: dict[str, Any]) -> str:
    return " ".join(port["addr"] for ports in server["addresses"].values() for port in ports)
