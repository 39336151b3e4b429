"""What nats-py is loaded with."""

import subprocess
import sys


def run(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def test_a_process_that_speaks_nats_loads_no_http_client_for_it() -> None:
    assert run("import freehold.bus.nats, sys; print('aiohttp' in sys.modules)") == "False"


def test_whoever_needs_the_http_client_finds_it_all_the_same() -> None:
    assert run("import freehold.bus.nats, aiohttp; print(aiohttp.ClientSession.__name__)") == "ClientSession"
    assert run("import aiohttp, freehold.bus.nats; print(aiohttp.ClientSession.__name__)") == "ClientSession"
