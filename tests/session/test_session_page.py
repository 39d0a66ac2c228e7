"""The pages on sessions tell the truth: their code runs, the second one without this project."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import tifffile


def blocks(page: Path) -> str:
    return "\n".join(re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE))


def test_the_code_of_the_pages(repository: Path, tmp_path: Path) -> None:
    rows, columns = np.mgrid[:96, :96]
    cell = 20 + 180 * ((rows - 48) ** 2 + (columns - 48) ** 2 < 14**2)
    tifffile.imwrite(tmp_path / "stack.tif", np.repeat(cell[None].astype(np.uint8), 8, axis=0), imagej=True)
    (tmp_path / "images").mkdir()
    tifffile.imwrite(tmp_path / "images" / "cell.tif", cell.astype(np.uint8))

    tifffile.imwrite(
        tmp_path / "film.tif",
        np.repeat(np.repeat(cell[None, None].astype(np.uint8), 3, axis=1), 3, axis=0),
        imagej=True,
        metadata={"axes": "TZYX"},
    )

    done = subprocess.run(
        [sys.executable, "-c", blocks(repository / "docs" / "session.md")], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "8 frames"
    assert "click on cell 1" in done.stdout
    assert (tmp_path / "labels.zarr").is_dir()
    assert "[0, 1, 2]" in done.stdout.splitlines(), "carried to the other times"
    with tifffile.TiffFile(tmp_path / "film-labels.tif") as labels:
        assert (labels.series[0].axes, labels.series[0].shape) == ("TZYX", (3, 3, 96, 96))
    assert len((tmp_path / "volumes.csv").read_text().splitlines()) == 4
    assert done.stdout.splitlines()[-1] == "cell.tif done"
    assert (tmp_path / "labels" / "cell_labels.tif").exists()
    assert len((tmp_path / "objects.csv").read_text().splitlines()) == 9

    bare = "import sys; sys.modules['sam2_core'] = None\n" + blocks(repository / "docs" / "session-format.md")
    subprocess.run([sys.executable, "-c", bare], cwd=tmp_path, check=True)
