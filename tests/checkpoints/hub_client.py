"""Fetch a model from the hub whose address the environment names. A program of its own, run by a test."""

from __future__ import annotations

import dataclasses
import json
import sys

from sam2_core.checkpoints import fetch
from sam2_core.checkpoints.fetch import fetch_pretrained
from sam2_core.errors import Sam2Error


def expect(sha256: str) -> None:
    """Have the catalogue expect files with this checksum: the real ones are not on the test's server."""
    find_entry = fetch.find_entry

    def find_changed(name: str) -> object:
        entry = find_entry(name)
        return None if entry is None else dataclasses.replace(entry, sha256=sha256, size_bytes=None)

    fetch.find_entry = find_changed  # type: ignore[assignment]


def main(calls: list[dict[str, str]]) -> None:
    answers = []
    for call in calls:
        if "expect" in call:
            expect(call["expect"])
            continue
        try:
            entry, path = fetch_pretrained(call.pop("model_id"), **call)
            answers.append([entry.name if entry else None, path.name, path.read_text(encoding="ascii")])
        except Sam2Error as error:
            answers.append([type(error).__name__, str(error)])
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
