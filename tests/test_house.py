"""The house knows its own walls: each holds here, and each is shown to catch a fault planted in a small house."""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests import walls

ROOT = Path(__file__).resolve().parent.parent
TOOLS = Path(sys.executable).parent

SMALL_HOUSE = {
    "freehold/__init__.py": '"""A small house."""\n\n__version__ = "0"\n',
    "freehold/__main__.py": "import freehold.cli.up as up\n\nup.up()\n",
    "freehold/assemble.py": """
        import freehold.api.server
        import freehold.drivers.hypervisor.qemu as qemu
        import freehold.workers.host.worker
        import freehold.workers.image.worker


        def assemble() -> str:
            return qemu.start()
        """,
    "freehold/cli/__init__.py": '"""Starts things."""\n',
    "freehold/cli/up.py": "import freehold.assemble as built\n\n\ndef up() -> None:\n    print(built.assemble())\n",
    "freehold/api/__init__.py": '"""The door."""\n',
    "freehold/api/server.py": "import freehold.views.view\n",
    "freehold/views/__init__.py": '"""Windows."""\n',
    "freehold/views/view.py": "import freehold.store.database\n",
    "freehold/store/__init__.py": '"""Remembers."""\n',
    "freehold/store/database.py": "",
    "freehold/bus/__init__.py": '"""Talks."""\n',
    "freehold/bus/interface.py": "import freehold.vocabulary.ids\n",
    "freehold/drivers/__init__.py": '"""Touches the world."""\n',
    "freehold/drivers/hypervisor/__init__.py": '"""Runs guests."""\n',
    "freehold/drivers/hypervisor/interface.py": "",
    "freehold/drivers/hypervisor/qemu.py": """
        import subprocess

        import freehold.drivers.hypervisor.interface


        def start() -> str:
            return subprocess.run(["true"], check=True, capture_output=True, text=True).stdout
        """,
    "freehold/runtime/__init__.py": '"""Tools."""\n',
    "freehold/runtime/clock.py": "import time\n\n\ndef now() -> float:\n    return time.time()\n",
    "freehold/vocabulary/__init__.py": '"""Words."""\n',
    "freehold/vocabulary/ids.py": "",
    "freehold/workers/__init__.py": '"""Roles."""\n',
    "freehold/workers/base.py": "import freehold.bus.interface\nimport freehold.runtime.clock\n",
    **{
        f"freehold/workers/{role}/{name}": text
        for role in ("host", "image")
        for name, text in {
            "__init__.py": f'"""The {role} role."""\n',
            "lifecycle.py": "import freehold.vocabulary.ids\n",
            "effects.py": "import freehold.drivers.hypervisor.interface\n",
            "records.py": "import freehold.store.database\n",
            "reconciler.py": f"import freehold.workers.{role}.effects\n",
            "worker.py": f"import freehold.workers.base\nimport freehold.workers.{role}.lifecycle\n",
        }.items()
    },
    "tests/store/test_database.py": "",
    "README.md": "# A small house\n\nStart with `freehold/assemble.py` and [the lock](requirements.lock).\n",
    "requirements.lock": "# Made from pyproject.toml\nmsgspec==1.0 \\\n    --hash=sha256:00\n",
    "requirements-dev.lock": "msgspec==1.0 \\\n    --hash=sha256:00\nuv==1 \\\n    --hash=sha256:11\n",
}


def write(root: Path, path: str, text: str) -> None:
    """Writes `text`, without the indentation it has in this file, to `path` under `root`."""
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    lines = text.removeprefix("\n").splitlines()
    margin = len(lines[0]) - len(lines[0].lstrip()) if lines else 0
    target.write_text("".join(line[min(margin, len(line) - len(line.lstrip())) :] + "\n" for line in lines))


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small house in which every wall holds, with this project's own contracts and settings, and no exceptions."""
    monkeypatch.setattr(walls, "LONG_FILES", {})
    monkeypatch.setattr(walls, "LONG_FUNCTIONS", {})
    for path, text in SMALL_HOUSE.items():
        write(tmp_path, path, text)
    project = (ROOT / "pyproject.toml").read_text()
    start, end = project.index("dependencies = ["), project.index("[project.scripts]")
    (tmp_path / "pyproject.toml").write_text(project[:start] + 'dependencies = ["msgspec>=0"]\n\n' + project[end:])
    return tmp_path


