"""Who may say and hear what: the rows of the table that a fallen machine would like to have."""

import pytest

from freehold.bus.allowed import HEARS, SPEAKS, may_answer, may_speak
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
