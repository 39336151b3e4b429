"""A project's volumes, as its client asks for them, and what it was promised of them."""

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from freehold.sim.calls import Reply, Unanswered

if TYPE_CHECKING:
    from freehold.sim.people import Client
    from freehold.sim.site import ApiSite

VOLUMES: Final = "volumes"
SNAPSHOTS: Final = "snapshots"
SERVERS: Final = "/compute/v2.1/servers"
SIZES_GIB: Final = (1, 2, 5)
GOES_TOO_EVERY: Final = 5
"""One attachment in so many is of a volume that is deleted with its guest."""
WHILE_S: Final = 20
ATTACHING: Final = {"openstack-api-version": "compute 2.79"}


@dataclass(slots=True)
class Disk:
    """A volume or a snapshot that was promised."""

    id: str
    noun: str
    size_gib: int
    volume: str = ""
    """The volume that it is a snapshot of."""
    guest: str = ""
    """The guest that it was given to last."""
    deletes: int = 0
    """Those that were sent, and not refused."""
    gone: bool = False

    @property
    def deleting(self) -> bool:
        """Whether it may vanish at any moment."""
        return self.deletes > 0


@dataclass(slots=True)
class Volumes:
    """What one client knows of its project's."""

    client: "Client"
    disks: dict[str, Disk] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    unsure: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    """Creates that weren't answered: (noun, idempotency key, body)."""
    asked: int = 0

    async def ask(self, api: "ApiSite", what: str, pick: int) -> None:
        """Does what the plan says. Raises Unanswered."""
        self.asked += 1
        size_gib = SIZES_GIB[pick % len(SIZES_GIB)]
        match what:
            case "volume":
                await self._create(api, VOLUMES, {"size": size_gib})
            case "volume of an image":
                await self._create(api, VOLUMES, {"size": size_gib, "imageRef": self.client.world.image_id})
            case "volume list":
                await self.list(api, VOLUMES)
            case "volume snapshot" if disk := self._pick(VOLUMES, pick):
                await self._create(api, SNAPSHOTS, {"volume_id": disk.id, "force": True}, disk)
            case "volume copy" if disk := self._pick(SNAPSHOTS, pick):
                await self._create(api, VOLUMES, {"snapshot_id": disk.id, "size": disk.size_gib + pick % 2})
            case "volume delete" if disk := self._pick(VOLUMES, pick):
                await self.delete(api, disk)
            case "snapshot delete" if disk := self._pick(SNAPSHOTS, pick):
                await self.delete(api, disk)
            case "volume get" if disk := self._pick((VOLUMES, SNAPSHOTS)[pick % 2], pick):
                await self.get(api, disk)
            case "volume extend" if disk := self._pick(VOLUMES, pick):
                await self._extend(api, disk)
            case "volume rename" if disk := self._pick(VOLUMES, pick):
                await self._call(api, "PUT", f"{VOLUMES}/{disk.id}", {"volume": {"name": f"renamed {pick}"}})

            case "volume attach" | "volume detach" | "volume for a while":
                await self._plug(api, what, pick)

    async def _have_for_a_while(self, api: "ApiSite", pick: int) -> None:
        """Gives a volume to a guest that runs, and takes it again, or has the guest deleted, not long after."""
        known = await self.client.what_runs(api, pick)
        free = [disk for disk in self.disks.values() if disk.noun == VOLUMES and not disk.guest and not disk.deleting]
        if not free:
            await self._create(api, VOLUMES, {"size": 1})
            await asyncio.sleep(WHILE_S)
            free = [disk for disk in self.disks.values() if disk.noun == VOLUMES and not disk.guest]
        if known is None or not free:
            return
        disk = free[(pick >> 8) % len(free)]
        disk.deletes += pick % GOES_TOO_EVERY == 0
        await self.attach(api, disk, known.id, goes_too=pick % GOES_TOO_EVERY == 0)
        await asyncio.sleep(pick % WHILE_S)
        match pick % 4:
            case 0:
                await self.client.delete(api, known)
            case 1 | 2:
                await self.detach(api, disk)
                disk.guest = ""

    async def _plug(self, api: "ApiSite", what: str, pick: int) -> None:
        disk, known = self._pick(VOLUMES, pick, attached=what == "volume detach"), self.client._known(pick)
        if what == "volume for a while":
            await self._have_for_a_while(api, pick)
        elif disk is not None and what == "volume detach":
            await self.detach(api, disk)
        elif disk is not None and known is not None:
            goes_too = pick % GOES_TOO_EVERY == 0
            disk.deletes += goes_too
            await self.attach(api, disk, known.id, goes_too=goes_too)

    def _pick(self, noun: str, pick: int, *, attached: bool = False) -> Disk | None:
        there = [disk for disk in self.disks.values() if disk.noun == noun and not disk.gone]
        there = [disk for disk in there if disk.guest] if attached else there
        return there[(pick >> 8) % len(there)] if there else None

    async def _create(self, api: "ApiSite", noun: str, body: dict[str, Any], of: Disk | None = None) -> None:
        key = f"{noun}-{self.client.number}-{self.asked}"
        body = {"name": f"{noun[:-1]}-{self.asked}", **body}
        try:
            await self.create(api, noun, key, body)
        except Unanswered:
            self.unsure.append((noun, key, body))
            raise

    async def create(self, api: "ApiSite", noun: str, key: str, body: dict[str, Any]) -> None:
        """Creates with an idempotency key, and looks for it elsewhere."""
        reply = await self._call(api, "POST", noun, {noun[:-1]: body}, {"idempotency-key": key})
        if reply.status != 202:
            if reply.status >= 500:
                self.unsure.append((noun, key, body))
            return
        made = reply.json[noun[:-1]]
        if self.keys.setdefault(key, made["id"]) != made["id"]:
            self._violated(f"key {key} gave {self.keys[key]} and then {made['id']}")
        if made["id"] not in self.disks:
            disk = self.disks[made["id"]] = Disk(made["id"], noun, made["size"], body.get("volume_id", ""))
            await self.get(self.client._other(), disk)

    async def delete(self, api: "ApiSite", disk: Disk) -> None:
        """Deletes one. What has snapshots, or is busy, stays."""
        disk.deletes += 1
        reply = await self._call(api, "DELETE", f"{disk.noun}/{disk.id}")
        if reply.status in (400, 409):
            disk.deletes -= 1
        if reply.status == 404:
            disk.gone = True

    async def get(self, api: "ApiSite", disk: Disk) -> Reply:
        """Reads one: there since the 202, away since the 404 after its delete."""
        gone_before = disk.gone
        reply = await self._call(api, "GET", f"{disk.noun}/{disk.id}")
        if reply.status == 404 and not disk.deleting:
            self._violated(f"{disk.noun} {disk.id} was admitted, and {api.name} doesn't find it")
        if reply.status == 200 and gone_before:
            self._violated(f"{disk.noun} {disk.id} was gone, and {api.name} shows it again")
        if reply.status == 404:
            disk.gone = True
        return reply

    async def _extend(self, api: "ApiSite", disk: Disk) -> None:
        body = {"os-extend": {"new_size": disk.size_gib + 1}}
        reply = await self._call(api, "POST", f"{VOLUMES}/{disk.id}/action", body)
        if reply.status == 202:
            disk.size_gib += 1

    async def attach(self, api: "ApiSite", disk: Disk, guest: str, *, goes_too: bool = False) -> Reply:
        """Gives a volume to a guest. `goes_too`: it is deleted with the guest."""
        body = {"volumeAttachment": {"volumeId": disk.id, "delete_on_termination": goes_too}}
        reply = await self.client.call(api, "POST", f"{SERVERS}/{guest}/os-volume_attachments", body, ATTACHING)
        if reply.status == 200:
            disk.guest = guest
        return reply

    async def detach(self, api: "ApiSite", disk: Disk) -> Reply:
        """Takes a volume from the guest that it was given to last."""
        return await self.client.call(api, "DELETE", f"{SERVERS}/{disk.guest}/os-volume_attachments/{disk.id}")

    async def list(self, api: "ApiSite", noun: str) -> list[dict[str, Any]] | None:
        """All that were promised before, and none that was gone before."""
        before = {disk.id for disk in self.disks.values() if disk.noun == noun and not disk.deleting}
        gone = {disk.id for disk in self.disks.values() if disk.gone}
        reply = await self._call(api, "GET", f"{noun}/detail")
        if reply.status != 200:
            return None
        shown: list[dict[str, Any]] = reply.json[noun]
        there = {one["id"] for one in shown}
        missing = sorted(one for one in before - there if not self.disks[one].deleting)
        if missing:
            self._violated(f"{noun} {missing[0]} was admitted, and isn't in the list of {api.name}")
        if back := sorted(there & gone):
            self._violated(f"{noun} {back[0]} was gone, and is in the list of {api.name} again")
        return shown

    async def make_sure(self) -> bool:
        """Asks again for what wasn't answered; True when nothing is unsure."""
        unsure, self.unsure = self.unsure, []
        for number, (noun, key, body) in enumerate(unsure):
            try:
                await self.create(self.client._api(number), noun, key, body)
            except Unanswered:
                self.unsure.append((noun, key, body))
        return not self.unsure

    async def _call(
        self, api: "ApiSite", method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Reply:
        return await self.client.call(api, method, f"/volume/v3/{self.client.project['id']}/{path}", body, headers)

    def _violated(self, what: str) -> None:
        self.client.world.checkers.violated(what)
