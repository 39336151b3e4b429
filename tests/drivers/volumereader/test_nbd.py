"""A reader's key and credentials, on its disk."""

import stat
from pathlib import Path

import pytest

from freehold.drivers.volumereader.nbd import NbdVolumeReader
from freehold.runtime.tasks import offload_inline
from freehold.vocabulary.attachment import Certificate, Export, Opened, Served
from freehold.vocabulary.errors import BadRequest, Broken, Unavailable

STORE = "00000000-0000-4000-8000-000000000001"
VOLUME = "00000000-0000-4000-8000-000000000002"


def an_opening(port: int = 1) -> Opened:
    served = Served(
        export=Export(volume=VOLUME, number=1, reader=STORE),
        host="127.0.0.1",
        port=port,
        name=f"{VOLUME}.1",
        description="",
        size_bytes=1,
        server_name="pool-one",
    )
    certificate = Certificate(reader=STORE, certificate_pem="certificate", authority_pem="authority")
    return Opened(served=served, certificate=certificate)


async def test_the_key_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    await NbdVolumeReader(tmp_path / "reader", offload_inline).key()
    assert stat.S_IMODE((tmp_path / "reader/key.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "reader").stat().st_mode) == 0o700


@pytest.mark.parametrize("store", ["../elsewhere", "", "pool-one", STORE.upper().replace("0", "A")])
async def test_a_pool_whose_name_is_no_id_is_no_path(tmp_path: Path, store: str) -> None:
    with pytest.raises(BadRequest, match="named by the id"):
        await NbdVolumeReader(tmp_path, offload_inline).accept(VOLUME, store, an_opening())
    assert not list(tmp_path.iterdir())


async def test_a_key_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("nonsense")
    with pytest.raises(Broken, match="can't be used"):
        await NbdVolumeReader(tmp_path, offload_inline).key()


async def test_credentials_that_are_none_and_servers_that_are_away_are_told(tmp_path: Path) -> None:
    reader = NbdVolumeReader(tmp_path, offload_inline)
    with pytest.raises((BadRequest, Unavailable)):
        await reader.accept(VOLUME, STORE, an_opening())
    assert {path.name for path in (tmp_path / STORE).iterdir()} == {"ca-cert.pem", "client-cert.pem", "client-key.pem"}
