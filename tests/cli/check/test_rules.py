"""What makes a machine fit or unfit: each rule as a table."""

from pathlib import Path
from typing import Any

import pytest

from freehold.cli.check import rules
from freehold.cli.check.finding import Finding, State
from freehold.config import EVERY_ROLE, ROLES, Settings
from freehold.drivers.hypervisor.interface import Facts
from freehold.runtime.survey import Folder
from freehold.vocabulary.machine import Passport
from freehold.vocabulary.units import GIB

OK, WARNING, WRONG = State.OK, State.WARNING, State.WRONG
STATE = Path("/var/lib/freehold")
DAY_MS = 86_400_000


def judge(finding: Finding, state: State, said: str) -> None:
    assert finding.state is state, finding
    assert said in finding.what + finding.mend
    assert bool(finding.mend) is (state is not OK), "what isn't as it should be says what to do"
    assert finding.what.endswith("."), "a sentence"


def settings(**given: Any) -> Settings:
    return Settings(state=STATE, **given)


def a_folder(**given: Any) -> Folder:
    usual: dict[str, Any] = {
        "path": STATE,
        "exists": True,
        "owner": 7,
        "mode": 0o700,
        "writable": True,
        "file_system": "ext4",
        "options": frozenset({"rw", "relatime"}),
        "free_bytes": 100 * GIB,
    }
    return Folder(**(usual | given))


@pytest.mark.parametrize(
    ("version", "state"), [((3, 11, 2), OK), ((3, 11), OK), ((3, 13, 0), OK), ((3, 10, 9), WRONG), ((2, 7, 18), WRONG)]
)
def test_python(version: tuple[int, ...], state: State) -> None:
    judge(rules.python(version), state, ".".join(map(str, version)))


@pytest.mark.parametrize(("version", "state"), [((3, 40, 1), OK), ((3, 35, 0), OK), ((3, 34, 1), WRONG)])
def test_sqlite(version: tuple[int, ...], state: State) -> None:
    judge(rules.sqlite(version), state, "SQLite is 3.")


@pytest.mark.parametrize(
    ("limit", "state"), [(256, WRONG), (1024, WARNING), (16383, WARNING), (16384, OK), (2**20, OK)]
)
def test_open_files(limit: int, state: State) -> None:
    judge(rules.open_files(limit), state, str(limit))


@pytest.mark.parametrize(("kept", "state"), [(True, OK), (False, WARNING), (None, WARNING)])
def test_clock(kept: bool | None, state: State) -> None:
    judge(rules.clock(kept), state, "clock")


@pytest.mark.parametrize(("setting", "state"), [("0", OK), ("1", OK), ("", OK), ("2", WARNING)])
def test_memory(setting: str, state: State) -> None:
    judge(rules.overcommit(setting), state, "emory")


@pytest.mark.parametrize(
    ("found", "state", "said"),
    [
        ({}, OK, "own"),
        ({"exists": False, "path": Path("/var/lib"), "owner": 0, "mode": 0o755}, OK, "will be made"),
        ({"writable": False}, WRONG, "can't be written"),
        ({"owner": 0}, WARNING, "chown -R 7 /var/lib/freehold"),
        ({"mode": 0o750}, WRONG, "chmod 700 /var/lib/freehold"),
        ({"mode": 0o701}, WRONG, "mode 701"),
    ],
)
def test_state_folder(found: dict[str, Any], state: State, said: str) -> None:
    judge(rules.state_folder(STATE, a_folder(**found), 7), state, said)


@pytest.mark.parametrize(
    ("kind", "options", "state", "said"),
    [
        ("ext4", (), OK, "ext4"),
        ("xfs", ("rw",), OK, "xfs"),
        ("tmpfs", (), WRONG, "it is gone when"),
        ("overlay", (), WRONG, "container"),
        ("nfs4", (), WRONG, "over a network"),
        ("nfs", (), WRONG, "over a network"),
        ("cifs", (), WRONG, "over a network"),
        ("ext4", ("barrier=0",), WRONG, "barrier=0"),
        ("xfs", ("nobarrier", "rw"), WRONG, "nobarrier"),
        ("ext4", ("ro",), WRONG, "read-only"),
    ],
)
def test_what_was_written_stays(kind: str, options: tuple[str, ...], state: State, said: str) -> None:
    judge(rules.durable(a_folder(file_system=kind, options=frozenset(options))), state, said)


@pytest.mark.parametrize(("free_gib", "state"), [(0.5, WRONG), (1, WARNING), (9.9, WARNING), (10, OK)])
def test_free_space(free_gib: float, state: State) -> None:
    judge(rules.free_space(a_folder(free_bytes=int(free_gib * GIB))), state, f"{free_gib:.1f} GiB")


def test_one_process() -> None:
    judge(rules.one_process(STATE, []), OK, "No process")
    judge(rules.one_process(STATE, ["image.db", "hosts/0.db"]), OK, "hosts/0.db, image.db")


@pytest.mark.parametrize(("mode", "state"), [(0o600, OK), (0o400, OK), (0o640, WRONG), (0o604, WRONG)])
def test_secrets(mode: int, state: State) -> None:
    finding = rules.secret_file(STATE / "identity", mode)
    assert finding is not None
    judge(finding, state, "identity")
    assert rules.secret_file(STATE / "identity", None) is None
    judge(rules.named_secret("image_store_secret_file", STATE / "keys", mode), state, "keys")
    judge(rules.named_secret("image_store_secret_file", STATE / "keys", None), WRONG, "image_store_secret_file names")


def test_the_place_for_images() -> None:
    judge(rules.image_store(""), OK, "answers")
    judge(rules.image_store("it is full."), WRONG, "it is full.")


