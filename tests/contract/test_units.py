"""The systemd units of packaging/: what systemd says of them, that guests outlive their host, and that what they start
is there.
"""

import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from freehold.cli.check import rules
from freehold.cli.check.finding import State
from freehold.cli.check.gather import UNITS
from freehold.cli.main import app
from freehold.cli.run import CLOSE_S
from freehold.config import ROLES

FOLDER = Path(__file__).parents[2] / "packaging" / "systemd"
ALL = sorted(FOLDER.glob("*.service"))
HOST, CONTROL = FOLDER / "freehold-host.service", FOLDER / "freehold-control.service"

OWN_MOUNTS = {
    *("ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateDevices", "PrivateMounts", "PrivateUsers", "ProtectProc"),
    *("ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs", "ProtectControlGroups", "ProcSubset"),
    *("ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths", "BindPaths", "BindReadOnlyPaths", "TemporaryFileSystem"),
    *("RootDirectory", "RootImage", "MountFlags", "MountAPIVFS", "ProtectHostname", "DynamicUser", "NoExecPaths"),
    *("PrivateNetwork", "PrivateIPC", "NetworkNamespacePath", "LogNamespace", "RestrictNamespaces", "ExtensionImages"),
}
"""Each gives a service a namespace of its own, or takes from it the making of one."""


def settings(path: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        name, is_setting, value = line.partition("=")
        if is_setting and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd isn't installed")
def test_systemd_understands_it(path: Path, tmp_path: Path) -> None:
    """With a program and a user that are there: systemd looks for both."""
    text = path.read_text().replace("/opt/freehold/bin/freehold", "/bin/true").replace("=freehold\n", "=root\n")
    (tmp_path / path.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / path.name)],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in (done.stdout + done.stderr).splitlines() if path.name in line]
    assert (done.returncode, ours) == (0, [])


def test_guests_outlive_the_worker() -> None:
    of_host = settings(HOST)
    assert of_host["KillMode"] == ["process"]
    assert of_host["OOMPolicy"] == ["continue"], "a guest that the kernel ends must not end the worker"
    assert of_host["TasksMax"] == ["infinity"]
    assert not of_host.keys() & OWN_MOUNTS, "the next worker must find the networks' namespaces on /run/netns"
    assert rules.unit(True, {HOST.name: HOST.read_text()}, ("host",)).state is State.OK


def test_a_host_may_make_what_it_needs_and_no_more() -> None:
    held = {one for value in settings(HOST)["CapabilityBoundingSet"] for one in value.split()}
    assert {"CAP_NET_ADMIN", "CAP_SYS_ADMIN", "CAP_SYS_PTRACE"} <= held
    assert not held & {"CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_BOOT", "CAP_SYS_TIME", "CAP_BPF"}
    devices = {value.split()[0] for value in settings(HOST)["DeviceAllow"]}
    assert devices == {"/dev/kvm", "/dev/net/tun", "/dev/vhost-net"}


def test_the_control_roles_may_do_nothing_to_the_machine() -> None:
    of_control = settings(CONTROL)
    assert of_control["User"] == ["freehold"] and of_control["CapabilityBoundingSet"] == [""]
    assert of_control["ProtectSystem"] == ["strict"] and of_control["NoNewPrivileges"] == ["yes"]
    assert set(of_control["RestrictAddressFamilies"][0].split()) == {"AF_UNIX", "AF_INET", "AF_INET6"}


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_it_is_started_again_and_given_time_to_end(path: Path) -> None:
    found = settings(path)
    assert found["Restart"] == ["always"] and found["StartLimitIntervalSec"] == ["0"]
    assert float(found["TimeoutStopSec"][0]) > CLOSE_S
    assert int(found["LimitNOFILE"][0]) >= rules.OPEN_FILES_WANTED
    assert found["StateDirectoryMode"] == ["0700"] and found["UMask"] == ["0077"]


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_what_it_starts_is_a_command_over_its_own_folder(path: Path) -> None:
    (line,) = settings(path)["ExecStart"]
    program, command, *options = line.split()
    assert program == "/opt/freehold/bin/freehold"
    told = CliRunner().invoke(app, [command, "--help"], terminal_width=200).output
    assert all(option in told for option in options if option.startswith("--"))
    assert options[options.index("--state") + 1] == f"/var/lib/{settings(path)['StateDirectory'][0]}"


def test_check_looks_for_these() -> None:
    assert {path.name for path in ALL} <= set(UNITS)
    assert set(ROLES) > {"host"}
