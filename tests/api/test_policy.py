"""Who is let in where."""

import pytest

from freehold.api.caller import ANONYMOUS, Caller
from freehold.api.policy import Rule, check
from freehold.vocabulary.errors import Forbidden, Unauthorized

READER = Caller(user="u", project="p", roles=frozenset({"reader"}))
MEMBER = Caller(user="u", project="p", roles=frozenset({"member"}))
ADMIN = Caller(user="u", project="p", roles=frozenset({"admin"}))
UNSCOPED = Caller(user="u")
STRANGE = Caller(user="u", project="p", roles=frozenset({"artist"}))


@pytest.mark.parametrize(
    ("rule", "let_in"),
    [
        (Rule.ANYONE, [ANONYMOUS, UNSCOPED, STRANGE, READER, MEMBER, ADMIN]),
        (Rule.AUTHENTICATED, [UNSCOPED, STRANGE, READER, MEMBER, ADMIN]),
        (Rule.READER, [READER, MEMBER, ADMIN]),
        (Rule.MEMBER, [MEMBER, ADMIN]),
        (Rule.ADMIN, [ADMIN]),
    ],
)
def test_a_rule_lets_in_exactly_those(rule: Rule, let_in: list[Caller]) -> None:
    for caller in (ANONYMOUS, UNSCOPED, STRANGE, READER, MEMBER, ADMIN):
        if caller in let_in:
            check(rule, caller)
        else:
            with pytest.raises((Forbidden, Unauthorized)):
                check(rule, caller)


def test_nobody_owns_what_has_no_project() -> None:
    assert not UNSCOPED.owns("")
    assert MEMBER.owns("p")
    assert not MEMBER.owns("q")
    assert ADMIN.owns("q")
