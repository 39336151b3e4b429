"""A long run that was broken off goes on where it was, and doesn't mix codes."""

from collections import Counter
from pathlib import Path

import pytest

from freehold.sim.journal import Journal, code_digest
from freehold.sim.run import Outcome


def outcome(seed: int) -> Outcome:
    return Outcome(seed, "", f"digest {seed}", Counter({"message lost": seed}), 1, 2, 0.5)


def test_what_was_played_is_known_to_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    journal = Journal(path, "code")
    journal.add(outcome(3))
    journal.add(outcome(1))
    assert Journal(path, "code").played == {3: outcome(3), 1: outcome(1)}


def test_a_line_that_was_broken_off_is_played_again(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    journal = Journal(path, "code")
    journal.add(outcome(1))
    journal.add(outcome(2))
    path.write_text(path.read_text()[:-20])
    journal = Journal(path, "code")
    assert list(journal.played) == [1]
    journal.add(outcome(2))
    assert list(Journal(path, "code").played) == [1, 2]


def test_a_run_of_other_code_is_not_gone_on_with(tmp_path: Path) -> None:
    Journal(tmp_path / "long.jsonl", "code")
    with pytest.raises(ValueError, match="other code"):
        Journal(tmp_path / "long.jsonl", "changed code")


def test_the_digest_is_of_every_source_file(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "a.py").write_text("a = 1")
    (tmp_path / "inner" / "b.py").write_text("b = 1")
    before = code_digest(tmp_path)
    (tmp_path / "inner" / "b.py").write_text("b = 2")
    assert code_digest(tmp_path) != before
