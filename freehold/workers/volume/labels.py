"""What people call volumes and snapshots, and what an operator says of their state."""

from msgspec.structs import replace

from freehold.vocabulary.errors import NotFound
from freehold.vocabulary.volume import LabelSnapshot, LabelVolume, ResetState, Snapshot, Volume, VolumeLabelling
from freehold.workers.volume import lifecycle
from freehold.workers.volume.records import Records


def labelled(records: Records, asked: VolumeLabelling, now: int) -> str:
    """Stages what was asked, and gives the id of what it is about. Raises NotFound, BadRequest, Conflict."""
    record: Volume | Snapshot
    match asked:
        case LabelVolume():
            volume = lifecycle.found(records.volume(asked.volume), asked.volume)
            image = volume.spec.image if asked.image is None else asked.image
            spec = replace(volume.spec, bootable=asked.bootable, image=image)
            record = replace(volume, labels=asked.labels, spec=spec, updated=now)
        case LabelSnapshot():
            snapshot = lifecycle.found_snapshot(records.snapshot(asked.snapshot), asked.snapshot)
            record = replace(snapshot, labels=asked.labels, updated=now)
        case ResetState():
            held = records.volume(asked.id) or records.snapshot(asked.id)
            if held is None:
                raise NotFound(f"There is no volume and no snapshot {asked.id}.")
            record = lifecycle.reset(held, asked.state, now)
    records.keep(record, type(asked).__name__)
    return record.id
