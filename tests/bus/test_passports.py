"""What is signed for one purpose, by one key, over one text, is good for nothing else."""

from freehold.bus import passports
from freehold.runtime.chance import SeededChance
from freehold.runtime.keys import SigningKey
from freehold.vocabulary.codec import decode
from freehold.vocabulary.machine import MachineRequest, Passport

CHANCE = SeededChance(3)
AUTHORITY, KEY, OTHER = (SigningKey.made(CHANCE) for _ in range(3))
PASSPORT = Passport(
    machine="m", name="h1", roles=("host",), cluster="c", key=KEY.public, issued_ms=1, expires_ms=2, stores=("s",)
)


def test_a_passport_is_opened_with_the_authoritys_key_alone() -> None:
    sealed = passports.sealed_passport(PASSPORT, AUTHORITY)
    assert passports.opened_passport(sealed, AUTHORITY.public) == PASSPORT
    assert passports.opened_passport(sealed, OTHER.public) is None
    assert passports.opened_passport(sealed, b"no key") is None
    for place in range(len(sealed)):
        changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        assert passports.opened_passport(changed, AUTHORITY.public) in (None, PASSPORT)
        assert passports.opened_passport(sealed[:place], AUTHORITY.public) is None


def test_a_request_shows_that_its_machine_has_the_key() -> None:
    request = decode(passports.machine_request(KEY, ("s",), "invitation"), MachineRequest)
    assert (request.key, request.stores) == (KEY.public, ("s",))
    assert passports.has_its_key(request, "invitation")
    assert not passports.has_its_key(request, "another")
    stolen = MachineRequest(key=OTHER.public, stores=("s",), signature=request.signature)
    assert not passports.has_its_key(stolen, "invitation")


def test_a_renewal_is_signed_by_the_key_before() -> None:
    request = passports.machine_request(OTHER, (), "m")
    signature = passports.renewal(KEY, request)
    assert passports.is_renewal(KEY.public, request, signature)
    assert not passports.is_renewal(OTHER.public, request, signature)
    assert not passports.is_renewal(KEY.public, request + b"x", signature)


def test_a_key_isnt_shown() -> None:
    assert repr(KEY) == str(KEY) == "SigningKey(…)"
