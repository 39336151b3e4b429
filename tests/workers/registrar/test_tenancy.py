"""What belongs to no host: names are taken once, what is in use stays, what hangs on a thing goes with it."""

from typing import Any

import pytest
from msgspec.structs import replace

from freehold.store.database import put
from freehold.vocabulary.aggregate import Aggregate, AggregateHost
from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import BadRequest, Conflict, FreeholdError, NotFound
from freehold.vocabulary.host import Retirement
from freehold.vocabulary.request import DropTenant, SaveTenant
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.tenant import (
    ApplicationCredential,
    Assignment,
    Flavor,
    GroupPolicy,
    KeyPair,
    Project,
    Quota,
    Revocation,
    Role,
    ServerGroup,
    User,
)
from freehold.vocabulary.word import Word
from freehold.workers.registrar.first import ROLES
from tests.workers.registrar.bench import Bench

PROJECT = Project(id="lab", name="lab")
USER = User(id="anne", name="anne")
ROLE = Role(id="cook", name="cook")
FLAVOR = Flavor(id="9", name="huge", vcpus=1, ram_mib=1, disk_gib=1)
ASSIGNMENT = Assignment(user="anne", project="lab", role="cook")
CREDENTIAL = ApplicationCredential(id="cred", name="robot", user="anne", project="lab", roles=("cook",))
PAIR = KeyPair(user="anne", name="laptop", public_key="ssh-ed25519 AAAA", fingerprint="f")
GROUP = ServerGroup(id="group", project="lab", user="anne", name="apart", policy=GroupPolicy.ANTI_AFFINITY)
QUOTA = Quota(project="lab", instances=1)
RACK = Aggregate(id="rack", number=1, name="rack")
WITHIN = AggregateHost(aggregate="rack", host="h1")
ALL: dict[str, Word] = {
    "lab": PROJECT,
    "anne": USER,
    "cook": ROLE,
    "9": FLAVOR,
    "anne/lab/cook": ASSIGNMENT,
    "cred": CREDENTIAL,
    "anne/laptop": PAIR,
    "group": GROUP,
    "rack": RACK,
    "rack/h1": WITHIN,
}


@pytest.fixture
async def lab(bench: Bench) -> Bench:
    for key, record in ALL.items():
        await bench.save(key, record, secret=Secret("s") if record in (USER, CREDENTIAL) else None)
    await bench.save("lab", QUOTA)
    return bench


async def drop(bench: Bench, kind: str, key: str) -> None:
    await bench.ask(DropTenant(kind=kind, key=key), Done)


def left(bench: Bench) -> set[tuple[str, str]]:
    """(kind, key) of what was made and is there."""
    rows = bench.store.complete(("", ""), 1000).rows
    return {(row.kind, row.key) for row in rows if row.key in ALL}


@pytest.mark.parametrize(("key", "record"), ALL.items(), ids=ALL)
async def test_what_is_saved_is_there_once(lab: Bench, key: str, record: Word) -> None:
    assert lab.store.read_as(type(record), key) == record
    with pytest.raises(Conflict, match="exists already"):
        await lab.save(key, record)


@pytest.mark.parametrize(("key", "record"), [one for one in ALL.items() if one[1] is not ASSIGNMENT], ids=str)
async def test_what_isnt_there_cant_be_changed(bench: Bench, key: str, record: Word) -> None:
    with pytest.raises(NotFound):
        await bench.save(key, record, new=False)


async def test_a_quota_needs_no_record_before(bench: Bench) -> None:
    await bench.save("lab", QUOTA, new=False)
    await bench.save("lab", replace(QUOTA, instances=2), new=False)
    kept = bench.store.read_as(Quota, "lab")
    assert kept is not None and kept.instances == 2


@pytest.mark.parametrize(
    ("key", "record"),
    [
        ("2", replace(PROJECT, id="2")),
        ("2", replace(USER, id="2")),
        ("2", replace(ROLE, id="2")),
        ("2", replace(FLAVOR, id="2")),
        ("2", replace(CREDENTIAL, id="2")),
        ("2", replace(RACK, id="2")),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Word) else "",
)
async def test_a_name_is_taken_once(lab: Bench, key: str, record: Any) -> None:
    before = lab.store.position()
    with pytest.raises(Conflict):
        await lab.save(key, record)
    assert lab.store.position() == before


async def test_a_name_cant_be_taken_by_a_change_either(lab: Bench) -> None:
    with pytest.raises(Conflict, match="choose another name"):
        await lab.save("lab", replace(PROJECT, name="admin"), new=False)
    await lab.save("lab", replace(PROJECT, description="the same name"), new=False)


async def test_names_are_taken_within_a_domain_and_within_a_user(lab: Bench) -> None:
    await lab.save("2", replace(PROJECT, id="2", domain="other"))
    await lab.save("3", replace(USER, id="3", domain="other"))
    await lab.save("4", replace(CREDENTIAL, id="4", user="3"))


@pytest.mark.parametrize(
    ("key", "record"),
    [
        ("x", replace(ASSIGNMENT, user="nobody")),
        ("x", replace(ASSIGNMENT, project="nowhere")),
        ("x", replace(ASSIGNMENT, role="nothing")),
        ("x", replace(CREDENTIAL, id="x", name="x", user="nobody")),
        ("x", replace(CREDENTIAL, id="x", name="x", project="nowhere")),
        ("x", replace(PAIR, user="nobody")),
        ("x/h1", replace(WITHIN, aggregate="x")),
    ],
)
async def test_what_a_record_names_must_be_there(lab: Bench, key: str, record: Word) -> None:
    with pytest.raises(NotFound):
        await lab.save(key, record)


