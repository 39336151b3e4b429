"""What the machine says of itself."""

import socket

from freehold.runtime.machine import boot_id, host_name
from freehold.vocabulary.ids import is_uuid


def test_a_start_of_the_machine_has_one_name() -> None:
    assert is_uuid(boot_id()) and boot_id() == boot_id()


def test_the_machine_is_called_what_it_is_called() -> None:
    assert host_name() == socket.gethostname()
