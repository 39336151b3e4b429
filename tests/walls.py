"""The walls of the house that import contracts, types and style can't hold.

Each wall is a function from the root of a tree to complaints, ``path:line: sentence``. It holds when there is none.
The tables of exceptions only get shorter.
"""

import ast
import re
import tomllib
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

Wall = Callable[[Path], list[str]]

SOURCE = "freehold"
FLOORS_THAT_TOUCH = ("runtime", "drivers", "sim")  # the bench makes chance from a seed, and measures what it costs
HANDED_IN_MODULES = frozenset({"time", "random", "uuid", "secrets", "socket", "subprocess"})
HANDED_IN_CALLS = {
    "os.urandom": "chance",
    "os.getrandom": "chance",
    "numpy.random": "chance",
    "datetime.datetime.now": "time",
    "datetime.datetime.utcnow": "time",
    "datetime.datetime.today": "time",
    "datetime.date.today": "time",
    "os.system": "a process",
    "os.popen": "a process",
    "asyncio.create_subprocess_exec": "a process",
    "asyncio.create_subprocess_shell": "a process",
}
# The layout of a UUID, made from bytes that were handed in.
HANDED_IN_EXCEPTIONS = {(f"{SOURCE}/vocabulary/ids.py", "uuid")}

NO_DRAWERS = frozenset({"utils", "util", "common", "helpers", "helper", "misc", "shared"})
ROLE_FILES = ("lifecycle.py", "effects.py", "records.py", "reconciler.py", "worker.py")
# These own nothing: they have nothing to record, nor to compare with the world.
ROLE_FILES_ABSENT = dict.fromkeys(("scheduler", "broker"), ("records.py", "reconciler.py"))

FILE_LINES_MAX = 400
TEST_FILE_LINES_MAX = 600  # a suite over a whole family reads well in one piece
LONG_FILES: dict[str, int] = {}
FUNCTION_LINES_MAX = 70
LONG_FUNCTIONS: dict[str, int] = {}
USUAL_FUNCTION_LINES = 35
USUAL_SHARE_MIN = 0.9
ROOM_DOCSTRING_LINES_MAX = 20

BESIDE_THE_MIRROR = ("contract", "scenarios", "clients", "live", "benchmarks", "test_house.py")
LOCKS = ("requirements.lock", "requirements-dev.lock")
NOT_OURS = frozenset({"__pycache__", "build", "dist", "state", "cache"})
HIDDEN_OURS = frozenset({".ci", ".gitignore", ".editorconfig"})

