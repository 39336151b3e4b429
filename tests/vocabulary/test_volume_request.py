"""What an admission says of where its volume may be, and of what it takes."""

from typing import Any

import pytest

from freehold.vocabulary.volume import VolumeLabels, VolumeSpec
from freehold.vocabulary.volume_request import VolumeAdmission, VolumePlace


def an_admission(number: int | None = None, size_gib: int = 2, **fields: Any) -> VolumeAdmission:
    place = None if number is None else VolumePlace(store="s", cluster="c", number=number)
    given: dict[str, Any] = {"project": "p", "user": "u", "urn": "urn", "created": 1, "expires": 2}
    spec, labels = VolumeSpec(size_gib=size_gib), VolumeLabels()
    return VolumeAdmission(id="v", spec=spec, labels=labels, place=place, **{**given, **fields})


@pytest.mark.parametrize(
    ("number", "refused_number", "live"), [(None, 0, False), (1, 0, True), (1, 1, False), (2, 1, True), (2, 3, False)]
)
def test_a_place_lives_until_it_is_refused(number: int | None, refused_number: int, live: bool) -> None:
    admission = an_admission(number, refused_number=refused_number)
    assert (admission.live_place() is not None) is live
    assert not live or admission.live_place() == admission.place


@pytest.mark.parametrize(("size_gib", "grows_to_gib", "counts"), [(2, 0, 2), (2, 5, 5), (5, 2, 5)])
def test_it_counts_as_what_it_is_to_have(size_gib: int, grows_to_gib: int, counts: int) -> None:
    assert an_admission(size_gib=size_gib, grows_to_gib=grows_to_gib).size_gib() == counts
