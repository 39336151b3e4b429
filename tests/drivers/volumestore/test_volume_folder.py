"""The files of a volume."""

from pathlib import Path

import pytest

from freehold.drivers.volumestore.chain import Chain, Layer
from freehold.drivers.volumestore.volume_folder import VolumeFolder
from freehold.vocabulary.errors import BadRequest, Broken, NotFound

VOLUME = "0cca1991-394f-430f-bed5-f0ca5be05779"


@pytest.fixture
def folder(tmp_path: Path) -> VolumeFolder:
    folder = VolumeFolder(tmp_path, VOLUME)
    folder.begin()
    return folder


def test_only_a_uuid_is_a_path(tmp_path: Path) -> None:
    with pytest.raises(BadRequest):
        VolumeFolder(tmp_path, "../etc")


def test_a_volume_is_whole_when_its_layers_are_written_down(folder: VolumeFolder) -> None:
    folder.layer(Layer(name=1)).write_bytes(b"")
    assert folder.chain_or_none() is None
    with pytest.raises(NotFound):
        folder.chain()
    folder.keep(Chain(volume=VOLUME))
    assert folder.chain() == Chain(volume=VOLUME)
    assert folder.path.stat().st_mode & 0o777 == 0o700


def test_what_the_record_does_not_name_is_swept(folder: VolumeFolder) -> None:
    chain = Chain(volume=VOLUME).with_snapshot("a")
    for name in (1, 2, 3):
        folder.layer(Layer(name=name)).write_bytes(b"x")
    folder.sweep()  # nothing is known of a volume that isn't whole
    assert len(list(folder.path.iterdir())) == 3
    folder.keep(chain)
    folder.sweep()
    assert {path.name for path in folder.path.iterdir()} == {"volume.json", "1.qcow2", "2.qcow2"}


def test_removing_is_done_again_after_a_crash(folder: VolumeFolder) -> None:
    folder.keep(Chain(volume=VOLUME))
    for _ in range(2):
        folder.remove()
    assert not folder.path.exists()


def test_a_layer_that_is_none_is_broken(folder: VolumeFolder) -> None:
    folder.layer(Layer(name=1)).write_bytes(b"QFI\xfb")
    for name in (1, 2):
        with pytest.raises(Broken):
            folder.size_bytes(Layer(name=name))


def test_what_lies_on_what_is_told_and_never_read(folder: VolumeFolder) -> None:
    chain = Chain(volume=VOLUME).with_snapshot("a")
    graph = folder.graph(chain.layers)
    assert graph["driver"] == "qcow2" and graph["file"]["filename"] == str(folder.path / "2.qcow2")
    assert graph["backing"]["file"]["filename"] == str(folder.path / "1.qcow2")
    assert graph["backing"]["backing"] is None
