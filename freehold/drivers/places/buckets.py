"""Buckets: S3 and what speaks like it, Google's and Azure's, by obstore."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from freehold.drivers.places.refusals import missing, refused
from freehold.vocabulary.errors import BadRequest
from freehold.vocabulary.place import Place, Purpose
from freehold.vocabulary.secret import Secret

if TYPE_CHECKING:
    from obstore.store import ObjectStore

CONNECT_S_MAX: Final = 5
RETRIES_MAX: Final = 2
_SECRET_NAMES: Final = {"account_key": "azure_storage_account_key", "sas_token": "azure_storage_sas_key"}


class Said(Exception):
    """What obstore says, without its debugging part."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error).split("\n\nDebug source")[0])


def open_bucket(place: Place, secrets: Mapping[str, Secret], purpose: Purpose, request_s_max: float) -> "ObjectStore":
    """The bucket of a place, of which a request may take so long, its bytes among it. Raises BadRequest where obstore
    isn't installed, or refuses the settings.
    """
    try:
        from obstore.store import AzureStore, GCSStore, S3Store
    except ImportError as error:
        raise missing(purpose, place.kind, "s3") from error
    config = {_SECRET_NAMES.get(name, name): secret.reveal() for name, secret in secrets.items()}
    options = dict(place.options)
    endpoint = options.pop("endpoint", "")
    if place.kind == "az":
        config |= {f"azure_storage_{name}": value for name, value in [("account_name", options.pop("account", ""))]}
    config |= options | ({"endpoint" if place.kind != "gs" else "base_url": endpoint} if endpoint else {})
    kind: Any = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}[place.kind]
    client = {"timeout": f"{request_s_max}s", "connect_timeout": f"{CONNECT_S_MAX}s"}
    try:
        store: ObjectStore = kind(
            place.host,
            prefix=place.path or None,
            config=config,
            client_options=client | ({"allow_http": True} if endpoint.startswith("http://") else {}),
            retry_config={"max_retries": RETRIES_MAX},
        )
    except Exception as error:  # noqa: BLE001 - each of the stores has errors of its own
        said = refused(purpose, place.shown(), Said(error), *secrets.values()).message
        raise BadRequest(said) from None
    return store
