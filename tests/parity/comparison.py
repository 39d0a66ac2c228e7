"""When two results count as equal, and a table of how far apart they were."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

TOLERANCE = 1e-3
SHARE = 0.999
# Logits that stand for "no object" are placeholders, not a scale.
PLACEHOLDER = -1000.0

# Part of a job -> largest relative deviation and smallest share of values within the tolerance.
deviations: dict[str, list[float]] = defaultdict(lambda: [0.0, 1.0])


def assert_same(part: str, name: str, ours: np.ndarray, official: np.ndarray, logits: np.ndarray | None = None) -> None:
    """Compare one array.

    Floats: 99.9 % of the values within 1e-3 of the largest absolute value. Booleans: equal wherever `logits` (the
    official ones) are not within that of zero. Integers and text: equal.

    Parameters
    ----------
    part, name : str
        Where the array comes from; for the message and the table.
    ours, official : ndarray
        What to compare.
    logits : ndarray, optional
        Official logits behind a boolean mask.
    """
    assert ours.shape == official.shape, f"{part} {name}: shape {ours.shape}, official {official.shape}"
    if official.dtype == bool:
        decided = np.ones(official.shape, bool) if logits is None else ~near_zero(logits)
        assert np.array_equal(ours[decided], official[decided]), f"{part} {name}: masks differ"
        return
    if official.dtype.kind not in "fc":
        assert np.array_equal(ours, official), f"{part} {name}: {ours} is not {official}"
        return
    if official.size == 0:
        return
    placeholders = official <= PLACEHOLDER
    assert np.array_equal(ours <= PLACEHOLDER, placeholders), f"{part} {name}: other objects are absent"
    if placeholders.all():
        return
    difference = np.abs(ours.astype(np.float64) - official)[~placeholders] / scale(official)
    assert np.isfinite(difference).all(), f"{part} {name}: not finite"
    share = float((difference <= TOLERANCE).mean())
    record = deviations[part]
    record[0], record[1] = max(record[0], float(difference.max())), min(record[1], share)
    assert share >= SHARE, (
        f"{part} {name}: {share:.4%} of {difference.size} values within {TOLERANCE} of the largest, "
        f"largest deviation {difference.max():.2e}, median {np.median(difference):.2e}"
    )


def scale(values: np.ndarray) -> float:
    """Largest absolute value, placeholders aside; 1 where all are zero."""
    return float(np.abs(values[values > PLACEHOLDER]).max(initial=0.0)) or 1.0


def near_zero(logits: np.ndarray) -> np.ndarray:
    """Where a logit is too close to zero for its sign to count."""
    return np.asarray(np.abs(logits) <= TOLERANCE * scale(logits))


def assert_all_same(part: str, ours: dict[str, np.ndarray], official: dict[str, np.ndarray]) -> None:
    """Compare two sets of named arrays; logits are found beside their masks by name.

    Everything is compared before a failure is reported, so that one run shows all that differs.
    """
    assert ours.keys() == official.keys(), f"{part}: {sorted(ours.keys() ^ official.keys())} on one side only"
    failures = []
    for name, expected in official.items():
        logits = official.get(name.removesuffix("masks") + "logits") if name.endswith("/masks") else None
        try:
            assert_same(part, name, ours[name], expected, logits)
            if name.endswith("logits"):  # masks as a user takes them: logits above zero
                assert_same(part, f"{name} > 0", ours[name] > 0, expected > 0, expected)
        except AssertionError as failure:
            failures.append(str(failure).split("\n")[0])
    assert not failures, "\n".join(failures)


def assert_same_records(part: str, ours: dict[str, np.ndarray], official: dict[str, np.ndarray]) -> None:
    """Compare two sets of generated masks, whatever their order.

    Every official record needs one of ours, and the reverse, with the same point and crop, scores within 1e-3 of one,
    and a mask that differs in at most 0.1 % of the pixels.
    """
    assert len(ours["table"]) == len(official["table"]), (
        f"{part}: {len(ours['table'])} masks, official {len(official['table'])}"
    )
    free = set(range(len(official["table"])))
    for row, mask in zip(ours["table"], ours["masks"], strict=True):
        candidates = [
            index
            for index in free
            if np.allclose(row[:4], official["table"][index][:4], atol=TOLERANCE)
            and np.array_equal(row[9:], official["table"][index][9:])
            and (mask != official["masks"][index]).mean() <= 1 - SHARE
        ]
        assert candidates, f"{part}: no official mask like {np.round(row, 4).tolist()}"
        partner = official["table"][candidates[0]]
        # Box edges move by a pixel where an undecided pixel is the outermost.
        assert np.abs(row[5:9] - partner[5:9]).max() <= 2, f"{part}: box {row[5:9]}, official {partner[5:9]}"
        record = deviations[part]
        record[0] = max(record[0], float(np.abs(row[2:4] - partner[2:4]).max()))
        free.remove(candidates[0])
