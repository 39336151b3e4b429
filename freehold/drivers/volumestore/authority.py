"""The authority of a pool: who its servers are, and who its readers.

Each pool is its own. Its key is made with the pool and never leaves the machine; nor do those of servers and readers:
a reader tells its public key (Ed25519, which every machine of a cloud has) and is told a certificate. GnuTLS, by which
QEMU speaks TLS, takes such keys.

    <folder>/authority/     key.pem, which only this process reads
    <folder>/tls/           what QEMU wants to find for a server: ca-cert.pem, server-cert.pem, server-key.pem

What a certificate is for is in its name: a server's is ``pool-<id>`` (a subject alternative name, by which readers know
it at whatever address), a reader's is its id. Neither can stand for the other. Certificates are good for longer than
machines are: which reader may open which export is decided at each server anew, so that nothing hangs on their end.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from freehold.drivers.qemu.records import write_whole
from freehold.runtime.clock import Clock
from freehold.vocabulary.errors import BadRequest, Broken

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
    from cryptography.x509 import Certificate, ExtensionType, Name

DAYS: Final = 20 * 365
_EARLY: Final = timedelta(days=1)
"""How far a reader's clock may be behind ours."""


class Authority:
    """See the module. `name`: the pool's, ``pool-<id>``. Everything blocks, for milliseconds."""

    def __init__(self, folder: Path, name: str, clock: Clock) -> None:
        self.name = name
        self.tls = folder / "tls"
        self._own, self._clock = folder / "authority", clock

    def make(self) -> None:
        """Makes what isn't there yet. Raises OSError."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.x509 import DNSName, ExtendedKeyUsage, SubjectAlternativeName
        from cryptography.x509.oid import ExtendedKeyUsageOID

        for folder in (self._own, self.tls):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (self._own / "key.pem").exists():
            write_whole(self._own / "key.pem", _key_pem(Ed25519PrivateKey.generate()))
        authority = self._key()
        if not (self.tls / "ca-cert.pem").exists():
            write_whole(self.tls / "ca-cert.pem", _pem(self._signed(authority.public_key(), self.name, authority)))
        if not (self.tls / "server-cert.pem").exists():
            key = Ed25519PrivateKey.generate()
            usage = ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
            where = SubjectAlternativeName([DNSName(self.name)])
            # The certificate last: where there is one, its key is there too.
            write_whole(self.tls / "server-key.pem", _key_pem(key))
            certificate = self._signed(key.public_key(), f"server of {self.name}", authority, usage, where)
            write_whole(self.tls / "server-cert.pem", _pem(certificate))

    def certificate_pem(self) -> str:
        """The authority's own: what readers check servers by."""
        return (self.tls / "ca-cert.pem").read_text()

    def certify(self, reader: str, public_key: bytes) -> str:
        """The certificate (PEM) of a reader's key. Raises BadRequest if that is none."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.x509 import ExtendedKeyUsage
        from cryptography.x509.oid import ExtendedKeyUsageOID

        try:
            key = Ed25519PublicKey.from_public_bytes(public_key)
        except ValueError as error:
            raise BadRequest("The public key of the reader is no Ed25519 key.") from error
        usage = ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        return _pem(self._signed(key, reader, self._key(), usage)).decode()

    def _key(self) -> "Ed25519PrivateKey":
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        key = load_pem_private_key((self._own / "key.pem").read_bytes(), None)
        if not isinstance(key, Ed25519PrivateKey):
            raise Broken("The key of the pool's authority isn't the one that was made with the pool.")
        return key

    def _signed(
        self, key: "Ed25519PublicKey", name: str, authority: "Ed25519PrivateKey", *extensions: "ExtensionType"
    ) -> "Certificate":
        """A certificate of a server or a reader; of the authority itself without extensions."""
        from cryptography import x509

        is_authority = not extensions
        now = datetime.fromtimestamp(self._clock.unix_ms() / 1000, UTC)
        basic = x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(_named(self.name))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _EARLY)
            .not_valid_after(now + timedelta(days=DAYS))
            .add_extension(basic, critical=True)
            .add_extension(_usage(is_authority=is_authority), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(authority, None)


def distinguished_name(reader: str) -> str:
    """A reader's name as a server sees it in its certificate (RFC 4514)."""
    return f"CN={reader}"


def write_credentials(folder: Path, secret_key: bytes, certificate_pem: str, authority_pem: str) -> None:
    """Puts into `folder` what QEMU wants to find for a reader: ca-cert.pem, client-cert.pem, client-key.pem.

    `secret_key`: the private half of the reader's Ed25519 key, 32 bytes. Raises OSError.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(folder / "ca-cert.pem", authority_pem.encode())
    write_whole(folder / "client-key.pem", _key_pem(Ed25519PrivateKey.from_private_bytes(secret_key)))
    write_whole(folder / "client-cert.pem", certificate_pem.encode())


def _named(name: str) -> "Name":
    from cryptography.x509 import Name, NameAttribute
    from cryptography.x509.oid import NameOID

    return Name([NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, is_authority: bool) -> "ExtensionType":
    from cryptography.x509 import KeyUsage

    return KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: "Certificate") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _key_pem(key: "Ed25519PrivateKey") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
