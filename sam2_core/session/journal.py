"""Everything a session knows, in one SQLite file, with unlimited undo.

The state is a table of small documents, each under a kind and a key of two numbers (an object and a frame, for most). A
*step* is one thing a person did. Every change of a document is written with what the document was before and after, so
that an undo is the same for all that can be done: the earlier values are put back, in one transaction. Pixels are not
in the documents. They are immutable blobs that documents refer to by number, so an undo touches references only.

SQLite, and not a chunked array store, because what has to be exact here is small and relational: a step either happened
or did not (write-ahead log, flushed at every commit), one writer is enforced by the file, and any language reads it.
docs/session-format.md describes the tables.
"""

from __future__ import annotations

import json
import operator
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from sam2_core.errors import InvalidInputError, MissingFileError, StateError, WriteError

#: What is written for a stack along one axis, and for one along two, whose frames are numbered over both.
FORMAT: Final = 1
GRID_FORMAT: Final = 2
#: Changes of one step above which an undo does not look at each of them: one of a long propagation would take seconds.
LARGE_STEP: Final = 2000
#: Kind of the documents that note the next free number: what was given once stays given, whichever step comes last.
RESERVED: Final = "reserved"

_TABLES = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE documents (
    kind TEXT NOT NULL, a INTEGER NOT NULL, b INTEGER NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (kind, a, b)
) WITHOUT ROWID;
CREATE INDEX documents_by_frame ON documents (kind, b, a);
CREATE TABLE steps (
    id INTEGER PRIMARY KEY AUTOINCREMENT, label TEXT NOT NULL, time REAL NOT NULL,
    finished INTEGER NOT NULL, undone INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE changes (
    step INTEGER NOT NULL, kind TEXT NOT NULL, a INTEGER NOT NULL, b INTEGER NOT NULL, before TEXT, after TEXT,
    PRIMARY KEY (step, kind, a, b)
) WITHOUT ROWID;
CREATE INDEX changes_by_document ON changes (kind, a, b, step);
CREATE TABLE blobs (id INTEGER PRIMARY KEY AUTOINCREMENT, data BLOB NOT NULL);
"""

_STEP = "id, label, time, finished, undone"

Document = dict[str, Any]


@dataclass(frozen=True)
class Key:
    """A document's place: its kind and two numbers."""

    kind: str
    a: int
    b: int = 0

    def __post_init__(self) -> None:
        # SQLite would keep NumPy's integers as bytes, under which nobody finds the document again
        object.__setattr__(self, "a", operator.index(self.a))
        object.__setattr__(self, "b", operator.index(self.b))


@dataclass(frozen=True)
class DocumentChange:
    """What a step, an undo or a redo did to one document; `before` or `after` is None where there was or is none.

    Both are None in the undo or redo of a large step, whose documents are not looked at one by one; its changes name
    every kind, `a` and `b` that it touched, but not each document.
    """

    key: Key
    before: Document | None
    after: Document | None


@dataclass(frozen=True)
class StepInfo:
    """One thing that was done: its number, what it is called in menus, when it began, and how it stands."""

    id: int
    label: str
    time: float
    is_finished: bool
    is_undone: bool


class Journal:
    """A transactional table of documents with undo.

    Parameters
    ----------
    path : Path
        The file; made if it does not exist, unless `read_only`.
    read_only : bool
        Whether nothing may be changed.
    file_format : int
        Of a new file: the lowest that has all there is in it, so that programs that know no higher one read it too.

    Attributes
    ----------
    lock : threading.RLock
        Held by whoever reads or writes; hold it to read and then change without anybody coming between.

    Raises
    ------
    MissingFileError
        There is no such file, and `read_only`.
    InvalidInputError
        The file is no journal, is damaged, or was written by a later version of this project.
    """

    def __init__(self, path: Path, *, read_only: bool = False, file_format: int = FORMAT) -> None:
        self.path = Path(path)
        self.read_only = read_only
        self._new_format = file_format
        self.lock = threading.RLock()
        is_new = not self.path.exists()
        if is_new and read_only:
            raise MissingFileError(f"There is no session file {self.path}.")
        # one connection for all threads, behind a lock; transactions are begun by hand
        if read_only:
            address = f"{self.path.absolute().as_uri()}?mode=ro"
            opened = sqlite3.connect(address, uri=True, check_same_thread=False, isolation_level=None)
        else:
            opened = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None)
        self._opened: sqlite3.Connection | None = opened
        try:
            self._open(is_new)
        except sqlite3.DatabaseError as error:
            self.close()
            raise InvalidInputError(
                f"{self.path} is no session file, or a damaged one ({error}). Expected the session.db of a session's "
                "folder."
            ) from error
        except BaseException:
            self.close()
            raise

    def _open(self, is_new: bool) -> None:
        if not self.read_only:
            self._connection.execute("PRAGMA journal_mode = WAL")
            # every commit is on the disk when it returns: what was acknowledged survives a power loss too
            self._connection.execute("PRAGMA synchronous = FULL")
        has_tables = self._connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'about'").fetchone()[0]
        if not has_tables:
            if self.read_only or not (is_new or self._is_empty()):
                raise InvalidInputError(f"{self.path} is an SQLite file, but not that of a session.")
            with self._transaction():
                for statement in _TABLES.split(";"):
                    self._connection.execute(statement)
                self._connection.execute("INSERT INTO about VALUES ('format', ?)", (str(self._new_format),))
        version = int(self.about("format") or 0)
        if version > GRID_FORMAT:
            raise InvalidInputError(
                f"{self.path} has format {version}; this version of sam2-lab knows formats up to {GRID_FORMAT}. "
                "Install a newer one."
            )

    def _is_empty(self) -> bool:
        # a process may have been killed between making the file and filling it
        return not self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]

    def close(self) -> None:
        """Close the file; everything is written already. Other calls raise a StateError from then on."""
        with self.lock:
            opened, self._opened = self._opened, None
            if opened is not None:
                opened.close()

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._opened is None:
            raise StateError("The session is closed; open it again.")
        return self._opened

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self.lock:
            if self.read_only:
                raise StateError(f"{self.path} is open for reading only; nothing can be changed.")
            connection = self._connection
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except BaseException as error:
                # a full disk ends a transaction by itself
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.OperationalError):
                    raise WriteError(
                        f"{self.path} could not be written ({error}); what was there before is kept. Make room on the "
                        "disk, or see whether the folder may be written to, and try again."
                    ) from error
                raise

    # About the whole

    def about(self, name: str) -> str | None:
        """Read something that is no part of the history, such as where the data lie."""
        with self.lock:
            row = self._connection.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def set_about(self, name: str, value: str) -> None:
        """Write such a thing; it is not undone."""
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (name, value))

    # Documents

    def get(self, key: Key) -> Document | None:
        """Read a document, if there is one."""
        with self.lock:
            return self._get(key)

    def items(self, kind: str, *, a: int | None = None, b: int | None = None) -> list[tuple[Key, Document]]:
        """List the documents of a kind, in order of `a` and then `b`; only those of one `a` or one `b` if given."""
        query, values = "SELECT a, b, value FROM documents WHERE kind = ?", [kind, a, b]
        query += ("" if a is None else " AND a = ?") + ("" if b is None else " AND b = ?") + " ORDER BY a, b"
        with self.lock:
            rows = self._connection.execute(query, [value for value in values if value is not None]).fetchall()
        return [(Key(kind, row[0], row[1]), json.loads(row[2])) for row in rows]

    def keys(self, kind: str, *, a: int | None = None) -> list[tuple[int, int]]:
        """List the numbers of a kind's documents without reading them."""
        query, values = "SELECT a, b FROM documents WHERE kind = ?", [kind, a]
        query += ("" if a is None else " AND a = ?") + " ORDER BY a, b"
        with self.lock:
            return self._connection.execute(query, [value for value in values if value is not None]).fetchall()

    def _get(self, key: Key) -> Document | None:
        text = self._get_text(key)
        return None if text is None else json.loads(text)

    def _get_text(self, key: Key) -> str | None:
        row = self._connection.execute(
            "SELECT value FROM documents WHERE kind = ? AND a = ? AND b = ?", (key.kind, key.a, key.b)
        ).fetchone()
        return None if row is None else str(row[0])

    def _put(self, key: Key, value: str | None) -> None:
        place = (key.kind, key.a, key.b)
        if value is None:
            self._connection.execute("DELETE FROM documents WHERE kind = ? AND a = ? AND b = ?", place)
        else:
            self._connection.execute("INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?)", (*place, value))

    # Blobs

    def add_blobs(self, blobs: Iterable[bytes]) -> list[int]:
        """Keep pixels; they never change afterwards. Returns their numbers, for documents to refer to."""
        with self._transaction() as connection:
            return [
                int(connection.execute("INSERT INTO blobs (data) VALUES (?)", (data,)).lastrowid or 0) for data in blobs
            ]

    def blob(self, number: int) -> bytes:
        """Read pixels.

        Raises
        ------
        StateError
            There are none of that number.
        """
        with self.lock:
            row = self._connection.execute("SELECT data FROM blobs WHERE id = ?", (number,)).fetchone()
        if row is None:
            raise StateError(f"{self.path} has no pixels number {number}; the file is damaged.")
        return bytes(row[0])

    # Steps

    def begin(self, label: str) -> int:
        """Begin a step that will be changed piece by piece, such as a propagation; everything undone is forgotten."""
        with self._transaction():
            return self._new_step(label, finished=False)

    def do(self, label: str, changes: Iterable[tuple[Key, Document | None]]) -> tuple[int | None, list[DocumentChange]]:
        """Do a step in one go; one that changes nothing is no step.

        Parameters
        ----------
        label : str
            What was done, as a menu would name it after "Undo".
        changes : iterable of (Key, dict or None)
            New documents; None deletes.

        Returns
        -------
        step : int or None
            Its number, if it is one.
        changes : list of DocumentChange
            What is different now.
        """
        wanted = list(changes)
        with self._transaction():
            if all(self._get_text(key) == _text(value) for key, value in wanted):
                return None, []
            step = self._new_step(label, finished=True)
            return step, self._apply(step, wanted)

    def extend(self, step: int, changes: Iterable[tuple[Key, Document | None]]) -> list[DocumentChange]:
        """Add changes to a step that is not finished, in one transaction.

        A document that a later step has changed is left as it is: a result that comes late does not undo what a person
        did meanwhile.

        Raises
        ------
        StateError
            The step is finished, undone, or there is none.
        """
        with self._transaction():
            info = self._edge(f"id = {int(step)}")
            if info is None or info.is_finished or info.is_undone:
                raise StateError(f"Step {step} cannot be added to: it is finished or was taken back.")
            return self._apply(step, changes)

    def amend(
        self,
        key: Key,
        label: str,
        changes: Iterable[tuple[Key, Document | None]],
        *,
        still: Callable[[Document | None], bool] | None = None,
    ) -> tuple[str, list[DocumentChange]]:
        """Add changes to the last step that changed a document, or do them as a step of their own.

        They become a step of their own where that step is not finished, or where a later one, undone or not, has
        changed one of the same documents.

        Parameters
        ----------
        key : Key
            The document: the mask that answers a prompt belongs to the step that gave the prompt, also when the person
            went on before the mask was there.
        label : str
            Name of the step, if it becomes one.
        changes : iterable of (Key, dict or None)
        still : callable, optional
            Asked about the document `key`; where it says False nothing is done, since the changes come too late.

        Returns
        -------
        label : str
            Name of the step they belong to.
        changes : list of DocumentChange
        """
        with self._transaction() as connection:
            if still is not None and not still(self._get(key)):
                return label, []
            wanted = list(changes)
            row = connection.execute(
                f"SELECT {_STEP} FROM steps JOIN changes ON step = id "
                "WHERE undone = 0 AND kind = ? AND a = ? AND b = ? ORDER BY id DESC LIMIT 1",
                (key.kind, key.a, key.b),
            ).fetchone()
            info = None if row is None else _step_info(row)
            if (
                info is not None
                and info.is_finished
                and not any(self._was_changed_later(info.id, one) for one, _ in wanted)
            ):
                return info.label, self._apply(info.id, wanted)
            return label, self._apply(self._new_step(label, finished=True), wanted)

    def finish(self, step: int) -> None:
        """End a step; one that changed nothing is forgotten."""
        with self._transaction() as connection:
            changed = connection.execute("SELECT 1 FROM changes WHERE step = ? LIMIT 1", (step,)).fetchone()
            if changed:
                connection.execute("UPDATE steps SET finished = 1 WHERE id = ?", (step,))
            else:
                connection.execute("DELETE FROM steps WHERE id = ?", (step,))

    def finish_all(self) -> int:
        """End the steps that a killed process left unfinished; what they had done stays. Returns how many."""
        unfinished = [info.id for info in self.steps() if not info.is_finished]
        for step in unfinished:
            self.finish(step)
        return len(unfinished)

    def steps(self) -> list[StepInfo]:
        """List what was done, oldest first, with what was undone and can be done again after it."""
        with self.lock:
            rows = self._connection.execute(f"SELECT {_STEP} FROM steps ORDER BY id").fetchall()
        return [_step_info(row) for row in rows]

    def next_undo(self) -> StepInfo | None:
        """The step that :meth:`undo` would take back."""
        return self._edge("undone = 0 ORDER BY id DESC")

    def next_redo(self) -> StepInfo | None:
        """The step that :meth:`redo` would do again."""
        return self._edge("undone = 1 ORDER BY id ASC")

    def undo(self) -> tuple[StepInfo, list[DocumentChange]]:
        """Take back the last step.

        Raises
        ------
        StateError
            There is none, or it is still being done.
        """
        with self._transaction() as connection:
            info = self.next_undo()
            if info is None:
                raise StateError("There is nothing to undo.")
            if not info.is_finished:
                raise StateError(f"{info.label!r} is still going on; cancel it first.")
            changed = [_change(key, after, before) for key, before, after in self._changes(info.id)]
            self._put_all(info.id, "before")
            connection.execute("UPDATE steps SET undone = 1 WHERE id = ?", (info.id,))
        return info, changed

    def redo(self, also: Iterable[Key] = ()) -> tuple[StepInfo, list[DocumentChange]]:
        """Do again what was undone last.

        Parameters
        ----------
        also : iterable of Key
            Documents that the step deletes too from now on, where it does not change them anyway: they came while it
            was undone, and go with what it deletes.

        Raises
        ------
        StateError
            There is nothing to do again.
        """
        with self._transaction() as connection:
            info = self.next_redo()
            if info is None:
                raise StateError("There is nothing to redo.")
            connection.executemany(
                "INSERT OR IGNORE INTO changes SELECT ?, kind, a, b, value, NULL FROM documents "
                "WHERE kind = ? AND a = ? AND b = ?",
                ((info.id, key.kind, key.a, key.b) for key in also),
            )
            changed = [_change(key, before, after) for key, before, after in self._changes(info.id)]
            self._put_all(info.id, "after")
            connection.execute("UPDATE steps SET undone = 0 WHERE id = ?", (info.id,))
        return info, changed

    def deleted(self, step: int, kind: str) -> list[int]:
        """List the `a` of the documents of a kind that a step deletes."""
        query = "SELECT a FROM changes WHERE step = ? AND kind = ? AND after IS NULL"
        with self.lock:
            return [row[0] for row in self._connection.execute(query, (step, kind)).fetchall()]

    def _edge(self, condition: str) -> StepInfo | None:
        with self.lock:
            row = self._connection.execute(f"SELECT {_STEP} FROM steps WHERE {condition} LIMIT 1").fetchone()
        return None if row is None else _step_info(row)

    def _new_step(self, label: str, *, finished: bool) -> int:
        self._connection.execute("DELETE FROM changes WHERE step IN (SELECT id FROM steps WHERE undone = 1)")
        self._connection.execute("DELETE FROM steps WHERE undone = 1")
        cursor = self._connection.execute(
            "INSERT INTO steps (label, time, finished) VALUES (?, ?, ?)", (label, time.time(), int(finished))
        )
        return int(cursor.lastrowid or 0)

    def _apply(self, step: int, changes: Iterable[tuple[Key, Document | None]]) -> list[DocumentChange]:
        done = []
        for key, value in changes:
            # as text, so that lists and tuples are the same
            before, after = self._get_text(key), _text(value)
            if key.kind == RESERVED:
                after = _higher(before, after)
            if before == after or (key.kind != RESERVED and self._was_changed_later(step, key)):
                continue
            # of several changes in one step the first "before" and the last "after" count
            self._connection.execute(
                "INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (step, kind, a, b) DO UPDATE SET after = excluded.after",
                (step, key.kind, key.a, key.b, before, after),
            )
            self._put(key, after)
            if key.kind == RESERVED:
                self._reserve_in_later_steps(step, key, after)
            done.append(_change(key, before, after))
        return done

    def _reserve_in_later_steps(self, step: int, key: Key, reserved: str | None) -> None:
        """Keep the undo or redo of a later step from giving back what this one reserves."""
        place = (key.kind, key.a, key.b)
        rows = self._connection.execute(
            "SELECT step, before, after FROM changes WHERE kind = ? AND a = ? AND b = ? AND step > ?", (*place, step)
        ).fetchall()
        self._connection.executemany(
            "UPDATE changes SET before = ?, after = ? WHERE step = ? AND kind = ? AND a = ? AND b = ?",
            [(_higher(before, reserved), _higher(after, reserved), later, *place) for later, before, after in rows],
        )

    def _was_changed_later(self, step: int, key: Key) -> bool:
        query = "SELECT 1 FROM changes WHERE kind = ? AND a = ? AND b = ? AND step > ? LIMIT 1"
        return self._connection.execute(query, (key.kind, key.a, key.b, step)).fetchone() is not None

    def _put_all(self, step: int, side: Literal["before", "after"]) -> None:
        """Put all documents of a step to what they were before, or are after it."""
        self._connection.execute(
            "DELETE FROM documents WHERE (kind, a, b) IN "
            f"(SELECT kind, a, b FROM changes WHERE step = ? AND {side} IS NULL)",
            (step,),
        )
        self._connection.execute(
            "INSERT OR REPLACE INTO documents "
            f"SELECT kind, a, b, {side} FROM changes WHERE step = ? AND {side} NOT NULL",
            (step,),
        )

    def _changes(self, step: int) -> list[tuple[Key, str | None, str | None]]:
        """List what a step changed; of a large one some of the keys, with every kind, `a` and `b`, and no contents."""
        count = self._connection.execute("SELECT count(*) FROM changes WHERE step = ?", (step,)).fetchone()[0]
        query = "SELECT kind, a, b, before, after FROM changes WHERE step = ?"
        if count > LARGE_STEP:
            query = (
                "SELECT kind, a, min(b), NULL, NULL FROM changes WHERE step = ?1 GROUP BY kind, a "
                "UNION SELECT kind, min(a), b, NULL, NULL FROM changes WHERE step = ?1 GROUP BY kind, b"
            )
        rows = self._connection.execute(query, (step,)).fetchall()
        return [(Key(row[0], row[1], row[2]), row[3], row[4]) for row in rows]


def _text(value: Document | None) -> str | None:
    return None if value is None else json.dumps(value, separators=(",", ":"), sort_keys=True, allow_nan=False)


def _higher(first: str | None, second: str | None) -> str | None:
    """Of two documents of the kind :data:`RESERVED` the one with the higher number."""
    return max(first, second, key=lambda text: -1 if text is None else int(json.loads(text)["next"]))


def _change(key: Key, before: str | None, after: str | None) -> DocumentChange:
    return DocumentChange(key, *(None if text is None else json.loads(text) for text in (before, after)))


def _step_info(row: tuple[int, str, float, int, int]) -> StepInfo:
    return StepInfo(row[0], row[1], row[2], bool(row[3]), bool(row[4]))
