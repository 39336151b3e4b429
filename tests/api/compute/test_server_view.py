"""What is shown of a server whose request has failed: its guest, if that runs all the same."""

import pytest
from msgspec.structs import replace

from freehold.api.compute.server_view import Server, shown
from freehold.vocabulary.errors import Fault
from freehold.vocabulary.guest import Guest
from freehold.vocabulary.request import Stage
from freehold.workers.registrar import lifecycle
from tests.owners import a_build, a_guest

FAILED = replace(
    lifecycle.admitted(a_build(guest="g")), stage=Stage.FAILED, fault=Fault(code="NoAnswer", message="too late")
)


@pytest.mark.parametrize(
    ("guest", "status"),
    [(None, "ERROR"), (a_guest("g", "h1", launched=None), "ERROR"), (a_guest("g", "h1"), "ACTIVE")],
    ids=["no guest", "never ran", "runs"],
)
def test_a_guest_that_runs_is_shown_though_its_request_has_failed(guest: Guest | None, status: str) -> None:
    assert shown(Server(FAILED, guest)).status == status
