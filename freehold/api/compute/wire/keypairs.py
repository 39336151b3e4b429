"""Bodies of key pairs."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from freehold.api.call import Body
from freehold.api.wire import Identifier

KeyPairName = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9@._ -]+\Z")]
PublicKey = Annotated[str, Meta(min_length=1, max_length=16384)]


class KeyPairIn(Body, frozen=True, kw_only=True):
    """What may be given of a new key pair."""

    name: KeyPairName
    public_key: PublicKey | None = None
    type: str | UnsetType = UNSET
    user_id: Identifier | UnsetType = UNSET


class KeyPairBody(Body, frozen=True, kw_only=True):
    """POST /os-keypairs."""

    keypair: KeyPairIn
