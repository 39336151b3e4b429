"""Members of a group are told whole when one comes: each is checked, whatever was right before."""

import uuid

import pytest

from freehold.drivers.fabric.interface import Members
from freehold.drivers.fabric.wiring import check_members
from freehold.vocabulary.errors import BadRequest

RIGHT = ("10.0.0.1", "10.0.0.2")
WRONG = "10.0.0.9; drop"


@pytest.mark.parametrize(
    "addresses",
    [(*RIGHT, WRONG), (WRONG, *RIGHT), (RIGHT[0], WRONG, "10.0.0.3"), (WRONG, RIGHT[1]), (WRONG,)],
    ids=["behind", "before", "between", "in the place of one", "alone"],
)
def test_a_wrong_address_is_found_beside_those_that_were_right(addresses: tuple[str, ...]) -> None:
    group = str(uuid.uuid4())
    check_members(Members(group=group, addresses=RIGHT))
    for _ in range(2):
        with pytest.raises(BadRequest, match="is no address of a member"):
            check_members(Members(group=group, addresses=addresses))
    check_members(Members(group=group, addresses=(*RIGHT, "10.0.0.3")))
