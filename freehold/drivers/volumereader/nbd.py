"""A reader of volumes over NBD with TLS.

<folder>/key.pem        this machine's key (Ed25519), which only this process reads
<folder>/<pool>/        what QEMU wants to find: client-key.pem, client-cert.pem, ca-cert.pem
"""

from pathlib import Path
from typing import TYPE_CHECKING

from freehold.drivers.qemu.records import write_whole
from freehold.drivers.volumestore import nbd
from freehold.drivers.volumestore.authority import write_credentials
from freehold.drivers.volumestore.nbd import Credentials
from freehold.runtime.tasks import Offload
from freehold.vocabulary.attachment import Certificate, Opened, RemoteDisk
from freehold.vocabulary.errors import BadRequest, Broken
from freehold.vocabulary.ids import is_uuid

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class NbdVolumeReader:
    """See VolumeReader and the module."""

    def __init__(self, folder: Path, offload: Offload) -> None:
        self._folder, self._offload = folder, offload
        self._known: Ed25519PrivateKey | None = None

    async def key(self) -> bytes:
        """See VolumeReader. Raises Broken if it can't be read or made."""
        return (await self._offload(self._key)).public_key().public_bytes_raw()

    def _key(self) -> "Ed25519PrivateKey":
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        if self._known is not None:
            return self._known
        path = self._folder / "key.pem"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not path.exists():
                made = Ed25519PrivateKey.generate()
                form = serialization.PrivateFormat.PKCS8
                write_whole(path, made.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
            key = serialization.load_pem_private_key(path.read_bytes(), None)
        except (OSError, ValueError) as error:
            raise Broken(f"This host's key as a reader of volumes can't be used: {error}.") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise Broken("This host's key as a reader of volumes is of another kind. Remove it, and restart the host.")
        self._known = key
        return key

    async def accept(self, attachment: str, store: str, opened: Opened) -> RemoteDisk:
        """See VolumeReader."""
        if not is_uuid(store):
            raise BadRequest("A pool is named by the id of its volume worker's store.")
        credentials, folder = await self._offload(lambda: self._keep(store, opened))
        await nbd.check(opened.served, credentials)
        return opened.disk(attachment, str(folder))

    def _keep(self, store: str, opened: Opened) -> tuple[Credentials, Path]:
        folder = (self._folder / store).resolve()
        try:
            self._write(folder, opened.certificate)
        except OSError as error:
            raise Broken(f"The credentials for a pool can't be kept: {error}.") from error
        return Credentials.of(folder), folder

    def _write(self, folder: Path, certificate: Certificate) -> None:
        secret = self._key().private_bytes_raw()
        write_credentials(folder, secret, certificate.certificate_pem, certificate.authority_pem)

    async def close(self) -> None:
        """See VolumeReader."""
