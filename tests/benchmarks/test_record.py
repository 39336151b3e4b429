"""What is made of the figures of a measurement."""

import subprocess
from pathlib import Path

from benchmarks.record import _commit, growth


def test_the_exponent_says_how_a_cost_grows() -> None:
    assert growth([1], [1.0]) == 0.0
    assert growth([1, 2, 3], [3.0, 3.0, 3.0]) == 0.0
    assert growth([10, 100, 1000], [1.0, 10.0, 100.0]) == 1.0
    assert growth([1, 2, 3], [1.0, 4.0, 9.0]) == 2.0


def test_a_tree_is_as_committed_though_other_results_were_written(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        who = ("-c", "user.name=n", "-c", "user.email=n@example.com")
        subprocess.run(("git", *who, *words), cwd=tmp_path, check=True, capture_output=True)

    results = tmp_path / "benchmarks" / "results"
    results.mkdir(parents=True)
    (results / "a.json").write_text("1")
    (tmp_path / "code").write_text("1")
    git("init")
    assert _commit(tmp_path / "benchmarks") == "unknown"
    git("add", ".")
    git("commit", "-m", "one")
    committed = _commit(tmp_path / "benchmarks")
    (results / "a.json").write_text("2")
    (results / "b.json").write_text("2")
    assert committed.isalnum() and _commit(tmp_path / "benchmarks") == committed
    (tmp_path / "code").write_text("2")
    assert _commit(tmp_path / "benchmarks") == f"{committed}-dirty"
