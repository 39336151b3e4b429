"""What a new cloud is given, asked of the cloud itself."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from freehold import config
from freehold.assemble.running import Running
from freehold.cli import first_start
from freehold.cli.client import Client
from freehold.cli.credentials import Admin
from freehold.cli.first_start import cached_demo_image, furnish
from freehold.vocabulary.errors import Unavailable

RAW = b"a disk" + bytes(1 << 20)


@dataclass
class NewCloud:
    """A cloud that nobody has furnished."""

    admin: Admin
    state: Path
    said: list[str] = field(default_factory=list)

    async def furnish(self, **settings: Any) -> None:
        given = config.read(None, **{"state": self.state} | settings)
        await furnish(self.admin, given, self.said.append)

    async def get(self, path: str) -> Any:
        async with Client(self.admin) as client:
            return await client.get(path)


@pytest.fixture
async def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[NewCloud]:
    monkeypatch.setenv("FREEHOLD_CACHE", str(tmp_path / "cache"))
    state = tmp_path / "cloud"
    running = Running(config.read(None, state=state, hypervisor="simulated", port=0), lambda line: None)
    await running.open()
    assert running.new_password is not None
    yield NewCloud(Admin(running.url, running.new_password), state)
    await running.close()


def image_file(folder: Path, content: bytes = RAW) -> Path:
    path = folder / "some-image"
    path.write_bytes(content)
    return path


async def test_the_first_network_is_everybodys_and_reached_by_address(cloud: NewCloud) -> None:
    await cloud.furnish(network_cidr="10.9.8.0/24")
    (network,) = (await cloud.get("/network/v2.0/networks"))["networks"]
    (subnet,) = (await cloud.get("/network/v2.0/subnets"))["subnets"]
    assert (network["name"], network["shared"], network["provider:network_type"]) == ("default", True, "flat")
    assert (subnet["cidr"], subnet["network_id"], subnet["enable_dhcp"]) == ("10.9.8.0/24", network["id"], True)
    assert cloud.said == ["network: default, 10.9.8.0/24"]


async def test_without_a_file_there_is_no_image(cloud: NewCloud, tmp_path: Path) -> None:
    await cloud.furnish()
    await cloud.furnish(network_cidr="10.9.9.0/24", demo_image=tmp_path / "nothing.qcow2")
    assert (await cloud.get("/image/v2/images"))["images"] == []


async def test_the_image_is_the_file_for_everybody(cloud: NewCloud, tmp_path: Path) -> None:
    file = image_file(tmp_path)
    await cloud.furnish(demo_image=file)
    (image,) = (await cloud.get("/image/v2/images"))["images"]
    assert (image["name"], image["status"], image["visibility"]) == ("demo", "active", "public")
    assert (image["disk_format"], image["size"]) == ("raw", len(RAW))
    assert cloud.said[1:] == [f"image: demo, from {file}"]


async def test_the_image_that_was_built_is_found(cloud: NewCloud) -> None:
    cached_demo_image().parent.mkdir()
    cached_demo_image().write_bytes(RAW)
    await cloud.furnish()
    assert len((await cloud.get("/image/v2/images"))["images"]) == 1


async def test_what_other_machines_have_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine that comes first has no network worker, and no other comes before it is ready."""
    monkeypatch.setattr(first_start, "TRIES", 1)
    roles = ("registrar", "image", "api")
    settings = config.read(None, state=tmp_path, port=0, roles=roles, demo_image=image_file(tmp_path))
    running, said = Running(settings, lambda line: None), list[str]()
    await running.open()
    assert running.new_password is not None
    await furnish(Admin(running.url, running.new_password), settings, said.append)
    await running.close()
    assert said == [f"image: demo, from {settings.demo_image}"]


async def test_a_qcow2_is_known_by_its_first_bytes(cloud: NewCloud, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"qcow2|image"):
        await cloud.furnish(demo_image=image_file(tmp_path, first_start.QCOW2_MAGIC + b"and nothing that follows"))
    (image,) = (await cloud.get("/image/v2/images"))["images"]
    assert image["disk_format"] == "qcow2"


@pytest.mark.parametrize(("cache", "place"), [("", ".cache/freehold/demo.qcow2"), ("/c", "/c/demo.qcow2")])
def test_where_built_images_are_kept(cache: str, place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FREEHOLD_CACHE", cache)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cached_demo_image() == tmp_path / place
