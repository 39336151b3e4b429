"""The demo image under a bare QEMU: it says so on its console when it is ready, and answers HTTP by its name."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from freehold.drivers.hypervisor.config_drive import config_drive
from freehold.vocabulary.secret import Secret

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]

SCRIPT = Path(__file__).parents[2] / "scripts" / "demo-image"
BOOT_SECONDS_MAX = 120
MARKER = re.compile(r"^FREEHOLD guest ready hostname=(\S+) ip=(\S+) source=(\S+) uptime=(\d+\.\d+)\s*$", re.MULTILINE)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cached demo image, built if this machine has none yet."""
    if shutil.which("qemu-system-x86_64") is None:
        pytest.skip("this machine has no qemu-system-x86_64")
    cache = Path(os.environ.get("FREEHOLD_CACHE", Path.home() / ".cache/freehold"))
    path = cache / "demo.qcow2"
    asyncio.run(_build(path))
    yield path


async def _build(path: Path) -> str:
    process = await asyncio.create_subprocess_exec(SCRIPT, path, stdout=-1, stderr=-2)
    output = (await asyncio.wait_for(process.communicate(), 600))[0].decode()
    assert process.returncode == 0, output
    return output


class Machine:
    """One QEMU process with the image: its console, its monitor and the ports of this host that lead into it."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self.process = process
        self.folder = folder

    def console(self) -> str:
        return (self.folder / "console.log").read_text(errors="replace")

    async def see(self, pattern: re.Pattern[str]) -> re.Match[str]:
        """Waits for `pattern` on the console; raises TimeoutError after BOOT_SECONDS_MAX."""
        async with asyncio.timeout(BOOT_SECONDS_MAX):
            while not (match := pattern.search(self.console())):
                assert self.process.returncode is None, f"the guest ended: {self.console()}"
                await asyncio.sleep(0.05)
        return match

    async def monitor(self, command: str) -> dict[str, object]:
        reader, writer = await asyncio.open_unix_connection(str(self.folder / "qmp.sock"))
        await reader.readline()
        writer.write(b'{"execute": "qmp_capabilities"}')
        await reader.readline()
        writer.write(json.dumps(_monitor_command(command)).encode())
        answer: dict[str, object] = json.loads(await reader.readline())
        writer.close()
        return answer

    async def forward(self, guest_port: int) -> int:
        """A port of this host that leads to `guest_port`, as the user network has chosen it."""
        text = str((await self.monitor("info usernet"))["return"])
        match = re.search(rf"127\.0\.0\.1\s+(\d+)\s+\S+\s+{guest_port}\s", text)
        assert match, text
        return int(match[1])

    async def page(self) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", await self.forward(80))
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 30)
        writer.close()
        return answer.decode()


def _monitor_command(command: str) -> dict[str, object]:
    if command.startswith("info "):
        return {"execute": "human-monitor-command", "arguments": {"command-line": command}}
    return {"execute": command}


@contextlib.asynccontextmanager
async def boot(image: Path, folder: Path, *extra: str, network: str = "hostname=by-dhcp") -> AsyncIterator[Machine]:
    """The image on an own overlay (-snapshot), with a user network; the process is gone afterwards."""
    console = folder / "console.log"
    console.touch()
    forwards = "hostfwd=tcp:127.0.0.1:0-:80,hostfwd=tcp:127.0.0.1:0-:22"
    process = await asyncio.create_subprocess_exec(
        "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,tb-size=64", "-cpu", "max", "-m", "128", "-nodefaults",
        "-no-user-config", "-display", "none", "-snapshot", "-serial", f"file:{console}",
        "-qmp", f"unix:{folder}/qmp.sock,server=on,wait=off",
        "-drive", f"file={image},if=none,id=root,format=qcow2", "-device", "virtio-blk-pci,drive=root,bootindex=1",
        "-netdev", f"user,id=net,{network},{forwards}", "-device", "virtio-net-pci,netdev=net,romfile=", *extra,
    )  # fmt: skip
    try:
        yield Machine(process, folder)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def seed_drive(folder: Path, user_data: str, public_key: str = "") -> tuple[str, ...]:
    """QEMU arguments that add a config drive naming the guest ``web-1``."""
    meta_data = {"uuid": "00000000-0000-4000-8000-000000000001", "hostname": "web-1", "public_keys": {"k": public_key}}
    files = {"meta_data.json": json.dumps(meta_data), "user_data": user_data}
    path = folder / "seed.iso"
    path.write_bytes(config_drive({f"openstack/latest/{name}": Secret(text) for name, text in files.items()}))
    return "-drive", f"file={path},if=virtio,format=raw,readonly=on"


async def test_with_a_config_drive_it_has_its_name_and_runs_user_data(image: Path, tmp_path: Path) -> None:
    drive = seed_drive(tmp_path, "#!/bin/sh\necho user-data ran on $(hostname)\n")
    async with boot(image, tmp_path, *drive) as machine:
        ready = await machine.see(MARKER)
        assert ready.group(1, 2, 3) == ("web-1", "10.0.2.15", "config-drive")
        assert (await machine.page()).endswith("\r\n\r\nhello from web-1\n")
        await machine.see(re.compile("user-data ran on web-1"))  # a prompt may stand before it


METADATA_SERVICE = """
import sys
pages = {{"/openstack/latest/meta_data.json": {meta_data!r}, "/openstack/latest/user_data": {user_data!r}}}
page = pages.get(sys.stdin.readline().split()[1])
status = "200 OK" if page else "404 Not Found"
print(f"HTTP/1.0 {{status}}\\r\\nContent-Length: {{len(page or '')}}\\r\\n\\r\\n{{page or ''}}", end="", flush=True)
"""


async def test_the_metadata_service_names_it_where_there_is_no_drive(image: Path, tmp_path: Path) -> None:
    service = tmp_path / "service.py"
    user_data = "#!/bin/sh\necho user-data ran on $(hostname)\n"
    service.write_text(METADATA_SERVICE.format(meta_data='{"hostname": "web-2"}', user_data=user_data))
    inside = (
        f"net=169.254.169.0/24,dhcpstart=169.254.169.15,guestfwd=tcp:169.254.169.254:80-cmd:{sys.executable} {service}"
    )
    async with boot(image, tmp_path, network=inside) as machine:
        ready = await machine.see(MARKER)
        assert ready.group(1, 2, 3) == ("web-2", "169.254.169.15", "metadata")
        assert (await machine.page()).endswith("hello from web-2\n")
        await machine.see(re.compile("user-data ran on web-2"))


async def test_without_any_source_it_takes_the_name_that_dhcp_gives(image: Path, tmp_path: Path) -> None:
    async with boot(image, tmp_path) as machine:
        ready = await machine.see(MARKER)
        assert ready.group(1, 2, 3) == ("by-dhcp", "10.0.2.15", "none")
        assert (await machine.page()).endswith("hello from by-dhcp\n")


async def test_the_power_button_ends_it(image: Path, tmp_path: Path) -> None:
    async with boot(image, tmp_path, *seed_drive(tmp_path, "")) as machine:
        await machine.see(MARKER)
        await machine.monitor("system_powerdown")
        assert await asyncio.wait_for(machine.process.wait(), 15) == 0


@pytest.mark.skipif(shutil.which("ssh") is None, reason="this machine has no ssh client")
async def test_ssh_takes_the_key_from_its_metadata_and_no_other(image: Path, tmp_path: Path) -> None:
    own, other = [await make_key(tmp_path / name) for name in ("own", "other")]
    public_key = own.with_suffix(".pub").read_text()
    async with boot(image, tmp_path, *seed_drive(tmp_path, "", public_key)) as machine:
        await machine.see(MARKER)
        port = await machine.forward(22)
        assert await ssh(own, port, "hostname") == (0, "web-1\n")
        assert (await ssh(other, port, "hostname"))[0] == 255


async def make_key(path: Path) -> Path:
    process = await asyncio.create_subprocess_exec("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path)
    assert await process.wait() == 0
    return path


async def ssh(key: Path, port: int, command: str) -> tuple[int | None, str]:
    """The exit status and the output of `command`, run as root in the guest; 255 where the guest refused."""
    options = ("BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null",
               "ConnectTimeout=30", "LogLevel=ERROR")  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        "ssh", "-F", "none", "-i", key, "-p", str(port), *(f"-o{option}" for option in options), "root@127.0.0.1",
        command, stdout=-1, stderr=-3,
    )  # fmt: skip
    output = (await asyncio.wait_for(process.communicate(), 60))[0].decode()
    return process.returncode, output


async def test_building_again_uses_what_is_there(image: Path) -> None:
    before = image.stat().st_mtime_ns
    assert "using" in await _build(image)
    assert image.stat().st_mtime_ns == before
    assert {path.name for path in image.parent.glob("demo.qcow2*")} == {"demo.qcow2", "demo.qcow2.stamp"}
