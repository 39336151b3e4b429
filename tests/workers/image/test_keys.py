"""Keys to the bytes door: what opens, and what doesn't."""

import pytest

from freehold.vocabulary.errors import Unauthorized
from freehold.workers.image.keys import KEY_S, DoorKeys, Verb
from tests.workers.image.bench import IMAGE, OTHER

KEYS = DoorKeys(b"s" * 32)
NOW_S = 1_000_000
KEY = KEYS.give(IMAGE, Verb.READ, NOW_S).reveal()
EXPIRY, SIGNATURE = KEY.split(".")


def test_a_key_opens_until_it_expires() -> None:
    KEYS.check(KEY, IMAGE, Verb.READ, NOW_S)
    KEYS.check(KEY, IMAGE, Verb.READ, NOW_S + KEY_S - 1)
    with pytest.raises(Unauthorized, match="expired"):
        KEYS.check(KEY, IMAGE, Verb.READ, NOW_S + KEY_S)


def test_a_key_is_for_one_image_and_one_direction() -> None:
    with pytest.raises(Unauthorized):
        KEYS.check(KEY, OTHER, Verb.READ, NOW_S)
    with pytest.raises(Unauthorized):
        KEYS.check(KEY, IMAGE, Verb.WRITE, NOW_S)


def test_a_key_of_another_store_opens_nothing() -> None:
    with pytest.raises(Unauthorized):
        DoorKeys(b"t" * 32).check(KEY, IMAGE, Verb.READ, NOW_S)


@pytest.mark.parametrize(
    "forged",
    [
        "",
        ".",
        EXPIRY,
        SIGNATURE,
        f"{int(EXPIRY) + 1}.{SIGNATURE}",
        f"0{EXPIRY}.{SIGNATURE[:-1]}",
        f"{EXPIRY}.{SIGNATURE.upper()}x",
        f"{'9' * 5000}.{SIGNATURE}",
        f"-{EXPIRY}.{SIGNATURE}",
        f"{EXPIRY}.ключ\udc80",
        "²." + SIGNATURE,
    ],
)
def test_a_forged_key_opens_nothing(forged: str) -> None:
    with pytest.raises(Unauthorized):
        KEYS.check(forged, IMAGE, Verb.READ, NOW_S)
