"""The journal: steps, undo, redo, late results, damage, and processes that are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sam2_core.errors import InvalidInputError, MissingFileError, StateError, WriteError
from sam2_core.session.journal import DocumentChange, Journal, Key


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path / "session.db")
    yield opened
    opened.close()


A, B = Key("mask", 1, 5), Key("mask", 2, 5)


def test_what_was_done_is_undone_and_done_again(journal: Journal) -> None:
    journal.do("first", [(A, {"v": 1})])
    step, changes = journal.do("second", [(A, {"v": 2}), (B, {"v": 3})])

    assert changes == [DocumentChange(A, {"v": 1}, {"v": 2}), DocumentChange(B, None, {"v": 3})]
    info, changes = journal.undo()
    assert (info.id, info.label) == (step, "second")
    assert {change.key: change.after for change in changes} == {A: {"v": 1}, B: None}
    assert (journal.get(A), journal.get(B)) == ({"v": 1}, None)
    info, _ = journal.redo()
    assert info.label == "second"
    assert (journal.get(A), journal.get(B)) == ({"v": 2}, {"v": 3})


def test_done_again_with_what_came_meanwhile(journal: Journal) -> None:
    """A deletion deletes, the second time, also what came while it was undone; an undo brings back all of it."""
    late = journal.begin("found")
    journal.do("first", [(A, {"v": 1})])
    journal.do("delete", [(A, None)])
    journal.undo()
    journal.extend(late, [(B, {"v": 2})])
    assert journal.deleted(journal.steps()[-1].id, "mask") == [A.a]
    _, changes = journal.redo([A, B, Key("mask", 9)])

    assert {change.key: change.before for change in changes} == {A: {"v": 1}, B: {"v": 2}}
    assert (journal.get(A), journal.get(B)) == (None, None)
    journal.undo()
    assert (journal.get(A), journal.get(B)) == ({"v": 1}, {"v": 2})
    journal.redo()
    assert journal.extend(late, [(B, {"v": 3})]) == []


def test_nothing_to_undo_or_redo(journal: Journal) -> None:
    with pytest.raises(StateError, match="nothing to undo"):
        journal.undo()
    with pytest.raises(StateError, match="nothing to redo"):
        journal.redo()


def test_something_new_forgets_what_was_undone(journal: Journal) -> None:
    journal.do("first", [(A, {"v": 1})])
    journal.undo()
    journal.do("other", [(B, {"v": 1})])

    assert [info.label for info in journal.steps()] == ["other"]
    with pytest.raises(StateError):
        journal.redo()


def test_a_long_step_is_undone_as_one(journal: Journal) -> None:
    journal.do("before", [(Key("mask", 1, 0), {"v": 0})])
    step = journal.begin("propagate")
    for frame in range(50):
        journal.extend(step, [(Key("mask", 1, frame), {"v": frame + 1})])
    with pytest.raises(StateError, match="still going on"):
        journal.undo()
    journal.finish(step)

    info, changes = journal.undo()

    assert (info.label, len(changes)) == ("propagate", 50)
    assert journal.items("mask") == [(Key("mask", 1, 0), {"v": 0})]


def test_changing_nothing_is_no_step(journal: Journal) -> None:
    journal.do("first", [(A, {"v": 1})])
    journal.do("second", [(A, {"v": 2})])
    journal.undo()

    assert journal.do("same", [(A, {"v": 1}), (B, None)]) == (None, [])
    assert journal.next_redo() is not None, "what was undone can still be done again"


def test_a_late_result_leaves_what_was_done_meanwhile(journal: Journal) -> None:
    journal.do("before", [(A, {"v": 0}), (B, {"v": 0})])
    step = journal.begin("propagate")
    journal.do("paint", [(A, {"v": "painted"})])
    journal.do("delete", [(B, None)])

    changes = journal.extend(step, [(A, {"v": 1}), (B, {"v": 1}), (Key("mask", 3, 5), {"v": 1})])

    assert [change.key.a for change in changes] == [3]
    assert (journal.get(A), journal.get(B)) == ({"v": "painted"}, None)


def test_a_step_that_changed_nothing_is_no_step(journal: Journal) -> None:
    journal.finish(journal.begin("nothing"))

    assert journal.steps() == []


def test_a_finished_step_takes_nothing_more(journal: Journal) -> None:
    step, _ = journal.do("done", [(A, {"v": 1})])
    assert step is not None

    with pytest.raises(StateError, match="cannot be added to"):
        journal.extend(step, [(B, {"v": 1})])


def test_a_failure_within_a_step_changes_nothing(journal: Journal) -> None:
    def changes() -> Iterator[tuple[Key, dict[str, int]]]:
        yield A, {"v": 1}
        raise RuntimeError("the caller's own")

    with pytest.raises(RuntimeError, match="own"):
        journal.do("half", changes())

    assert journal.get(A) is None
    assert journal.steps() == []


def test_items_by_either_number(journal: Journal) -> None:
    journal.do("some", [(Key("mask", a, b), {"v": 10 * a + b}) for a in (2, 1) for b in (1, 0)])

    assert [value["v"] for _, value in journal.items("mask")] == [10, 11, 20, 21]
    assert [value["v"] for _, value in journal.items("mask", a=2)] == [20, 21]
    assert [value["v"] for _, value in journal.items("mask", b=1)] == [11, 21]
    assert journal.keys("mask", a=1) == [(1, 0), (1, 1)]


def test_blobs(journal: Journal) -> None:
    first, second = journal.add_blobs([b"one", b""])

    assert (journal.blob(first), journal.blob(second)) == (b"one", b"")
    with pytest.raises(StateError, match="damaged"):
        journal.blob(99)


def test_reading_only(journal: Journal) -> None:
    journal.do("first", [(A, {"v": 1})])
    reader = Journal(journal.path, read_only=True)

    assert reader.get(A) == {"v": 1}
    with pytest.raises(StateError, match="reading only"):
        reader.do("no", [(A, None)])
    journal.do("second", [(A, {"v": 2})])
    assert reader.get(A) == {"v": 2}, "a reader sees what the writer does"
    reader.close()


def test_what_is_no_journal(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("this is no database, though long enough to look at " * 50)
    with pytest.raises(InvalidInputError, match="no session file"):
        Journal(tmp_path / "text.db")
    with pytest.raises(MissingFileError, match="no session file"):
        Journal(tmp_path / "none.db", read_only=True)


def test_a_later_format(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "session.db")
    journal.set_about("format", "99")
    journal.close()

    with pytest.raises(InvalidInputError, match="format 99"):
        Journal(tmp_path / "session.db")


def test_threads_do_not_disturb_each_other(journal: Journal) -> None:
    def work(a: int) -> None:
        for number in range(20):
            journal.do("count", [(Key("mask", a, number), {"v": number})])

    threads = [threading.Thread(target=work, args=(a,)) for a in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(journal.items("mask")) == 100
    for _ in range(100):
        journal.undo()
    assert journal.items("mask") == []


WRITER = """
import sys
from sam2_core.session.journal import Journal, Key
journal = Journal(sys.argv[1])
number = len(journal.steps())
while True:
    journal.do("count", [(Key("mask", number, 0), {"v": number}), (Key("twin", number, 0), {"v": number})])
    print(number, flush=True)
    number += 1
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_killed_at_any_moment(tmp_path: Path) -> None:
    """What was acknowledged is there, whole, and nothing half."""
    path = tmp_path / "session.db"
    acknowledged = -1
    for wanted in (1, 7, 19, 40):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
        )
        assert process.stdout is not None
        for line in process.stdout:
            acknowledged = int(line)
            if acknowledged >= wanted:
                break
        process.send_signal(signal.SIGKILL)
        rest = process.communicate()[0].split()
        acknowledged = int(rest[-1]) if rest else acknowledged

        journal = Journal(path)
        masks, twins = ([key.a for key, _ in journal.items(kind)] for kind in ("mask", "twin"))
        journal.close()

        assert masks == twins == list(range(len(masks)))
        assert len(masks) > acknowledged


