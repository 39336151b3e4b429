"""A registrar shard keeps what is its own, and stays the shard it was made as."""

from pathlib import Path

import pytest

from freehold.bus import subjects, talk
from freehold.store.database import put
from freehold.vocabulary.codec import encode, kind_of
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import BadRequest, Broken, Conflict
from freehold.vocabulary.request import Admit, Admitted, CloseProject, SaveTenant, TenantRecord
from freehold.vocabulary.shards import Shards
from freehold.vocabulary.tenant import Flavor, Quota
from freehold.vocabulary.token import Scope, SignIn, Token
from freehold.workers.base import Means
from freehold.workers.registrar.worker import RegistrarWorker
from tests.owners import a_build, means_of, project, store_at
from tests.workers.registrar.bench import PASSWORD

TWO = Shards(2)
MINE, OTHERS = (next(name for name in "abcdefgh" if TWO.of(name) == shard) for shard in (1, 0))


def means_with(shards: Shards) -> Means:
    means = means_of()
    return Means(means.bus, means.clock, means.chance, means.offload, shards)


class Shard:
    """Shard 1 of 2, alone on its bus."""

    def __init__(self, folder: Path) -> None:
        self.means, self.path = means_with(TWO), folder / "registrar-1.db"

    async def open(self) -> None:
        self.store = await store_at(self.path, self.means, shard=1)
        self.worker = RegistrarWorker(self.means, self.store)
        await self.worker.open()

    async def close(self) -> None:
        await self.worker.close()
        await self.store.close()

    async def save(self, key: str, record: TenantRecord) -> Done:
        question = SaveTenant(kind=kind_of(record), key=key, record=encode(record))
        return await talk.ask(self.means.bus, subjects.ask_shard(1), question, Done)

    async def admit(self, wanted: str) -> Admitted:
        question = Admit(builds=(a_build(urn="", project=wanted),))
        return await talk.ask(self.means.bus, subjects.ask_shard(1), question, Admitted)


async def test_it_admits_for_its_own_projects_by_its_own_quotas(tmp_path: Path) -> None:
    shard = Shard(tmp_path)
    await shard.open()
    await shard.save(MINE, Quota(project=MINE, instances=1))
    assert (await shard.admit(MINE)).guests
    with pytest.raises(Broken, match="is for registrar shard 0 and came to shard 1"):
        await shard.admit(OTHERS)
    with pytest.raises(Broken):
        await shard.save(OTHERS, Quota(project=OTHERS))
    await shard.close()


async def test_people_and_flavors_are_the_identity_shards(tmp_path: Path) -> None:
    shard = Shard(tmp_path)
    await shard.open()
    with pytest.raises(Broken):
        await shard.save("f", Flavor(id="f", name="f", vcpus=1, ram_mib=1, disk_gib=1))
    signing_in = SignIn(user_name="admin", domain="default", password=PASSWORD, scope=Scope())
    with pytest.raises(Broken):
        await talk.ask(shard.means.bus, subjects.ask_shard(1), signing_in, Token)
    assert shard.store.owner.shard == 1
    await shard.close()


async def test_a_closed_project_gets_no_guests(tmp_path: Path) -> None:
    shard = Shard(tmp_path)
    await shard.open()
    await shard.save(MINE, Quota(project=MINE, instances=1))
    close = CloseProject(project=MINE)
    await talk.ask(shard.means.bus, subjects.ask_shard(1), close, Done)
    with pytest.raises(Conflict, match="is being deleted"):
        await shard.admit(MINE)
    assert shard.store.read_as(Quota, MINE) is None
    await talk.ask(shard.means.bus, subjects.ask_shard(1), close, Done)  # again, by one who didn't hear the answer
    await shard.close()


async def test_a_project_with_guests_isnt_closed(tmp_path: Path) -> None:
    shard = Shard(tmp_path)
    await shard.open()
    await shard.admit(MINE)
    with pytest.raises(Conflict, match="still has guests"):
        await talk.ask(shard.means.bus, subjects.ask_shard(1), CloseProject(project=MINE), Done)
    assert (await shard.admit(MINE)).guests, "it goes on"
    await shard.close()


@pytest.mark.parametrize(("count", "number"), [(1, 0), (3, 1), (2, 0)])
async def test_a_store_stays_the_shard_it_was_made_as(tmp_path: Path, count: int, number: int) -> None:
    shard = Shard(tmp_path)
    await shard.open()
    await shard.close()
    means = means_with(Shards(count))
    store = await store_at(shard.path, means, shard=number)
    worker = RegistrarWorker(means, store)
    with pytest.raises(BadRequest, match=f"is shard 1 of 2, and it is started as shard {number} of {count}"):
        await worker.open()
    with pytest.raises(BadRequest):
        await worker.bootstrap(PASSWORD)
    await store.close()
    await shard.open()
    await shard.close()


async def test_a_store_from_before_there_were_shards_is_the_only_one(tmp_path: Path) -> None:
    old = means_of()
    store = await store_at(tmp_path / "registrar.db", old)
    await store.commit([put("p", project("p"))], "test")
    with pytest.raises(BadRequest, match="is shard 0 of 1"):
        await RegistrarWorker(means_with(TWO), store).open()
    worker = RegistrarWorker(old, store)
    await worker.open()
    await worker.close()
    await store.close()
