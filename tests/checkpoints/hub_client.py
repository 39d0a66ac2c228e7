"""Fetch a model from the hub whose address the environment names. A program of its own, run by a test."""

from __future__ import annotations

import json
import sys

from sam2_core.checkpoints.fetch import fetch_pretrained
from sam2_core.errors import Sam2Error


def main(calls: list[dict[str, str]]) -> None:
    answers = []
    for call in calls:
        try:
            entry, path = fetch_pretrained(call.pop("model_id"), **call)
            answers.append([entry.name if entry else None, path.name, path.read_text(encoding="ascii")])
        except Sam2Error as error:
            answers.append([type(error).__name__, str(error)])
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
