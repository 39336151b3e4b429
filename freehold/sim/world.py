"""A cloud in a world that fails: sites, the bus between them, and everything that may be done to them."""

import asyncio
import shutil
from collections import Counter
from collections.abc import Callable
from contextvars import copy_context
from hashlib import blake2b
from pathlib import Path
from random import Random
from typing import Any, Final

from freehold.drivers.backup.simulated import Shelf
from freehold.drivers.hypervisor.simulated import SimulatedGuest
from freehold.runtime.chance import SeededChance, new_id
from freehold.sim.calls import Caller, Unanswered
from freehold.sim.checkers import Checkers
from freehold.sim.loop import SimLoop
from freehold.sim.losses import Operator
from freehold.sim.network import Network, Weather
from freehold.sim.notifier_site import NotifierSite
from freehold.sim.old_disks import OldDisks
from freehold.sim.plan import GIGABYTES_QUOTA, QUOTA, VOLUMES_QUOTA, Scale
from freehold.sim.pool_site import PoolSite
from freehold.sim.process import Process
from freehold.sim.receivers import Receivers
from freehold.sim.sayings import Sayings
from freehold.sim.site import (
    PASSWORD,
    ApiSite,
    HostSite,
    ImageSite,
    NetworkSite,
    RegistrarSite,
    SchedulerSite,
    Site,
)
from freehold.sim.transcript import Transcript
from freehold.vocabulary.errors import Broken, NoRoom, Unavailable
from freehold.vocabulary.guest import Power

CALLERS_PLACE = "people"
VERBS: Final = ("launch", "launch", "make_disk", "remove", "stop", "shut_down", "guests", "power")
ERRORS: Final = (
    Broken("The hypervisor broke."),
    NoRoom("The machine has no memory left."),
    Unavailable("The guest's process doesn't answer."),
)


