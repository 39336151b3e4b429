"""Keys sign for the purpose that they are asked for, and nothing that could be something else."""

import pytest

from freehold.runtime.chance import SeededChance
from freehold.runtime.keys import KEY_BYTES, SigningKey, closed, is_signed, opened

KEY = SigningKey(bytes(KEY_BYTES))


def test_a_signature_is_for_its_purpose_and_these_parts() -> None:
    signature = KEY.sign(b"purpose", b"a", b"bc")
    assert is_signed(KEY.public, signature, b"purpose", b"a", b"bc")
    assert not is_signed(KEY.public, signature, b"purpose", b"ab", b"c")
    assert not is_signed(KEY.public, signature, b"another", b"a", b"bc")
    assert not is_signed(SigningKey.made(SeededChance(1)).public, signature, b"purpose", b"a", b"bc")
    assert not is_signed(b"no key", signature, b"purpose", b"a", b"bc")


@pytest.mark.parametrize("text", [b"", b"\0\0\0\0\0\0\0\x07purpose", b"a b", b"a\n", "ü".encode(), b'{"a":1}'])
def test_only_plain_text_is_signed_as_it_stands(text: bytes) -> None:
    """Who chooses such a text, as a server does, must not get a signature over a message of ours."""
    with pytest.raises(ValueError, match="as it stands"):
        KEY.sign_plain(text)
    assert len(KEY.sign_plain(b"eyJ0.eyJp-_9")) == 64


def test_a_key_cant_be_shown() -> None:
    assert repr(KEY) == "SigningKey(…)"


def test_what_was_closed_is_opened_with_its_key_unchanged() -> None:
    key = SeededChance(1).bytes(KEY_BYTES)
    text = closed(key, b"a secret")
    assert opened(key, text) == b"a secret" and b"secret" not in text
    for other, changed in ((SeededChance(2).bytes(KEY_BYTES), text), (key, text[:-1] + b"\0"), (key, b"")):
        with pytest.raises(ValueError, match="another key"):
            opened(other, changed)
