"""Owners' stores are lost with their disk, and come back from their backup: nobody outside sees a difference."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from freehold.drivers.backup.folder import FolderBackups
from freehold.drivers.backup.sealed import SealedBackups, read_keys
from freehold.runtime.tasks import offload_inline
from freehold.store.segments import decode
from freehold.vocabulary.codec import decode as decode_word
from freehold.vocabulary.guest import Guest
from freehold.workers.host.messages import BuildSecret
from freehold.workers.host.records import BUILD_SECRET
from tests.scenarios.cloud import Cloud, simulated, until

GUESTS = 4


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "lost", [("registrar",), ("registrar", "image", "network")], ids=["registrar", "all but hosts"]
)
async def test_a_cloud_comes_back_from_its_backups(tmp_path: Path, lost: tuple[str, ...]) -> None:
    backup = tmp_path / "backup"
    async with simulated(tmp_path, backup=f"folder:{backup}") as cloud:
        await furnish(cloud)
        listed = (await cloud.call("GET", "/compute/v2.1/servers/detail")).body
        catalog = {path: (await cloud.call("GET", path)).body for path in LISTS}
        for role in lost:
            await until(lambda role=role: covered(cloud, backup, role), 30, cloud.last_lines)  # type: ignore[misc]
            code, said = await cloud.command("restore", "--from", f"folder:{backup}", "--role", role, "--replace")
            assert code == 1 and "Stop that process first" in said, "beside a live owner"
        await cloud.kill()
        for role in lost:
            for path in cloud.state.glob(f"{role}.db*"):
                path.unlink()
        if len(lost) > 1:
            shutil.rmtree(cloud.state / "view")  # otherwise it has to notice that there is another epoch

        code, said = await cloud.command("restore", "--from", f"folder:{backup}", "--list")
        assert code == 0 and all(f"{role}.db" in said for role in lost), said
        for role in lost:
            code, said = await cloud.command("restore", "--from", f"folder:{backup}", "--role", role)
            assert code == 0 and f"restored the {role}'s store" in said, said
        await cloud.start()

        cloud.token = await cloud.sign_in("admin", cloud.password(), "admin")
        assert await cloud.sign_in("ann", "correct horse", "ann")
        await everything_is_listed(cloud, listed)
        assert {path: (await cloud.call("GET", path)).body for path in LISTS} == catalog
        await new_guests_can_be_made(cloud)
        await until(lambda: covered(cloud, backup, lost[0]), 30, cloud.last_lines)


@pytest.mark.timeout(300)
async def test_hosts_whose_stores_are_lost_have_their_guests_again(tmp_path: Path) -> None:
    async with simulated(tmp_path) as cloud:
        await furnish(cloud)
        shown = await seen_by_people(cloud)
        await cloud.kill()
        for path in (cloud.state / "hosts").glob("*.db*"):
            path.unlink()
        await cloud.start()

        async def as_before() -> bool:
            return await seen_by_people(cloud) == shown

        await until(as_before, 60, cloud.last_lines)
        assert sorted(guest.id for _, guest in cloud.host_rows(Guest)) == sorted(shown)
        await new_guests_can_be_made(cloud)


@pytest.mark.timeout(300)
async def test_guests_of_a_dead_host_keep_what_only_it_had(tmp_path: Path) -> None:
    place = f"folder:{tmp_path / 'backup'}"
    async with simulated(tmp_path, hosts=2, backup=place) as cloud:
        image, network = await cloud.new_image(), await cloud.network()
        guests = [await cloud.created(f"g-{n}", image, network, user_data="IyEvYmluL3No") for n in range(2)]
        hosts = {(await cloud.becomes(guest, "ACTIVE"))["OS-EXT-SRV-ATTR:host"]: guest for guest in guests}
        for number in range(2):
            await until(lambda number=number: covered(cloud, tmp_path / "backup", f"hosts/{number}"), 30)  # type: ignore[misc]
        await cloud.stop()

    lost, evacuate = hosts["sim-1"], ("evacuate", "sim-1", "--backup", place)
    async with simulated(tmp_path, hosts=1) as cloud:  # the other machine is dead
        fence = ("host", "fence", "sim-1", "--evidence", "it burnt")

        async def fenced() -> bool:
            return (await cloud.command(*fence))[0] == 0

        await until(fenced, 60, cloud.last_lines)
        code, said = await cloud.command(*evacuate, "--dry-run")
        assert code == 0 and "it has 1 of these 1 guests" in said and "(known from: backup)" in said, said
        code, said = await cloud.command(*evacuate, "--yes", "--wait")
        assert code == 0 and f"{lost}  g-" in said and "done on sim-0" in said, said
        assert (await cloud.server(lost))["OS-EXT-SRV-ATTR:host"] == "sim-0"
    kept = {guest: user_data_of(cloud, "hosts/0", guest) for guest in guests}
    assert kept == dict.fromkeys(guests, "IyEvYmluL3No")


def user_data_of(cloud: Cloud, store: str, guest: str) -> str:
    """What a host has of a guest's user data."""
    connection = sqlite3.connect(cloud.state / f"{store}.db")
    (value,) = connection.execute(
        "SELECT value FROM private WHERE kind = ? AND key = ?", (BUILD_SECRET, guest)
    ).fetchone()
    connection.close()
    given = decode_word(value, BuildSecret).user_data
    return given.reveal() if given else ""