def tool(house: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Runs one of the environment's tools on `house`, as `make check` does."""
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200", "MYPY_CACHE_DIR": str(house / ".mypy_cache")}
    program = [str(TOOLS / command[0]), *command[1:]]
    return subprocess.run(program, cwd=house, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("wall", walls.ALL, ids=lambda wall: wall.__name__)
def test_wall_holds(wall: walls.Wall) -> None:
    assert wall(ROOT) == []


@pytest.mark.parametrize("wall", walls.ALL, ids=lambda wall: wall.__name__)
def test_wall_holds_in_the_small_house(wall: walls.Wall, house: Path) -> None:
    assert wall(house) == []


PLANTED = [
    (walls.handed_in, "freehold/views/view.py", "import time\n", "imports time"),
    (walls.handed_in, "freehold/api/server.py", "from random import choice\n", "imports random"),
    (walls.handed_in, "freehold/workers/host/effects.py", "def f():\n    import subprocess\n", "imports subprocess"),
    (walls.handed_in, "freehold/store/database.py", "import secrets as chance\n", "imports secrets"),
    (walls.handed_in, "freehold/store/database.py", "import os\n\nos.urandom(8)\n", "os.urandom is chance"),
    (walls.handed_in, "freehold/store/database.py", "from os import urandom as u\n\nu(8)\n", "os.urandom is chance"),
    (walls.handed_in, "freehold/api/server.py", "from datetime import datetime, UTC\n\ndatetime.now(UTC)\n", "is time"),
    (walls.handed_in, "freehold/api/server.py", "import datetime as d\n\nd.datetime.now()\n", "is time"),
    (walls.handed_in, "freehold/views/view.py", "import numpy as np\n\nnp.random.default_rng()\n", "is chance"),
    (walls.handed_in, "freehold/vocabulary/ids.py", "import uuid\n\nuuid.uuid4()\n", "uuid.uuid4 is chance"),
    (walls.handed_in, "freehold/api/server.py", "import asyncio\n\nasyncio.create_subprocess_exec\n", "a process"),
    (walls.ground_is_ground, "freehold/vocabulary/ids.py", "from freehold.bus import interface\n", "freehold.bus"),
    (walls.ground_is_ground, "freehold/vocabulary/ids.py", "import sqlite3\n", "does no I/O"),
    (
        walls.drivers_by_interface,
        "freehold/workers/host/effects.py",
        "import freehold.drivers.hypervisor.qemu\n",
        "qemu",
    ),
    (walls.drivers_by_interface, "freehold/cli/up.py", "from freehold.drivers.hypervisor import qemu\n", "qemu"),
    (
        walls.drivers_by_interface,
        "freehold/drivers/hypervisor/__init__.py",
        '"""Runs guests."""\n\nfrom freehold.drivers.hypervisor.qemu import start\n',
        "concrete driver",
    ),
    (walls.mirror, "tests/store/test_datadase.py", "", "freehold/store/datadase.py, which is not there"),
    (walls.named_paths, "ARCHITECTURE.md", "See `freehold/stair.py`.\n", "freehold/stair.py"),
    (
        walls.named_paths,
        "docs/life/of.md",
        "    freehold/api/server.py -> freehold/api/gone.py\n",
        "freehold/api/gone.py",
    ),
    (walls.named_paths, "README.md", "[how](docs/how.md)\n", "docs/how.md"),
    (walls.named_paths, "README.md", "`STYLE.md`\n", "STYLE.md"),
    (walls.no_drawers, "freehold/api/helpers.py", "", "helpers says nothing"),
    (walls.no_drawers, "freehold/utils/text.py", "", "utils says nothing"),
    (walls.role_files, "freehold/workers/volume/worker.py", "", "volume:1: the role lacks its lifecycle.py"),
    (walls.role_files, "freehold/workers/scheduler/records.py", "", "scheduler:1: the role has a records.py"),
    (walls.file_lengths, "freehold/store/database.py", "x = 1\n" * 401, "401 lines"),
    (walls.file_lengths, "tests/store/test_database.py", "x = 1\n" * 601, "601 lines"),
    (walls.function_lengths, "freehold/store/database.py", "def f():\n" + "    x = 1\n" * 70, "f has 71 lines"),
    (walls.function_lengths, "freehold/store/database.py", "def f():\n" + "    x = 1\n" * 40, "functions are under 35"),
    (walls.room_docstrings, "freehold/store/__init__.py", "", "not explained"),
    (walls.room_docstrings, "freehold/store/__init__.py", '"""A\n' + "line\n" * 20 + '"""\n', "more than 20 lines"),
    (walls.locks, "requirements.lock", "msgspec==1.0\n", "msgspec==1.0 without a hash"),
    (walls.locks, "requirements.lock", "--index-url ftp://host/simple\n", "names a host"),
    (walls.locks, "requirements.lock", "lmdb==2 \\\n    --hash=sha256:00\n", "lacks msgspec"),
    (walls.locks, "requirements-swift.lock", "swift==2.38.3\n", "swift==2.38.3 without a hash"),
    (walls.locks, "requirements-dev.lock", "msgspec==1.1 \\\n    --hash=sha256:00\n", "lacks msgspec 1.0"),
    (walls.declared_dependencies, "freehold/api/server.py", "import hypothesis\n", "does not ask for"),
    (walls.machine_paths, "docs/start.md", "cd /" + "work/main\n", "start.md:1"),
    (walls.machine_paths, "scripts/get", "curl -O https://pypi" + ".org/simple\n", "get:1"),
]


@pytest.mark.parametrize(("wall", "path", "text", "said"), PLANTED)
def test_wall_catches_a_planted_fault(wall: walls.Wall, path: str, text: str, said: str, house: Path) -> None:
    write(house, path, text)
    assert any(said in complaint for complaint in wall(house)), wall(house)


def test_an_exception_ends_when_its_reason_does(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walls, "LONG_FILES", {"freehold/store/database.py": 500})
    assert walls.file_lengths(house) == [
        "freehold/store/database.py:1: needs no place in the table of long files any more"
    ]


def test_every_wall_has_a_planted_fault() -> None:
    assert {wall.__name__ for wall, *_ in PLANTED} == {wall.__name__ for wall in walls.ALL}


CONTRACTS_BROKEN = {
    "floors, upward": ("freehold/store/database.py", "import freehold.views.view\n", "A floor imports only"),
    "floors, sideways": ("freehold/api/server.py", "import freehold.workers.base\n", "A floor imports only"),
    "floors, a new room": ("freehold/attic/__init__.py", "", "A floor imports only"),
    "roles": ("freehold/workers/host/worker.py", "import freehold.workers.image.records\n", "No role knows another"),
    "roles, through base": (
        "freehold/workers/base.py",
        "import freehold.workers.host.records\n",
        "No role knows another",
    ),
    "files of a role": ("freehold/workers/host/records.py", "import freehold.workers.host.worker\n", "In a role"),
    "rules": ("freehold/workers/host/lifecycle.py", "import freehold.runtime.clock\n", "Rules touch nothing"),
    "drivers": ("freehold/workers/host/effects.py", "import freehold.drivers.hypervisor.qemu\n", "Only assemble"),
    "handed in": ("freehold/views/view.py", "import random\n", "Time, chance, sockets"),
    "ground": ("freehold/vocabulary/ids.py", "import freehold.runtime.clock\n", "The vocabulary imports"),
    "cycles": ("freehold/drivers/hypervisor/interface.py", "import freehold.drivers.hypervisor.qemu\n", "No two"),
}


def test_contracts_hold_in_the_small_house(house: Path) -> None:
    run = tool(house, "lint-imports", "--no-cache")
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("fault", CONTRACTS_BROKEN)
def test_contract_catches_a_planted_fault(fault: str, house: Path) -> None:
    path, text, contract = CONTRACTS_BROKEN[fault]
    write(house, path, text)
    run = tool(house, "lint-imports", "--no-cache")
    assert run.returncode == 1, run.stdout + run.stderr
    broken = [line for line in run.stdout.splitlines() if " BROKEN" in line]
    assert any(line.startswith(contract) for line in broken), run.stdout


def test_types_are_held(house: Path) -> None:
    assert tool(house, "mypy", "freehold").returncode == 0
    write(house, "freehold/store/database.py", "def open_store(path):\n    return path\n")
    run = tool(house, "mypy", "freehold")
    assert run.returncode == 1
    assert "[no-untyped-def]" in run.stdout


STYLE_BROKEN = {
    "BLE001": "def f() -> None:\n    try:\n        f()\n    except Exception:\n        f()\n",
    "S110": "def f() -> None:\n    try:\n        f()\n    except Exception:\n        pass\n",
    "T201": 'print("here")\n',
    "F401": "import os\n",
    "FIX002": "# TO" + "DO: later\n",
    "ASYNC251": "import time\n\n\nasync def f() -> None:\n    time.sleep(1)\n",
    "DTZ005": "import datetime\n\nNOW = datetime.datetime.now()\n",
    "TID252": "from . import database\n",
}


@pytest.mark.parametrize("rule", STYLE_BROKEN)
def test_style_is_held(rule: str, house: Path) -> None:
    write(house, "freehold/store/planted.py", STYLE_BROKEN[rule])
    run = tool(house, "ruff", "check", "--no-cache", "--output-format=concise", "freehold/store/planted.py")
    assert run.returncode == 1
    assert rule in run.stdout


def test_format_is_held(house: Path) -> None:
    write(house, "freehold/store/planted.py", "x = {  'a':1 }\n")
    assert tool(house, "ruff", "format", "--no-cache", "--check", "freehold/store/planted.py").returncode == 1


SMOKE = """
import importlib, importlib.metadata, pathlib, pkgutil, sys, freehold
assert pathlib.Path(freehold.__file__).is_relative_to(sys.prefix), freehold.__file__
for module in pkgutil.walk_packages(freehold.__path__, "freehold."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
(command,) = importlib.metadata.entry_points(group="console_scripts", name="freehold")
assert callable(command.load())
print(importlib.metadata.version("freehold"))
"""


@pytest.mark.skipif(not (ROOT / "freehold/__main__.py").exists(), reason="there is no command to run yet")
def test_the_wheel_is_whole(tmp_path: Path) -> None:
    """Built from a copy and put into an environment that has the dependencies but not this checkout, it starts."""
    copy = tmp_path / "copy"
    shutil.copytree(ROOT / "freehold", copy / "freehold", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    built = tool(copy, "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path))
    assert built.returncode == 0, built.stderr

    venv.create(tmp_path / "clean", with_pip=False, symlinks=True)
    python = tmp_path / "clean" / "bin" / "python"
    packages = next((tmp_path / "clean" / "lib").glob("python*/site-packages"))
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(packages)  # what installing a pure wheel does, but for its scripts
    # A .pth inside a folder that a .pth names is not read, so the dependencies come along and the checkout doesn't.
    (packages / "dependencies.pth").write_text(f"{Path(pytest.__file__).parent.parent}\n")

    for command in (["-c", SMOKE], ["-m", "freehold", "--help"]):
        run = subprocess.run([python, "-P", *command], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        assert run.stdout.strip()