class JournalMachine(RuleBasedStateMachine):
    """The journal beside a list of dictionaries."""

    keys = st.builds(Key, st.sampled_from(["object", "mask"]), st.integers(0, 2), st.integers(0, 2))
    changes = st.lists(
        st.tuples(keys, st.one_of(st.none(), st.fixed_dictionaries({"v": st.integers(0, 3)}))), max_size=4
    )

    @initialize()
    def begin(self) -> None:
        self.journal = Journal(Path(":memory:"))
        self.past: list[dict[Key, dict[str, int]]] = [{}]
        self.future: list[dict[Key, dict[str, int]]] = []

    @rule(changes=changes)
    def do(self, changes: list[tuple[Key, dict[str, int] | None]]) -> None:
        before = self.past[-1]
        step, _ = self.journal.do("step", changes)
        state = dict(before)
        for key, value in changes:
            if value is None:
                state.pop(key, None)
            else:
                state[key] = value
        if step is None:
            assert state == before
            return
        self.past.append(state)
        self.future.clear()

    @rule()
    def undo(self) -> None:
        if len(self.past) == 1:
            with pytest.raises(StateError):
                self.journal.undo()
            return
        self.journal.undo()
        self.future.append(self.past.pop())

    @rule()
    def redo(self) -> None:
        if not self.future:
            with pytest.raises(StateError):
                self.journal.redo()
            return
        self.journal.redo()
        self.past.append(self.future.pop())

    @invariant()
    def same(self) -> None:
        if hasattr(self, "journal"):
            found = {**dict(self.journal.items("object")), **dict(self.journal.items("mask"))}
            assert found == self.past[-1]

    def teardown(self) -> None:
        if hasattr(self, "journal"):
            self.journal.close()


