"""``python -m sam2_core.compat script.py …`` or ``… -m module …``: run a program written for ``sam2`` on ours."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from sam2_core.compat.alias import install

USAGE = "usage: python -m sam2_core.compat (script.py | -m module) [argument ...]"


def main() -> None:
    """Run the program that the command line names, as Python itself would."""
    arguments = sys.argv[1:]
    if not arguments or arguments[:1] in (["-h"], ["--help"]) or arguments == ["-m"]:
        sys.exit(USAGE)
    install()
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        if arguments[1] == "sam2.benchmark":
            from sam2_core.compat.benchmark import main as benchmark

            benchmark()
        elif arguments[1] == "training.train":
            _train(arguments[2:])
        else:
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        if Path(arguments[0]).parts[-2:] == ("training", "train.py"):
            _train(arguments[1:])
            return
        sys.argv = arguments
        sys.path[0] = str(Path(arguments[0]).resolve().parent)
        runpy.run_path(arguments[0], run_name="__main__")


def _train(arguments: list[str]) -> None:
    """Run the official ``training/train.py``: its options are those of ``sam2 train``."""
    sys.argv = ["sam2", "train", *arguments]
    runpy.run_module("sam2_core.cli.app", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
