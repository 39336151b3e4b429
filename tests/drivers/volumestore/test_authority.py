"""The authority of a pool."""

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from freehold.drivers.volumestore.authority import Authority, write_credentials
from freehold.runtime.clock import SystemClock
from freehold.vocabulary.errors import BadRequest

READER = "0000000a-394f-430f-bed5-f0ca5be05779"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    authority = Authority(tmp_path, "pool-one", SystemClock())
    authority.make()
    return authority


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*.pem")}


def test_it_is_made_once_and_what_a_crash_kept_it_from_is_made_later(authority: Authority, tmp_path: Path) -> None:
    before = files(tmp_path)
    authority.make()
    assert files(tmp_path) == before
    (tmp_path / "tls" / "server-cert.pem").unlink()  # its key was made, and the certificate wasn't
    (tmp_path / "tls" / "ca-cert.pem").unlink()
    authority.make()
    now = files(tmp_path)
    assert now["key.pem"] == before["key.pem"] and now.keys() == before.keys()
    made = x509.load_pem_x509_certificate(now["server-cert.pem"])
    made.verify_directly_issued_by(x509.load_pem_x509_certificate(now["ca-cert.pem"]))


def test_a_reader_is_certified_as_itself_and_nothing_else(authority: Authority) -> None:
    key = Ed25519PrivateKey.generate().public_key()
    found = x509.load_pem_x509_certificate(authority.certify(READER, key.public_bytes_raw()).encode())
    found.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.certificate_pem().encode()))
    assert found.public_key() == key
    assert found.subject.rfc4514_string() == f"CN={READER}"
    assert not found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    usage = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]


def test_two_pools_do_not_know_each_other(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other", "pool-one", SystemClock())
    other.make()
    key = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    stranger = x509.load_pem_x509_certificate(other.certify(READER, key).encode())
    with pytest.raises(Exception, match=r"^$"):  # InvalidSignature has nothing to say
        stranger.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.certificate_pem().encode()))


def test_what_is_no_key_is_refused(authority: Authority) -> None:
    with pytest.raises(BadRequest):
        authority.certify(READER, b"short")


def test_a_readers_key_is_for_its_owner_alone(authority: Authority, tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    told = authority.certify(READER, key.public_key().public_bytes_raw())
    write_credentials(tmp_path / "reader", key.private_bytes_raw(), told, authority.certificate_pem())
    assert {path.name for path in (tmp_path / "reader").iterdir()} == {
        "ca-cert.pem",
        "client-cert.pem",
        "client-key.pem",
    }
    assert (tmp_path / "reader" / "client-key.pem").stat().st_mode & 0o777 == 0o600