async def seen_by_people(cloud: Cloud) -> dict[str, tuple[str, ...]]:
    """What is listed of each guest, by its id."""
    return {
        server["id"]: (
            server["name"],
            server["status"],
            server["OS-EXT-SRV-ATTR:host"],
            *(port["addr"] for ports in server["addresses"].values() for port in ports),
        )
        for server in await cloud.servers()
    }


LISTS = (
    "/image/v2/images",
    "/network/v2.0/ports?sort_key=id",
    "/identity/v3/users",
    "/compute/v2.1/flavors/detail",
    "/compute/v2.1/limits",
)


async def furnish(cloud: Cloud) -> None:
    image, network = await cloud.new_image(), await cloud.network()
    await cloud.newcomer("ann")
    guests = [await cloud.created(f"guest-{n}", image, network, key=f"key-{n}") for n in range(GUESTS)]
    for guest in guests:
        await cloud.becomes(guest, "ACTIVE")
    assert (await cloud.call("DELETE", f"/compute/v2.1/servers/{guests[0]}")).status == 204
    await cloud.goes(guests[0])
    assert (await cloud.act(guests[1], "os-stop")).status == 202
    await cloud.becomes(guests[1], "SHUTOFF")

    async def told() -> bool:
        """Whether the network worker has heard what runs: it says so of the ports."""
        found = (await cloud.get("/network/v2.0/ports"))["ports"]
        return {port["device_id"]: port["status"] for port in found} == {
            guests[1]: "DOWN",
            **dict.fromkeys(guests[2:], "ACTIVE"),
        }

    await until(told, 30, cloud.last_lines)


async def covered(cloud: Cloud, folder: Path, role: str) -> bool:
    """Whether the backup has all that the store of a role has."""
    connection = sqlite3.connect(cloud.state / f"{role}.db")
    (store,) = connection.execute("SELECT value FROM meta WHERE name = 'store'").fetchone()
    (epoch,) = connection.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()
    (seq,) = connection.execute("SELECT max(seq) FROM log").fetchone()
    (version,) = connection.execute("SELECT coalesce(max(version), 0) FROM private").fetchone()
    connection.close()
    backups = SealedBackups(FolderBackups(folder, offload_inline), read_keys(cloud.state / "backup.key"))
    numbers = await backups.numbers(store)
    if not numbers:
        return False
    mark = decode(await backups.read(store, numbers[-1]), store, numbers[-1]).mark
    return (mark.position.epoch, mark.position.seq, mark.version) == (epoch, seq, version)


async def everything_is_listed(cloud: Cloud, listed: bytes) -> None:
    shown = b""

    async def so() -> bool:
        nonlocal shown
        shown = (await cloud.call("GET", "/compute/v2.1/servers/detail")).body
        return shown == listed

    await until(so, 30, lambda: f"{shown!r}\nand it was\n{listed!r}")


async def new_guests_can_be_made(cloud: Cloud) -> None:
    image = (await cloud.get("/image/v2/images?name=small"))["images"][0]["id"]
    network = await cloud.network()
    before = {server["id"] for server in await cloud.servers()}
    assert await cloud.created("guest-3", image, network, key="key-3") in before, "its key was used before the loss"
    guest = await cloud.created("new", image, network, key="new")
    assert guest not in before
    await cloud.becomes(guest, "ACTIVE")
    addresses = [server["addresses"]["default"][0]["addr"] for server in await cloud.servers()]
    assert len(set(addresses)) == len(addresses) == GUESTS
    for guest in sorted(before):
        assert (await cloud.call("DELETE", f"/compute/v2.1/servers/{guest}")).status == 204
    for guest in sorted(before):
        await cloud.goes(guest)