class World:
    """See the module. `folder` is for views; it is the world's alone."""

    def __init__(self, seed: int, scale: Scale, loop: SimLoop, folder: Path, *, keep: bool = False) -> None:
        self.seed, self.scale, self.loop, self.folder = seed, scale, loop, folder
        self.random = Random(f"world {seed}")
        self.chance = SeededChance(self.seeded("strangers"))
        self.faults: Counter[str] = Counter()
        self.transcript = Transcript(loop.time, keep=keep)
        self.network = Network(Random(f"bus {seed}"), self.faults, self._broken)
        self.checkers = Checkers(self)
        self.registrars = [RegistrarSite(self, shard) for shard in range(scale.shards)]
        self.image = ImageSite(self, "image")
        self.networks = NetworkSite(self, "network")
        self.schedulers = [SchedulerSite(self, f"scheduler-{n}") for n in range(scale.schedulers)]
        self.apis = [ApiSite(self, f"api-{n}") for n in range(scale.apis)]
        self.hosts = [HostSite(self, f"host-{n}") for n in range(scale.hosts)]
        self.old_disks = OldDisks(self)
        self.pools = [PoolSite(self, f"volume-{n}") for n in range(scale.pools)]
        self.receivers = Receivers(self)
        self.notifier = NotifierSite(self, "notifier") if scale.notifies else None
        all_sites: list[Site] = [*self.registrars, self.image, self.networks, *self.schedulers, *self.apis, *self.hosts]
        all_sites += [*self.pools, *([self.notifier] if self.notifier is not None else [])]
        self.sites: dict[str, Site] = {site.name: site for site in all_sites}
        self.people = Process("people")
        self._context = copy_context()
        self.calm = False
        self.all_came_s = 0.0
        """When the last of the messages that are late has come."""
        self.around_verb: Callable[[Site, str, str, int], bool] | None = None
        """Asked before, in and after each call of a host's driver whether its process has been killed there."""
        self.asked_by: Callable[[], object] | None = None
        """Called when a role stages something, from within that call."""
        self.projects: list[dict[str, str]] = []
        self.operator = Operator(self, Caller(self, self.people, CALLERS_PLACE))
        self.shelf: Shelf | None = None
        """Where every owner keeps its backup, if they are to have any."""
        self.image_id = ""
        self.flavor = "1"
        for site in all_sites:
            if site.store is not None:
                self.checkers.watch_store(site)
        sayings = Sayings(self)
        self.network.watchers.append(sayings.published)
        self.network.answer_watchers.append(sayings.answered)

    def seeded(self, name: str) -> int:
        """A seed of its own for something in this world."""
        return int.from_bytes(blake2b(f"{self.seed}/{name}".encode(), digest_size=8).digest(), "big")

    def later(self, delay_s: float, work: Callable[..., object], *args: Any) -> None:
        """Calls `work` in `delay_s`, as nobody's process: whoever asks for it may be dead by then."""
        self.loop.call_later(delay_s, work, *args, context=self._context)

    def tell(self, who: str, what: str) -> None:
        """A line of the transcript."""
        self.transcript.tell(who, what)

    def _broken(self, where: str, error: BaseException) -> None:
        if self.checkers.excused(error):
            return
        self.checkers.violated(f"{where} raised {type(error).__name__}: {error}")

    # --- the beginning ---------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """A cloud that is up, with two projects that have a user, a network and quotas each, and an image."""
        for site in self.sites.values():
            site.start()
        for site in self.sites.values():
            await site.opened.wait()
        admin = await self.signed_in("admin", PASSWORD, "admin")
        self.operator.caller.token = admin.token
        for number in range(self.scale.projects):
            self.projects.append(await self._project(admin, number))
        await self._image(admin)
        self.tell("world", f"{len(self.hosts)} hosts, {len(self.apis)} APIs, {len(self.schedulers)} schedulers are up")

    async def signed_in(self, user: str, password: str, project: str) -> Caller:
        """Somebody with a token."""
        caller = Caller(self, self.people, CALLERS_PLACE)
        auth = {
            "identity": {
                "methods": ["password"],
                "password": {"user": {"name": user, "domain": {"id": "default"}, "password": password}},
            },
            "scope": {"project": {"name": project, "domain": {"id": "default"}}},
        }
        reply = await self.sure(caller, "POST", "/identity/v3/auth/tokens", {"auth": auth})
        caller.token = reply.headers["x-subject-token"]
        return caller

    async def people_wait(self, seconds: float) -> None:
        """Lets time pass."""
        await asyncio.sleep(seconds)

    async def sure(self, caller: Caller, method: str, path: str, body: Any = None) -> Any:
        """The answer of the first API, while nothing goes wrong yet; anything but success ends the run."""
        for _ in range(20):
            try:
                reply = await caller.call(self.apis[0], method, path, body)
            except Unanswered:
                continue
            if reply.status < 300:
                return reply
            if reply.status not in (401, 503):
                raise AssertionError(f"{method} {path}: {reply.status} {reply.body[:300]!r}")
            await asyncio.sleep(1.0)
        raise AssertionError(f"{method} {path} wasn't answered while nothing went wrong")

    async def _project(self, admin: Caller, number: int) -> dict[str, str]:
        name = f"project-{number}"
        project = (await self.sure(admin, "POST", "/identity/v3/projects", {"project": {"name": name}})).json["project"]
        user = {"name": f"user-{number}", "password": PASSWORD}
        person = (await self.sure(admin, "POST", "/identity/v3/users", {"user": user})).json["user"]
        roles = (await self.sure(admin, "GET", "/identity/v3/roles?name=member")).json["roles"]
        grant = f"/identity/v3/projects/{project['id']}/users/{person['id']}/roles/{roles[0]['id']}"
        await self.sure(admin, "PUT", grant)
        quota = {"quota_set": {"instances": QUOTA}}
        await self.sure(admin, "PUT", f"/compute/v2.1/os-quota-sets/{project['id']}", quota)
        if self.pools:
            limits = {"quota_set": {"volumes": VOLUMES_QUOTA, "gigabytes": GIGABYTES_QUOTA, "snapshots": -1}}
            await self.sure(admin, "PUT", f"/volume/v3/os-quota-sets/{project['id']}", limits)
        caller = await self.signed_in(user["name"], PASSWORD, name)
        made = await self.sure(caller, "POST", "/network/v2.0/networks", {"network": {"name": "net"}})
        network = made.json["network"]
        if self.notifier is not None:
            await self.receivers.ask(caller, project["id"])
        subnet = {"network_id": network["id"], "cidr": "10.0.0.0/28", "ip_version": 4}
        await self.sure(caller, "POST", "/network/v2.0/subnets", {"subnet": subnet})
        return {"id": project["id"], "name": name, "network": network["id"], "token": caller.token}

    async def _image(self, admin: Caller) -> None:
        record = {"name": "demo", "visibility": "public", "disk_format": "raw", "container_format": "bare"}
        made = (await self.sure(admin, "POST", "/image/v2/images", record)).json
        self.image_id = made["id"]

        async def chunks() -> Any:
            yield b"\0" * 1024

        worker, process = self.image.worker, self.image.process
        assert worker is not None and process is not None
        await process.start(worker.transfers.take(self.image_id, chunks()))

    # --- what goes wrong -------------------------------------------------------------------------------------------

    def role_ended(self, site: Site, process: Process) -> None:
        """A role has ended by itself: its supervisor starts it again."""
        self.tell(site.name, f"ended by itself: {site.ends}")
        if not self.checkers.role_may_end(site):
            self.checkers.violated(f"{site.name} ended by itself: {site.ends}")
        if site.process is process:
            site.kill()
            self.later(1.0, site.start)

    def kill(self, site: Site, for_s: float) -> None:
        """kill -9; a supervisor starts it again after `for_s`."""
        if site.process is None or not site.process.alive:
            return
        self.faults["killed"] += 1
        self.tell(site.name, f"killed for {for_s:g} s")
        site.kill()
        self.later(for_s, site.start)

    def kill_at_commit(self, site: Site, for_s: float, pick: float) -> None:
        """kill -9 just before, in the middle of or just after one of the next commits: before anybody hears of it."""
        store = site.store
        assert store is not None
        when, left = ("before", "during", "after")[int(pick * 1000) % 3], int(pick * 7000) % 4

        def at_commit(moment: str, process: Process) -> bool:
            nonlocal left
            if moment != when or process is not site.process:
                return False
            left -= 1
            if left < 0:
                store.at_commit = None
                self.tell(site.name, f"killed {when} a commit, for {for_s:g} s")
                self.faults["killed at a commit"] += 1
                site.kill()
                self.later(for_s, site.start)
            return left < 0

        store.at_commit = at_commit

    def pause(self, site: Site, for_s: float) -> None:
        """The process stands still, as under a debugger or a migrating hypervisor."""
        process = site.process
        if process is None or not process.runs:
            return
        self.faults["paused"] += 1
        self.tell(site.name, f"stands still for {for_s:g} s")
        process.pause()
        self.later(for_s, process.go_on, self.loop.take_up)

    def cut_power(self, host: HostSite, for_s: float) -> None:
        """A machine that runs guests loses power and comes back."""
        self.faults["power cut"] += 1
        self.tell(host.name, f"loses power for {for_s:g} s")
        host.lose_power()
        self.later(for_s, host.start)

    def die(self, host: HostSite) -> None:
        """A machine is lost for good, with its disk and its guests; the last one isn't."""
        if sum(not other.dead for other in self.hosts) < 2 or host.dead:
            return
        self.faults["host died"] += 1
        self.tell(host.name, "dies for good")
        host.die()

    def put_stranger(self, host: HostSite) -> None:
        """Somebody runs a guest on a machine by hand, past the worker."""
        if host.dead:
            return
        stranger = new_id(self.chance)
        self.faults["guest appeared"] += 1
        self.tell(host.name, f"guest {stranger[:8]} appears")
        host.strangers[stranger] = None
        host.guests[stranger] = SimulatedGuest(power=Power.RUNNING, disk_gib=1, boots=1)

    def delete_view(self, site: ApiSite | SchedulerSite) -> None:
        """A reader is killed, and its view's files are deleted before it starts again."""
        self.faults["view deleted"] += 1
        self.tell(site.name, "killed, and its view deleted")
        site.kill()
        shutil.rmtree(site.path, ignore_errors=True)
        self.later(0.5, site.start)

    def fail_disk(self, site: Site, for_s: float, share: float) -> None:
        """Commits of a site fail."""
        assert site.store is not None
        self.faults["disk fails"] += 1
        self.tell(site.name, f"disk fails for {for_s:g} s")
        site.store.failing = share
        self.later(for_s, setattr, site.store, "failing", 0.0)

    def fail_driver(self, host: HostSite, pick: float) -> None:
        """The next call of a verb of the hypervisor fails; sometimes the next few do."""
        if host.hypervisor is None or not host.up:
            return
        verb = VERBS[int(pick * 1000) % len(VERBS)]
        error = ERRORS[int(pick * 7000) % len(ERRORS)]
        times = 1 + int(pick * 13000) % 4
        self.faults["driver fails"] += times
        self.tell(host.name, f"the next {times} calls of {verb} fail: {type(error).__name__}")
        for _ in range(times):
            host.hypervisor.fail(verb, error)

    def hang_driver(self, host: HostSite, pick: float) -> None:
        """The next call of a verb of the hypervisor never returns; sometimes the next two don't."""
        if host.hypervisor is None or not host.up:
            return
        verb, times = VERBS[int(pick * 1000) % len(VERBS)], 1 + int(pick * 13000) % 2
        self.faults["driver hangs"] += times
        self.tell(host.name, f"the next {times} calls of {verb} never return")
        host.hangs[verb] = host.hangs.get(verb, 0) + times

    def fail_fetch(self, host: HostSite, for_s: float) -> None:
        """The image can't be fetched for a while."""
        images = host.images
        if images is None or not host.up:
            return
        self.faults["image can't be fetched"] += 1
        self.tell(host.name, f"can't fetch the image for {for_s:g} s")
        images.faults[self.image_id] = Unavailable("the image worker can't be reached")
        self.later(for_s, images.faults.pop, self.image_id, None)

    def move_clock(self, site: Site, by_s: float) -> None:
        """A wall clock jumps."""
        self.faults["clock moved"] += 1
        self.tell(site.name, f"clock moved by {by_s:.1f} s")
        site.clock.offset_ms += int(by_s * 1000)

    def change_guest(self, host: HostSite, pick: float, power: Power | None) -> None:
        """A guest that runs powers itself off, crashes, stands still, or (None) is gone with its disk."""
        running = [guest for guest in host.guests.running() if guest not in host.strangers]
        if not running:
            return
        guest = running[int(pick * len(running)) % len(running)]
        self.faults["guest changed"] += 1
        self.tell(host.name, f"guest {guest[:8]} is now {power or 'gone'}")
        driver = host.hypervisor if host.up else None
        if driver is not None and power is Power.OFF:
            driver.power_off(guest)
        elif driver is not None and power is Power.CRASHED:
            driver.crash(guest)
        elif driver is not None and power is Power.PAUSED:
            driver.pause(guest)
        elif driver is not None:
            driver.vanish(guest)
        elif power is None:
            del host.guests[guest]
        else:
            held = host.guests[guest]
            host.guests[guest] = SimulatedGuest(
                power=power, disk_gib=held.disk_gib, drive=held.drive, plan=held.plan, boots=held.boots
            )

    def heal(self) -> None:
        """Nothing goes wrong any more: everything runs and reaches everything, clocks are right."""
        self.calm = True
        self.all_came_s = self.loop.time() + self.network.weather.late_s_max
        self.tell("world", "nothing goes wrong any more")
        self.network.weather = Weather()
        self.network.mend_all()
        self.network.forget_dead()
        for site in self.sites.values():
            site.clock.offset_ms = 0
            if site.store is not None:
                site.store.failing = 0.0
                site.store.at_commit = site.store.to_put_back = None
            if isinstance(site, HostSite | PoolSite):
                site.mend_drivers()
            if site.process is not None and site.process.paused:
                site.process.go_on(self.loop.take_up)
            if site.process is None or not site.process.alive:
                site.start()
