"""The whole check over a folder of its own: what it finds there, and that it leaves nothing behind."""

import asyncio
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.x509.oid import NameOID

from freehold.assemble import machine as machines
from freehold.cli.check import gather
from freehold.cli.check.finding import Finding, State
from freehold.config import Settings
from freehold.drivers.fabric.simulated import SimulatedFabric
from freehold.drivers.hypervisor.simulated import SimulatedHypervisor
from freehold.runtime.chance import SystemChance
from freehold.runtime.clock import HybridClock, SystemClock
from freehold.runtime.tasks import offload_inline
from freehold.store.database import Store
from freehold.vocabulary.errors import Broken
from tests.swift_server import SwiftServer


def by_check(found: list[Finding]) -> dict[str, Finding]:
    return {finding.check: finding for finding in found}


async def checked(**settings: object) -> dict[str, Finding]:
    return by_check(await gather.findings(Settings(hypervisor="simulated", **settings)))  # type: ignore[arg-type]


def certificate(path: Path, days: int) -> None:
    key, name = generate_private_key(SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "m")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=400))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))


async def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    found = await checked(state=tmp_path / "cloud")
    assert "will be made" in found["state folder"].what
    assert list(tmp_path.iterdir()) == []
    assert found["python"].state is State.OK and found["sqlite"].state is State.OK
    assert "hypervisor" not in found, "nobody probes for simulated hosts"


async def test_files_that_others_can_read(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for name, mode in (("identity", 0o600), ("openrc", 0o644)):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(mode)
    found = await gather.findings(Settings(state=tmp_path, hypervisor="simulated"))
    assert by_check(found)["state folder"].state is State.WRONG
    secrets = {finding.what: finding.state for finding in found if finding.check == "secrets"}
    assert [state for what, state in secrets.items() if "openrc" in what] == [State.WRONG]
    assert [state for what, state in secrets.items() if "identity" in what] == [State.OK]


async def test_a_process_that_runs_has_its_ports(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = {"state": tmp_path, "port": taken.getsockname()[1], "roles": ("api", "network")}
        assert (await checked(**settings))["port the API"].state is State.WRONG
        store = await Store.open(
            tmp_path / "network.db",
            role="network",
            cluster="c",
            clock=HybridClock(SystemClock()),
            chance=SystemChance(),
            offload=offload_inline,
        )
        found = await checked(**settings)
        assert "(network.db)" in found["one process"].what and found["port the API"].state is State.OK
        await store.close()
    assert "No process" in (await checked(**settings))["one process"].what


async def test_the_bus_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("freehold.bus.connect.WAIT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    bus = {"state": tmp_path, "roles": ("api",), "bus": f"nats://127.0.0.1:{port}"}
    found = await checked(**bus)
    assert found["bus reached"].state is State.WRONG and found["passport"].state is State.WARNING
    (tmp_path / "identity").write_bytes(b"what is this?")
    assert "can't be read" in (await checked(**bus))["passport"].what


@pytest.mark.parametrize(("days", "state"), [(-1, State.WRONG), (3, State.WARNING), (90, State.OK)])
async def test_certificates_are_read(tmp_path: Path, days: int, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("freehold.bus.connect.WAIT_S", 0.2)
    certificate(tmp_path / "ca.pem", days)
    found = await checked(state=tmp_path, roles=("api",), bus="tls://127.0.0.1:1", bus_ca=tmp_path / "ca.pem")
    assert found["certificates"].state is state


async def test_a_certificate_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nonsense")
    found = await checked(state=tmp_path, roles=("api",), bus="tls://127.0.0.1:1", bus_ca=tmp_path / "ca.pem")
    assert found["certificates"].state is State.WRONG
    assert "can't be read" in found["bus reached"].what


async def test_the_place_for_images_is_tried(tmp_path: Path, swift: SwiftServer) -> None:
    place = {"state": tmp_path, "roles": ("image",), "image_store_secret_file": swift.secrets}
    assert (await checked(**place, image_store=swift.url))["image store"].state is State.OK
    found = await checked(**place, image_store=swift.url.replace("//images", "//none"))
    assert found["image store"].state is State.WRONG and "no container none" in found["image store"].what
    (tmp_path / "file").touch()
    found = await checked(state=tmp_path, roles=("image",), image_store=f"folder:{tmp_path}/file/images")
    assert found["image store"].state is State.WRONG and "can't be written" in found["image store"].what
    assert "image store" not in await checked(state=tmp_path, roles=("image",))
    assert "image store" not in await checked(**(place | {"roles": ("network",)}), image_store=swift.url)


async def test_files_of_secrets_that_settings_name(tmp_path: Path) -> None:
    (tmp_path / "keys").touch(mode=0o644)
    for setting in ("backup_secret_file", "image_store_secret_file"):
        for name, said in (("keys", "read by others"), ("none", "doesn't find")):
            found = (await checked(state=tmp_path, roles=("network",), **{setting: tmp_path / name}))["secrets"]
            assert found.state is State.WRONG and said in found.what


# --- a host


async def test_a_host_is_probed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probed: list[Path] = []

    def machine(settings: Settings, folder: Path, *_: object) -> tuple[SimulatedHypervisor, SimulatedFabric]:
        probed.append(folder)
        return SimulatedHypervisor(None, SystemClock()), SimulatedFabric()

    monkeypatch.setattr(machines, "machine", machine)
    found = by_check(await gather.findings(Settings(state=tmp_path, roles=("host",), hypervisor="qemu")))
    assert found["hypervisor"].what.startswith("simulated") and found["guest network"].state is State.OK
    assert not probed[0].exists() and list(tmp_path.iterdir()) == []


async def test_what_the_probes_lack_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Unfit(SimulatedHypervisor, SimulatedFabric):
        def __init__(self) -> None:
            SimulatedHypervisor.__init__(self, None, SystemClock())

        async def probe(self) -> None:  # type: ignore[override]
            raise Broken("There is no such thing.")

    unfit = Unfit()
    monkeypatch.setattr(machines, "machine", lambda *_: (unfit, unfit))
    found = by_check(await gather.findings(Settings(state=tmp_path, roles=("host",), hypervisor="qemu")))
    for check in ("hypervisor", "guest network"):
        assert (found[check].state, found[check].what) == (State.WRONG, "There is no such thing.")


async def test_a_probe_that_hangs_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(SimulatedHypervisor):
        async def probe(self) -> None:  # type: ignore[override]
            await asyncio.Event().wait()

    monkeypatch.setattr(gather, "PROBE_S", 0.05)
    monkeypatch.setattr(machines, "machine", lambda *_: (Hanging(None, SystemClock()), SimulatedFabric()))
    found = by_check(await gather.findings(Settings(state=tmp_path, roles=("host",), hypervisor="qemu")))
    assert "hasn't booted anything" in found["hypervisor"].what
