"""What `make model` says, and how it ends."""

import pytest

from freehold.sim import visit
from freehold.sim.states import Fault, Limits, Rules
from freehold.sim.telling import Rules as ReaderRules


def small(monkeypatch: pytest.MonkeyPatch, *rules: Rules) -> None:
    monkeypatch.setattr(visit, "READERS", ReaderRules(writes=2))
    monkeypatch.setattr(visit, "SMALL", rules)
    monkeypatch.setattr(visit, "LARGE", ())


def test_it_says_how_many_states_there_are(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    small(monkeypatch, Rules(Limits(hosts=1, deeds=1)))
    with pytest.raises(SystemExit) as ended:
        visit.main()
    assert ended.value.code == 0
    assert " states, " in capsys.readouterr().out


def test_it_tells_the_story_of_a_broken_promise(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small(monkeypatch, Rules(Limits(hosts=2, deeds=2), Fault.LAST_DEED_WINS))
    with pytest.raises(SystemExit) as ended:
        visit.main()
    assert ended.value.code == 1
    assert "WRONG: two hosts hold guest 0 under deed 1" in capsys.readouterr().out