_MACHINE_PATH = re.compile(r"(?<![\w./-])/(?:work|farm|tmp/bash_jobs)/")
_REGISTRY_HOST = re.compile(r"pythonhosted\.org|pypi\.org|deb\.debian\.org|registry\.npmjs\.org", re.IGNORECASE)
_PINNED = re.compile(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", re.MULTILINE)
_PLACE = r"(?:freehold|tests|scripts|docs|images|benchmarks|\.ci)/[\w./-]*\w/?"
_NAMED_ANYWHERE = re.compile(rf"(?<![\w./<-])({_PLACE})(?![\w*<{{])")
_NAMED_AT_ROOT = re.compile(r"`([A-Z][A-Z]+\.md|Makefile|LICENSE|pyproject\.toml|requirements[\w-]*\.lock)`")
_LINKED = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)(?:#[^)]*)?\)")


def handed_in(root: Path) -> list[str]:
    """Time, chance, sockets and processes are imported or asked for in `runtime` and `drivers` only."""
    complaints = []
    for path in _sources(root):
        where = _inside(root, path)
        if where.split("/")[1] in FLOORS_THAT_TOUCH:
            continue
        tree = _parsed(path)
        for line, module in _imported(tree):
            name = module.split(".")[0]
            if name in HANDED_IN_MODULES and (where, name) not in HANDED_IN_EXCEPTIONS:
                complaints.append(f"{where}:{line}: imports {name}, which is handed in (by runtime or a driver)")
        for line, called in _dotted_uses(tree):
            for forbidden, what in HANDED_IN_CALLS.items():
                if called == forbidden or called.startswith(forbidden + "."):
                    complaints.append(f"{where}:{line}: {called} is {what}, which is handed in")
            if re.match(r"uuid\.uuid\d$", called):
                complaints.append(f"{where}:{line}: {called} is chance, which is handed in")
    return complaints


def ground_is_ground(root: Path) -> list[str]:
    """The vocabulary imports nothing of ours but itself, and opens no file."""
    complaints = []
    for path in _sources(root, f"{SOURCE}/vocabulary"):
        where, tree = _inside(root, path), _parsed(path)
        for line, module in _imported(tree):
            if module.split(".")[0] == SOURCE and not module.startswith(f"{SOURCE}.vocabulary"):
                complaints.append(f"{where}:{line}: the vocabulary imports {module}")
            if module.split(".")[0] in ("asyncio", "os", "pathlib", "sqlite3", "threading"):
                complaints.append(f"{where}:{line}: the vocabulary does no I/O, yet imports {module}")
    return complaints


def drivers_by_interface(root: Path) -> list[str]:
    """Outside drivers, only assemble and sim import a driver by another door than its interface."""
    complaints = []
    for path in _sources(root):
        where = _inside(root, path)
        parts = where.removesuffix(".py").split("/")
        in_drivers = parts[1] == "drivers"
        if parts[1] in ("assemble", "sim") or (in_drivers and parts[-1] != "__init__"):
            continue
        for line, module in _imported(_parsed(path)):
            steps = module.split(".")
            if steps[:2] == [SOURCE, "drivers"] and len(steps) > 3 and steps[3] != "interface":
                complaints.append(f"{where}:{line}: imports the concrete driver {'.'.join(steps[:4])}")
    return complaints


def mirror(root: Path) -> list[str]:
    """tests/<path>/test_<name>.py tests freehold/<path>/<name>.py, which exists."""
    complaints = []
    for path in sorted((root / "tests").rglob("test_*.py")):
        inside = path.relative_to(root / "tests")
        if inside.parts[0] in BESIDE_THE_MIRROR or _is_not_ours(inside):
            continue
        subject = root / SOURCE / inside.parent / inside.name.removeprefix("test_")
        if not subject.is_file() and not (subject.with_suffix("") / "__init__.py").is_file():
            complaints.append(f"tests/{inside}:1: tests {_inside(root, subject)}, which is not there")
    return complaints


def named_paths(root: Path) -> list[str]:
    """Every path of this tree that a page names exists."""
    complaints = []
    for page in sorted([*root.glob("*.md"), *(root / "docs").rglob("*.md")]):
        for number, line in enumerate(page.read_text().splitlines(), 1):
            named = [*_NAMED_ANYWHERE.findall(line), *_NAMED_AT_ROOT.findall(line)]
            lost = [name for name in named if not _stands(root, name)]
            lost += [link for link in _LINKED.findall(line) if not (page.parent / link).exists()]
            complaints += [f"{_inside(root, page)}:{number}: names {name}, which is not there" for name in lost]
    return complaints


def no_drawers(root: Path) -> list[str]:
    """No module or room is a drawer for what has no place."""
    return [
        f"{_inside(root, path)}:1: {part} says nothing: name the room by what it does"
        for path in _sources(root)
        for part in path.relative_to(root).with_suffix("").parts
        if part in NO_DRAWERS
    ]


def role_files(root: Path) -> list[str]:
    """Every role has its five files; one that owns nothing has none that are about what it owns."""
    complaints = []
    for room in sorted((root / SOURCE / "workers").glob("*/")):
        if room.name in NOT_OURS or not any(room.glob("*.py")):
            continue
        absent = ROLE_FILES_ABSENT.get(room.name, ())
        for name in ROLE_FILES:
            if (room / name).is_file() == (name in absent):
                word = "has a" if name in absent else "lacks its"
                complaints.append(f"{_inside(root, room)}:1: the role {word} {name}")
    return complaints


def file_lengths(root: Path) -> list[str]:
    """A file has at most FILE_LINES_MAX lines, a test's TEST_FILE_LINES_MAX, or what the table of long files grants."""
    complaints = []
    for path in [*_sources(root), *_sources(root, "tests")]:
        where, lines = _inside(root, path), _lines(path)
        granted = LONG_FILES.get(where, _usual_lines(where))
        if lines > granted:
            complaints.append(f"{where}:1: {lines} lines, more than {granted}: is it still one room?")
    for where in LONG_FILES:
        if not (root / where).is_file() or _lines(root / where) <= _usual_lines(where):
            complaints.append(f"{where}:1: needs no place in the table of long files any more")
    return complaints


def function_lengths(root: Path) -> list[str]:
    """No function is long (docstring apart), and nine of ten are short."""
    complaints, lengths = [], []
    for path in _sources(root):
        where = _inside(root, path)
        for function in _functions(_parsed(path)):
            lines = _body_lines(function)
            lengths.append(lines)
            if lines > LONG_FUNCTIONS.get(f"{where}::{function.name}", FUNCTION_LINES_MAX):
                complaints.append(
                    f"{where}:{function.lineno}: {function.name} has {lines} lines: cut it where it says 'and'"
                )
    usual = sum(lines <= USUAL_FUNCTION_LINES for lines in lengths)
    if lengths and usual < USUAL_SHARE_MIN * len(lengths):
        complaints.append(
            f"{SOURCE}:1: only {usual} of {len(lengths)} functions are under {USUAL_FUNCTION_LINES} lines"
        )
    return complaints


def room_docstrings(root: Path) -> list[str]:
    """A room's __init__.py explains it, in at most twenty lines."""
    complaints = []
    for path in _sources(root):
        if path.name != "__init__.py":
            continue
        text = ast.get_docstring(_parsed(path), clean=False)
        if not text:
            complaints.append(f"{_inside(root, path)}:1: the room is not explained")
        elif len(text.splitlines()) > ROOM_DOCSTRING_LINES_MAX:
            complaints.append(
                f"{_inside(root, path)}:1: the room is explained in more than {ROOM_DOCSTRING_LINES_MAX} lines"
            )
    return complaints


def locks(root: Path) -> list[str]:
    """All locks pin by hash and name no host; the two of Freehold's own hold what pyproject.toml asks for, and pin the
    same versions.
    """
    others = [path for path in sorted(root.glob("requirements*.lock")) if path.name not in LOCKS]
    complaints = [f"{path.name}:1: {wrong}" for path in others for wrong in _lock_faults(path.read_text())]
    pinned = {}
    for name in LOCKS:
        if not (root / name).is_file():
            complaints.append(f"{name}:1: is not there")
            continue
        text = (root / name).read_text()
        pinned[name] = set(_PINNED.findall(text))
        complaints += [f"{name}:1: {wrong}" for wrong in _lock_faults(text)]
    if len(pinned) < len(LOCKS):
        return complaints
    run, everything = (pinned[name] for name in LOCKS)
    complaints += [f"{LOCKS[1]}:1: lacks {name} {version} of {LOCKS[0]}" for name, version in sorted(run - everything)]
    for wanted in _declared(root):
        if wanted not in {name for name, _ in run}:
            complaints.append(f"{LOCKS[0]}:1: lacks {wanted}, which pyproject.toml asks for: make lock")
    return complaints


def declared_dependencies(root: Path) -> list[str]:
    """Every library that the source imports is asked for in pyproject.toml by name, not had by chance."""
    declared = _declared(root, extras=True)
    providers = metadata.packages_distributions()
    complaints = []
    for path in _sources(root):
        for line, module in _imported(_parsed(path)):
            by = {_plain(name) for name in providers.get(module.split(".")[0], [])} - {SOURCE}
            if by and not by & declared:
                complaints.append(
                    f"{_inside(root, path)}:{line}: imports {module}, which pyproject.toml does not ask for"
                )
    return complaints


def machine_paths(root: Path) -> list[str]:
    """Nothing in the tree names a path of the machine it was made on, or a package registry's host."""
    complaints = []
    for path, text in _texts(root):
        for number, line in enumerate(text.splitlines(), 1):
            found = _MACHINE_PATH.search(line) or _REGISTRY_HOST.search(line)
            if found:
                complaints.append(f"{_inside(root, path)}:{number}: names {found.group()}")
    return complaints


ALL: tuple[Wall, ...] = (
    handed_in,
    ground_is_ground,
    drivers_by_interface,
    mirror,
    named_paths,
    no_drawers,
    role_files,
    file_lengths,
    function_lengths,
    room_docstrings,
    locks,
    declared_dependencies,
    machine_paths,
)


def _inside(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def _is_not_ours(path: Path) -> bool:
    """Whether `path`, relative to the root, was made by a tool or a running cloud."""
    return any(part in NOT_OURS or (part.startswith(".") and part not in HIDDEN_OURS) for part in path.parts)


def _sources(root: Path, under: str = SOURCE) -> list[Path]:
    return [path for path in sorted((root / under).rglob("*.py")) if not _is_not_ours(path.relative_to(root))]


def _texts(root: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.is_symlink() and not _is_not_ours(path.relative_to(root)):
            try:
                yield path, path.read_text()
            except UnicodeDecodeError:
                continue  # not text: an image of a disk or a picture names no path to a reader


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def _imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, module) of every import, wherever it stands; `from a import b` yields a.b, as b may be a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def _dotted_uses(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, full dotted name) of what is reached through an import, under whatever name it was imported."""
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                known |= {alias.asname: alias.name} if alias.asname else {top: top}
        elif isinstance(node, ast.ImportFrom) and node.module:
            known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            head, *rest = ast.unparse(node).split(".")
            if head in known:
                yield node.lineno, ".".join([known[head], *rest])


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = function.body[0]
    has_docstring = ast.get_docstring(function) is not None
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if has_docstring else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - docstring


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def _usual_lines(where: str) -> int:
    return TEST_FILE_LINES_MAX if where.startswith("tests/") else FILE_LINES_MAX


def _stands(root: Path, name: str) -> bool:
    """Whether `name` is a path, or a module or function in one (`freehold/a/b.py` said as freehold/a/b)."""
    path = root / name.rstrip("/")
    return path.exists() or path.with_name(path.name + ".py").exists()


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _declared(root: Path, extras: bool = False) -> set[str]:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    all_wanted = list(project["dependencies"])
    if extras:
        all_wanted += [wanted for extra in project.get("optional-dependencies", {}).values() for wanted in extra]
    return {_plain(re.split(r"[\s<>=!~;\[]", wanted, maxsplit=1)[0]) for wanted in all_wanted}


def _lock_faults(text: str) -> Iterator[str]:
    if "://" in text or "--index-url" in text or "--find-links" in text:
        yield "names a host"
    for block in re.split(r"\n(?=\S)", text):
        if not block.startswith("#") and block.strip() and "--hash=sha256:" not in block:
            yield f"pins {block.split()[0]} without a hash"