@pytest.mark.parametrize(
    ("trouble", "running", "state"),
    [("", False, OK), ("", True, OK), ("in use", True, OK), ("in use", False, WRONG)],
)
def test_ports(trouble: str, running: bool, state: State) -> None:
    judge(rules.port("the API", "10.0.0.1", 8780, trouble, running), state, "10.0.0.1:8780")


@pytest.mark.parametrize(
    ("given", "state", "said"),
    [
        ({}, OK, "this machine alone"),
        ({"listen": "::1"}, OK, "this machine alone"),
        ({"listen": "localhost"}, OK, "this machine alone"),
        ({"listen": "10.0.0.1"}, WARNING, "travel in clear"),
        ({"listen": "0.0.0.0"}, WARNING, "travel in clear"),
        ({"listen": "10.0.0.1", "public_url": "http://cloud"}, WARNING, "https://"),
        ({"listen": "10.0.0.1", "public_url": "https://cloud"}, OK, "https://cloud"),
    ],
)
def test_the_api_in_clear(given: dict[str, Any], state: State, said: str) -> None:
    judge(rules.plain_api(settings(**given)), state, said)


def test_backup() -> None:
    judge(rules.backup(settings(roles=("host", "api"))), WARNING, "(host)")
    judge(rules.backup(settings(backup="folder:/b")), OK, "folder:/b")


@pytest.mark.parametrize(
    ("given", "state", "said"),
    [
        ({}, OK, "one process"),
        ({"roles": ROLES[:-1]}, WRONG, "api don't run here"),
        ({"roles": ("host",), "bus": "tls://n:4222"}, OK, "tls://n:4222"),
    ],
)
def test_who_has_to_be_heard(given: dict[str, Any], state: State, said: str) -> None:
    judge(rules.bus_needed(settings(**given)), state, said)


@pytest.mark.parametrize(
    ("bus", "state"),
    [
        ("local", OK),
        ("tls://n:4222", OK),
        ("nats://127.0.0.1:4222", OK),
        ("nats://localhost:4222", OK),
        ("nats://n:4222", WRONG),
        ("nats://127.0.0.1:4222,nats://10.0.0.1:4222", WRONG),
    ],
)
def test_a_bus_in_clear(bus: str, state: State) -> None:
    judge(rules.bus_secured(settings(bus=bus)), state, "TLS")


def test_a_bus_that_is_not_there() -> None:
    judge(rules.bus_reached("n:4222", ""), OK, "n:4222")
    judge(rules.bus_reached("", "refused"), WRONG, "refused")


@pytest.mark.parametrize(
    ("days", "state"), [(-3, WRONG), (0, WRONG), (1, WARNING), (13.9, WARNING), (14, OK), (300, OK)]
)
def test_certificates(days: float, state: State) -> None:
    now_ms = 10 * DAY_MS
    judge(rules.certificate(Path("/etc/c.pem"), now_ms + int(days * DAY_MS), now_ms), state, "/etc/c.pem")


@pytest.mark.parametrize(
    ("issued", "expires", "roles", "state", "said"),
    [
        (9, 16, ("host",), OK, "144 hours"),
        (5, 12.3, ("host",), WARNING, "should have been renewed"),
        (1, 9, ("host",), WRONG, "ended 24 hours ago"),
        (9, 16, ("host", "network"), WRONG, "isn't for network"),
    ],
)
def test_passports(issued: float, expires: float, roles: tuple[str, ...], state: State, said: str) -> None:
    known = Passport(
        machine="m",
        name="rack-7",
        roles=("host", "image"),
        cluster="c",
        key=b"k",
        issued_ms=int(issued * DAY_MS),
        expires_ms=int(expires * DAY_MS),
    )
    judge(rules.passport(known, settings(roles=roles, bus="tls://n:1"), 10 * DAY_MS), state, said)


def test_no_passport() -> None:
    judge(rules.passport(None, settings(roles=("host",)), 0), WARNING, "freehold enroll")
    judge(rules.passport(None, settings(roles=EVERY_ROLE), 0), OK, "its own machine")


@pytest.mark.parametrize(("accelerator", "state"), [("kvm", OK), ("tcg", WARNING)])
def test_hypervisor(accelerator: str, state: State) -> None:
    facts = Facts(
        driver="qemu",
        accelerator=accelerator,
        reason="It said so.",
        version="7.2",
        vcpus=1,
        ram_mib=1,
        disk_gib=1,
        boot="b",
    )
    judge(rules.hypervisor(facts), state, "qemu 7.2")


def test_no_guests_here() -> None:
    judge(rules.hypervisor("The program isn't installed."), WRONG, "qemu-system-x86")
    judge(rules.fabric("Guest networks need root."), WRONG, "root")
    judge(rules.fabric(""), OK, "Taps")


HOST_UNIT = "[Service]\nKillMode=control-group\nKillMode = process\n"


@pytest.mark.parametrize(
    ("systemd", "texts", "roles", "state", "said"),
    [
        (False, {}, ("host",), WARNING, "supervisor"),
        (True, {}, ("host",), WARNING, "packaging/systemd"),
        (True, {"freehold-host.service": HOST_UNIT}, ("host",), OK, "freehold-host.service"),
        (True, {"freehold-host.service": "[Service]\n"}, ("host",), WRONG, "KillMode=process"),
        (True, {"freehold-host.service": "KillMode=mixed\n"}, ("host",), WRONG, "every guest"),
        (True, {"freehold-host.service": "[Service]\n"}, ("api",), OK, "freehold-host.service"),
        (True, {"freehold-control.service": "[Service]\n"}, ("host",), OK, "freehold-control.service"),
    ],
)
def test_units(systemd: bool, texts: dict[str, str], roles: tuple[str, ...], state: State, said: str) -> None:
    judge(rules.unit(systemd, texts, roles), state, said)