async def test_a_role_may_be_given_for_the_system(lab: Bench) -> None:
    await lab.save("anne/system/cook", replace(ASSIGNMENT, project="system"))


@pytest.mark.parametrize("kind", ["revocation", "admission", "signing_key", "nothing"])
async def test_other_kinds_are_nobodys_to_write(lab: Bench, kind: str) -> None:
    with pytest.raises(BadRequest, match="isn't kept by the registrar"):
        await drop(lab, kind, "x")
    with pytest.raises(BadRequest):
        await lab.save("x", Revocation(audit_id="x", expires=1))


async def test_what_isnt_a_record_is_refused(lab: Bench) -> None:
    with pytest.raises(FreeholdError):
        await lab.ask(SaveTenant(kind="project", key="x", record=b"\xc1", new=True), Done)
    assert lab.store.read_as(Project, "x") is None


GOES_WITH = {
    ("user", "anne"): {
        ("user", "anne"),
        ("assignment", "anne/lab/cook"),
        ("application_credential", "cred"),
        ("key_pair", "anne/laptop"),
    },
    ("project", "lab"): {
        ("project", "lab"),
        ("quota", "lab"),
        ("server_group", "group"),
        ("assignment", "anne/lab/cook"),
        ("application_credential", "cred"),
    },
    ("role", "cook"): {("role", "cook"), ("assignment", "anne/lab/cook")},
    ("assignment", "anne/lab/cook"): {("assignment", "anne/lab/cook"), ("application_credential", "cred")},
    ("application_credential", "cred"): {("application_credential", "cred")},
    ("key_pair", "anne/laptop"): {("key_pair", "anne/laptop")},
    ("server_group", "group"): {("server_group", "group")},
    ("flavor", "9"): {("flavor", "9")},
    ("quota", "lab"): {("quota", "lab")},
    ("aggregate_host", "rack/h1"): {("aggregate_host", "rack/h1")},
}


@pytest.mark.parametrize(("dropped", "gone"), GOES_WITH.items(), ids=[kind for kind, _ in GOES_WITH])
async def test_what_hangs_on_a_thing_goes_with_it(
    lab: Bench, dropped: tuple[str, str], gone: set[tuple[str, str]]
) -> None:
    before = left(lab)
    await drop(lab, *dropped)
    assert before - left(lab) == gone
    with pytest.raises(NotFound):
        await drop(lab, *dropped)


@pytest.mark.parametrize(("kind", "key"), [("user", "anne"), ("project", "lab"), ("assignment", "anne/lab/cook")])
async def test_secrets_go_with_what_they_open(lab: Bench, kind: str, key: str) -> None:
    await drop(lab, kind, key)
    assert lab.store.read_private("credential_secret", "cred") is None
    assert (lab.store.read_private("password", "anne") is None) == (kind == "user")


async def test_dropping_one_thing_leaves_its_neighbours(lab: Bench) -> None:
    await lab.save("anne2", User(id="anne2", name="anne2"), secret=Secret("s"))
    await lab.save("anne2/laptop", replace(PAIR, user="anne2"))
    await lab.save("anne2/lab/cook", replace(ASSIGNMENT, user="anne2"))
    await drop(lab, "user", "anne")
    assert lab.store.read_as(KeyPair, "anne2/laptop") and lab.store.read_as(Assignment, "anne2/lab/cook")
    assert lab.store.read_private("password", "anne2")


async def test_a_project_with_guests_stays(lab: Bench) -> None:
    guest = (await lab.admit(project="lab")).guests[0]
    with pytest.raises(Conflict, match="guests"):
        await drop(lab, "project", "lab")
    await lab.delete(guest, project="lab")
    await drop(lab, "project", "lab")


async def test_an_aggregate_with_hosts_stays(lab: Bench) -> None:
    await lab.save("rack2", replace(RACK, id="rack2", name="rack2"))
    with pytest.raises(Conflict, match="still has hosts"):
        await drop(lab, "aggregate", "rack")
    await drop(lab, "aggregate", "rack2")
    await drop(lab, "aggregate_host", "rack/h1")
    await drop(lab, "aggregate", "rack")
    assert not lab.store.scan(Aggregate)


async def test_hosts_that_are_retired_hold_no_aggregate_and_come_into_none(lab: Bench) -> None:
    await lab.store.commit([put("h1", Retirement(host="h1", name="h1", user="u", time=1))], "test")
    with pytest.raises(NotFound, match="retired"):
        await lab.save("rack/h1", WITHIN, new=False)
    await drop(lab, "aggregate", "rack")
    assert not lab.store.scan(AggregateHost)


async def test_a_late_copy_of_a_user_doesnt_bring_old_tokens_back(lab: Bench) -> None:
    await lab.save("anne", replace(USER, generation=7), new=False, secret=Secret("t"))
    kept = lab.store.read_as(User, "anne")
    assert kept is not None and kept.generation == 1
    await lab.save("anne", replace(USER, generation=0), new=False)
    kept = lab.store.read_as(User, "anne")
    assert kept is not None and kept.generation == 1


async def test_a_new_cloud_has_an_admin_with_every_role(bench: Bench) -> None:
    (admin,) = bench.store.scan(User)
    (project,) = bench.store.scan(Project)
    assert (admin.name, project.name, admin.default_project) == ("admin", "admin", project.id)
    token = await bench.sign_in()
    assert set(token.roles) == set(ROLES)
    assert bench.worker.project_named("admin") == project and bench.worker.project_named("x") is None
