"""Draw the curves of docs/checkpoint.md from the logs of training runs, one column a run; needs matplotlib.

python scripts/training_curves.py docs/images/checkpoint-curves.png NAME=RUN/log.jsonl ...
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

PANELS: Mapping[str, Mapping[str, str]] = {
    "IoU of single images": {
        "iou": "best-scored candidate",
        "best": "best candidate",
        "corrected": "after up to 3 corrections",
    },
    "stacks": {
        "track": "IoU of tracked frames",
        "mended": "IoU of corrected ones",
        "there": "objects called present that are",
        "gone": "objects called absent that are",
    },
}
# An entry of a log is the mean of 20 steps.
WINDOW = 15


def read(path: Path) -> list[dict[str, float]]:
    """Entries of a log."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def curve(entries: list[dict[str, float]], name: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Steps and running means of a measure at an input size; NaN where it was not logged."""
    key = f"{name}@{size}"
    seen = [(entry["step"], entry[key]) for entry in entries if entry.get(key) == entry.get(key) and key in entry]
    if len(seen) < WINDOW:
        return np.array([]), np.array([])
    steps, values = np.array(seen).T
    kernel = np.ones(WINDOW) / WINDOW
    return np.convolve(steps, kernel, "valid"), np.convolve(values, kernel, "valid")


def main() -> None:
    """Draw the picture that the command line names."""
    target, *runs = sys.argv[1:]
    figure, axes = plt.subplots(
        len(PANELS), len(runs), figsize=(4.2 * len(runs), 3.0 * len(PANELS)), sharey="row", squeeze=False
    )
    for column, run in enumerate(runs):
        name, _, path = run.partition("=")
        entries = read(Path(path))
        for row, (title, measures) in enumerate(PANELS.items()):
            panel = axes[row, column]
            for number, (measure, label) in enumerate(measures.items()):
                for size, style in ((128, ":"), (256, "-")):
                    steps, values = curve(entries, measure, size)
                    panel.plot(steps, values, style, color=f"C{number}", label=f"{label}, {size} px")
            panel.set_ylim(0, 1)
            panel.grid(alpha=0.3)
            panel.set_title(f"{name}: {title}", fontsize=9)
            panel.set_xlabel("step")
            if column == 0:
                panel.legend(fontsize=6, loc="lower right")
    figure.tight_layout()
    figure.savefig(target, dpi=110)


if __name__ == "__main__":
    main()
