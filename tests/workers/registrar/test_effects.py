"""What the registrar does outside its store: hashes that can be trusted, tokens that anybody can check, messages."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from argon2 import PasswordHasher
from joserfc import jws
from joserfc.jwk import OKPKey
from msgspec.structs import replace

from freehold.bus import subjects, talk
from freehold.vocabulary.envelope import Done, Position
from freehold.vocabulary.errors import NoAnswer
from freehold.vocabulary.guest import Delete
from freehold.vocabulary.request import Admission, Build
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.tenant import User
from freehold.workers.base import Means
from freehold.workers.registrar import effects, lifecycle
from freehold.workers.registrar.effects import TOKEN_LIFE_S, Passwords, Signer
from freehold.workers.registrar.signin import Grant
from tests.owners import HandClock, a_build, a_deed, means_of, until
from tests.workers.registrar.bench import QUICK

T = TypeVar("T")
RIGHT, WRONG = Secret("right"), Secret("wrong")
GRANT = Grant(User(id="u", name="anne", generation=3), "p", ("member",), ("password",))


class Counted:
    """Passwords, and how often a hash was computed."""

    def __init__(self) -> None:
        self.hashes = 0
        self.means = means_of(offload=self._offload)
        self.passwords = Passwords(self.means, QUICK)

    async def _offload(self, work: Callable[[], T]) -> T:
        self.hashes += 1
        return work()


# --- passwords -------------------------------------------------------------------------------------------------------


async def test_the_password_that_was_hashed_is_right_and_no_other() -> None:
    passwords = Counted().passwords
    kept = await passwords.hashed(RIGHT)
    assert await passwords.right(kept, RIGHT)
    for other in (WRONG, Secret(""), Secret("right "), Secret("Right")):
        assert not await passwords.right(kept, other)


async def test_a_hash_is_argon2id_salted_and_doesnt_hold_the_password() -> None:
    passwords = Counted().passwords
    first, second = await passwords.hashed(RIGHT), await passwords.hashed(RIGHT)
    assert first != second and first.startswith(b"$argon2id$") and RIGHT.reveal().encode() not in first
    assert await passwords.right(first, RIGHT) and await passwords.right(second, RIGHT)


async def test_a_password_that_was_right_costs_no_second_hash() -> None:
    counted = Counted()
    kept = await counted.passwords.hashed(RIGHT)
    assert [await counted.passwords.right(kept, RIGHT) for _ in range(3)] == [True] * 3
    assert counted.hashes == 2
    assert not await counted.passwords.right(kept, WRONG) and not await counted.passwords.right(kept, WRONG)
    assert counted.hashes == 4, "a wrong one is never remembered"


async def test_what_was_right_before_a_change_is_forgotten() -> None:
    passwords = Counted().passwords
    assert await passwords.right(await passwords.hashed(RIGHT), RIGHT)
    assert not await passwords.right(await passwords.hashed(WRONG), RIGHT)


async def test_nobody_takes_as_long_as_somebody() -> None:
    counted = Counted()
    assert not await counted.passwords.right(None, RIGHT)
    assert counted.hashes == 1


async def test_what_isnt_a_hash_opens_nothing() -> None:
    passwords = Counted().passwords
    for kept in (b"", b"right", b"$argon2id$"):
        assert not await passwords.right(kept, RIGHT)


async def test_no_more_is_remembered_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effects, "REMEMBERED_MAX", 2)
    counted = Counted()
    kept = [await counted.passwords.hashed(RIGHT) for _ in range(3)]
    for one in kept:
        await counted.passwords.right(one, RIGHT)
    before = counted.hashes
    await counted.passwords.right(kept[2], RIGHT)
    assert counted.hashes == before
    await counted.passwords.right(kept[0], RIGHT)
    assert counted.hashes == before + 1, "the oldest had to go"


def test_the_hashes_of_a_real_registrar_cost_something() -> None:
    hasher = PasswordHasher()
    assert hasher.memory_cost >= 64 * 1024 and hasher.time_cost >= 3


# --- tokens ----------------------------------------------------------------------------------------------------------


def signer(key: bytes = b"k" * 32, clock: HandClock | None = None, name: str = "key-1") -> Signer:
    return Signer(means_of(clock=clock), name, key)


def test_the_published_key_is_enough_to_check_and_not_to_sign() -> None:
    mine = signer()
    published = json.loads(mine.public().public_jwk)
    assert "d" not in published and published["kid"] == mine.public().id == "key-1"
    token = mine.token(GRANT, ("password",))
    found = jws.deserialize_compact(token.text.reveal(), OKPKey.import_key(published), algorithms=["Ed25519"])
    assert json.loads(found.payload) == {
        "sub": "u",
        "prj": "p",
        "rol": ["member"],
        "gen": 3,
        "mth": ["password"],
        "jti": token.audit_id,
        "iat": 1_000_000,
        "exp": 1_000_000 + TOKEN_LIFE_S,
        "apc": "",
    }
    assert found.headers() == {"alg": "Ed25519", "kid": "key-1"}


@pytest.mark.parametrize(("most", "expires"), [(None, 3600), (60, 60), (10**6, 3600)])
def test_a_token_holds_an_hour_or_as_long_as_what_it_is_from(most: int | None, expires: int) -> None:
    limit = None if most is None else 1_000_000 + most
    grant = Grant(GRANT.user, "p", ("member",), ("password",), expires_max=limit)
    assert signer().token(grant, ("password",)).expires == 1_000_000 + expires


def test_no_two_tokens_are_one() -> None:
    mine = signer()
    assert mine.token(GRANT, ("password",)).audit_id != mine.token(GRANT, ("password",)).audit_id


def test_claims_are_read_from_our_own_tokens_alone() -> None:
    mine, stranger = signer(), signer(b"x" * 32)
    said = mine.claims(mine.token(GRANT, ("password",)).text)
    assert said is not None and said["sub"] == "u"
    assert mine.claims(stranger.token(GRANT, ("password",)).text) is None
    for text in ("", "a.b.c", "é"):
        assert mine.claims(Secret(text)) is None


def test_the_same_key_is_the_same_signer_after_a_stop() -> None:
    assert signer().claims(signer().token(GRANT, ("password",)).text) is not None


# --- messages --------------------------------------------------------------------------------------------------------


def admission(**fields: Any) -> Admission:
    built = lifecycle.admitted(a_build(guest="g", urn="urn:b"))
    return replace(built, **{"deed": a_deed("g", 2, "h1", "urn:b"), "delete_urn": "urn:d"} | fields)


async def _host(means: Means, asked: list[Delete]) -> None:
    async def answer(question: Delete) -> Done:
        asked.append(question)
        return Done(store="h1", position=Position(epoch="e"))

    await talk.serve(means.bus, subjects.ask_host("h1"), Delete, answer, "host")


@pytest.mark.parametrize(
    ("delete_urn", "urn", "unless_run"), [("urn:d", "urn:d", False), ("", "urn:b", True)], ids=["deleted", "given up"]
)
async def test_a_delete_goes_to_the_host_with_the_deed(delete_urn: str, urn: str, unless_run: bool) -> None:
    means, asked = means_of(), list[Delete]()
    await _host(means, asked)
    await effects.carry_delete(means, admission(delete_urn=delete_urn))
    assert asked == [Delete(urn=urn, guest="g", user="u", project="p", deed=2, unless_run=unless_run)]


async def test_a_delete_for_a_host_that_isnt_there_says_so() -> None:
    with pytest.raises(NoAnswer):
        await effects.carry_delete(means_of(), admission())


async def test_a_build_goes_to_the_image_worker_first() -> None:
    means, heard = means_of(), list[Build]()

    async def take(build: Build) -> None:
        heard.append(build)

    await talk.hear(means.bus, subjects.BUILD_IMAGE, Build, take)
    await effects.send_build(means, a_build(guest="g", user_data=Secret("#cloud-config")))
    await until(lambda: heard)
    assert heard == [a_build(guest="g", user_data=Secret("#cloud-config"))]