TestJournalMachine = JournalMachine.TestCase
TestJournalMachine.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)


def test_a_large_step_is_undone_without_looking_at_each_change(tmp_path: Path) -> None:
    """All documents come and go, and all of its kinds and numbers are told."""
    journal = Journal(tmp_path / "a.db")
    journal.do("before", [(Key("mask", 1, 5), {"x": 0})])
    wanted = {(a, b): {"x": a + b} for a in range(30) for b in range(100)}
    journal.do("many", [(Key("mask", *key), value) for key, value in wanted.items()] + [(Key("object", 7), {"y": 1})])

    _, changed = journal.undo()
    assert [(key.a, key.b) for key, _ in journal.items("mask")] == [(1, 5)]
    assert journal.get(Key("mask", 1, 5)) == {"x": 0}
    assert len(changed) < 200
    assert {change.key.kind for change in changed} == {"mask", "object"}
    assert {change.key.a for change in changed if change.key.kind == "mask"} == set(range(30))
    assert {change.key.b for change in changed if change.key.kind == "mask"} == set(range(100))
    journal.redo()
    assert {(key.a, key.b): value for key, value in journal.items("mask")} == wanted
    assert journal.get(Key("object", 7)) == {"y": 1}
    journal.close()


def test_a_full_disk_is_told_and_leaves_what_was_there(journal: Journal) -> None:
    journal.do("first", [(A, {"v": 1})])
    (pages,) = journal._connection.execute("PRAGMA page_count").fetchone()
    journal._connection.execute(f"PRAGMA max_page_count = {pages + 4}")
    with pytest.raises(WriteError, match="full"):
        journal.do("second", [(A, {"v": "x" * 1_000_000}), (B, {"v": 2})])
    journal._connection.execute("PRAGMA max_page_count = 100000")
    journal.do("third", [(B, {"v": 3})])

    assert (journal.get(A), journal.get(B)) == ({"v": 1}, {"v": 3})
    assert [info.label for info in journal.steps()] == ["first", "third"]
