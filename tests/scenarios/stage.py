"""Where a story is played: a simulated cloud, the people of its projects, and what has happened lately."""

from collections.abc import Iterator
from typing import Final

from freehold.drivers.backup.simulated import Shelf
from freehold.runtime.chance import SeededChance
from freehold.sim.calls import Caller
from freehold.sim.disk import StoreFile
from freehold.sim.people import Known
from freehold.sim.plan import Scale
from freehold.sim.site import PASSWORD, Site
from freehold.sim.world import CALLERS_PLACE, World
from tests.scenarios.person import Person

SIGNED_IN_S: Final = 1500.0
"""After this people sign in again: a token lives an hour."""
IMAGE_S: Final = 5.0
RAM_STEP_MIB: Final = 8
"""What each host has less than the one before: no two are equal to a scheduler, so that chance chooses nothing."""

Lines = list[str]


def cloud_of(command: str) -> tuple[int, Scale]:
    """The seed and the size of the cloud that the first command of a story asks for."""
    verb, *words = command.split()
    assert verb == "cloud", f"a story begins with its cloud, not with {command!r}"
    given = {"seed": 1, "projects": 1}
    given |= {name: int(number) for name, _, number in (word.partition("=") for word in words) if number}
    return given.pop("seed"), Scale(**given)


class Stage:
    """See the module. `told` is what has happened since the log was last read, in the order in which it did."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.people: list[Person] = []
        self.chance = SeededChance(1)
        self.told: Lines = []
        self.pages: dict[tuple[str, str], bytes] = {}
        """The list that each API last showed each person, as it came."""
        self._epochs: dict[str, str] = {}
        self._signed_in_s = 0.0
        self._to_transcript = world.transcript.tell
        world.transcript.tell = self._hear  # type: ignore[method-assign]

    async def open(self, *, backed_up: bool) -> None:
        """Begins the cloud, with a person for each project; the image that all boot from is there."""
        self.world.shelf = Shelf() if backed_up else None
        for number, host in enumerate(self.world.hosts):
            host.ram_mib -= number * RAM_STEP_MIB
        await self.world.begin()
        await self.world.people_wait(IMAGE_S)
        for site in self.world.sites.values():
            if site.store is not None:
                self._watch_epoch(site, site.store)
        for number, project in enumerate(self.world.projects):
            caller = Caller(self.world, self.world.people, CALLERS_PLACE, project["token"])
            self.people.append(Person(self.world, number, project, caller))
        self.look_at_epochs()
        self.told.clear()

    async def stay_signed_in(self) -> None:
        """Gives people new tokens before the old ones end."""
        if self.world.loop.time() - self._signed_in_s < SIGNED_IN_S:
            return
        for person in self.people:
            signed_in = await self.world.signed_in(f"user-{person.number}", PASSWORD, person.project["name"])
            person.caller.token = signed_in.token
        self._signed_in_s = self.world.loop.time()

    def owned(self, name: str) -> tuple[Person, Known]:
        """The guest of that name, and whose it is."""
        return next((person, known) for person in self.people for known in person.called(name))

    def named(self, text: str) -> str:
        """A text with the names of guests and sites in the place of their ids."""
        for known in self._everyone():
            text = text.replace(known.id, known.name).replace(known.id[:8], known.name)
        for site in self.world.sites.values():
            if site.store is not None and site.store.id:
                text = text.replace(site.store.id, site.name)
        return text

    def _everyone(self) -> Iterator[Known]:
        return (known for person in self.people for known in person.guests.values())

    def _hear(self, who: str, what: str) -> None:
        self.told.append(f"{who}: {what}")
        self._to_transcript(who, what)

    def look_at_epochs(self) -> None:
        """Tells of every owner that goes on under another epoch."""
        for site in self.world.sites.values():
            if site.store is not None and site.store.rows():
                self._look_at_epoch(site, site.store)

    def _watch_epoch(self, site: Site, store: StoreFile) -> None:
        """Tells of it when it happens, as far as a commit shows it."""
        committed = store.committed

        def look() -> None:
            committed()
            self._look_at_epoch(site, store)

        store.committed = look

    def _look_at_epoch(self, site: Site, store: StoreFile) -> None:
        epoch = store.position().epoch
        before, self._epochs[site.name] = self._epochs.get(site.name, epoch), epoch
        if epoch != before:
            self.world.tell(site.name, "epoch changed")
