from __future__ import annotations

import pytest

from sam2_core.cli.memory_budget import MemoryBudget
from sam2_core.errors import InvalidInputError
from tests.cli.test_app import run


def test_all_of_it_is_shared_out():
    budget = MemoryBudget.of(2 * 10**9, 10**7)
    assert budget.features + budget.tracker + budget.masks == budget.total
    assert budget.group_size((1024, 1024)) > budget.group_size((2048, 2048)) >= 1
    assert budget.group_size((20_000, 20_000)) == 1


def test_too_little(capsys, stack, untrained, tmp_path):
    with pytest.raises(InvalidInputError, match="80 MB in all"):
        MemoryBudget.of(79 * 10**6, 10**7)
    code, _, err = run(capsys, "track", stack, "-p", "0:1,1", "--budget", "1kB", "-c", untrained, "-o", tmp_path / "r")
    assert (code, "A budget of 1 kB is too little" in err.replace("\n", " ")) == (2, True)


def test_a_small_budget_gives_the_same_labels(capsys, stack, untrained, tmp_path):
    import numpy as np
    import tifffile

    points = [word for n in range(6) for word in ("-p", f"{n % 4}:{5 + 7 * n},{30 - 4 * n}")]
    found = []
    for budget in ("2GB", "2MB"):
        result = tmp_path / budget
        code, _, err = run(capsys, "track", stack, *points, "--budget", budget, "-c", untrained, "-o", result)
        assert code == 0, err
        found.append(tifffile.imread(result / "labels.tif"))
    assert (found[0] != found[1]).mean() < 0.001
    assert len(np.unique(found[0])) > 3
