"""Who may say and hear what: the rows of the table that a fallen machine would like to have."""

import pytest

from freehold.bus.allowed import HEARS, SPEAKS, linked, may_answer, may_speak
from freehold.vocabulary.machine import Passport


def passport(*roles: str) -> Passport:
    return Passport(machine="m", name="m", roles=roles, cluster="c", stores=("s",), key=b"", issued_ms=0, expires_ms=1)


def test_every_role_has_a_row_on_both_sides() -> None:
    assert SPEAKS.keys() == HEARS.keys()


@pytest.mark.parametrize(
    ("subject", "may"),
    [
        ("freehold.event.c.notifier.s", True),
        ("freehold.heartbeat.c.notifier.s", True),
        ("freehold.owner.c.host.other", True),
        ("freehold.hello.registrar", True),
        ("freehold.event.c.notifier.other", False),
        ("freehold.event.c.host.s", False),
        ("freehold.ask.registrar.0", False),
        ("freehold.ask.host.other", False),
        ("freehold.ask.directory", False),
        ("freehold.build.image", False),
    ],
)
def test_a_notifier_asks_owners_for_their_logs_and_commands_nobody(subject: str, may: bool) -> None:
    assert may_speak(passport("notifier"), subject) is may


def test_only_the_api_asks_the_notifier_and_only_the_notifier_answers() -> None:
    asks = [role for role in SPEAKS if may_speak(passport(role), "freehold.ask.notifier")]
    answers = [role for role in HEARS if may_answer(passport(role), "freehold.ask.notifier")]
    assert (asks, answers) == (["api"], ["notifier"])


@pytest.mark.parametrize(
    ("subject", "may"),
    [
        ("freehold.event.c.volume.s", True),
        ("freehold.heartbeat.c.volume.s", True),
        ("freehold.event.c.volume.other", False),
        ("freehold.event.other.volume.s", False),
        ("freehold.event.c.registrar.s", False),
        ("freehold.owner.c.host.h", False),
        ("freehold.hello.host", False),
        ("freehold.ask.registrar.0", False),
        ("freehold.ask.ledger.0.scheduler", False),
        ("freehold.ask.pool.other", False),
        ("freehold.ask.pools", False),
        ("freehold.ask.host.h", False),
        ("freehold.ask.image_offer.i", False),
    ],
)
def test_a_volume_worker_tells_of_itself_and_asks_hosts_of_volumes_alone(subject: str, may: bool) -> None:
    assert may_speak(passport("volume"), subject) is may


@pytest.mark.parametrize(
    ("subject", "may"),
    [
        ("freehold.ask.pool.s", True),
        ("freehold.ask.pool.c.s", True),
        ("freehold.ask.volume.s", True),
        ("freehold.ask.volume.c.s", True),
        ("freehold.owner.c.volume.s", True),
        ("freehold.hello.volume", True),
        ("freehold.hello.volume.c", True),
        ("freehold.ask.pool.other", False),
        ("freehold.ask.pool.c.other", False),
        ("freehold.ask.pool.other.s", False),
        ("freehold.ask.volume.other", False),
        ("freehold.ask.host.s", False),
        ("freehold.ask.pools", False),
        ("freehold.ask.image_offer.s", False),
        ("freehold.event.c.volume.other", False),
    ],
)
def test_a_volume_worker_hears_what_is_asked_of_its_own_pool(subject: str, may: bool) -> None:
    assert may_answer(passport("volume"), subject) is may


@pytest.mark.parametrize(
    ("subject", "askers", "answerers"),
    [
        ("freehold.ask.pool.s", ["registrar"], ["volume"]),
        ("freehold.ask.pool.c.s", ["registrar"], ["volume"]),
        ("freehold.ask.volume.s", ["api"], ["volume"]),
        ("freehold.ask.pools", ["registrar"], ["scheduler"]),
        ("freehold.ask.image_offer.s", ["registrar"], ["image"]),
        ("freehold.ask.opening.v.s", ["host"], []),
        ("freehold.ask.opening.s.h", [], ["volume"]),
        ("freehold.ask.disk.s", ["volume"], ["host"]),
        ("freehold.ask.ledger.0.volume", ["volume"], ["registrar"]),
    ],
)
def test_who_asks_about_volumes_and_who_answers(subject: str, askers: list[str], answerers: list[str]) -> None:
    assert [role for role in SPEAKS if may_speak(passport(role), subject)] == askers
    assert [role for role in HEARS if may_answer(passport(role), subject)] == answerers


def test_a_volume_worker_of_another_cluster_is_asked_and_told_of_over_its_link() -> None:
    assert {"freehold.event.c.volume.*", "freehold.heartbeat.c.volume.*"} <= set(linked(SPEAKS, "c"))
    assert {"freehold.ask.pool.c.*", "freehold.ask.volume.c.*", "freehold.owner.c.volume.*"} <= set(linked(HEARS, "c"))
    assert "freehold.ask.pool.*" not in linked(HEARS, "c")
    for table in (SPEAKS, HEARS):
        within = [one for one in linked(table, "c") if one.startswith(("freehold.ask.opening.", "freehold.ask.disk."))]
        assert not within, "volumes are opened within their cluster"
