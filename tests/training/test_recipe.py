"""Recipes, from configurations."""

from __future__ import annotations

from pathlib import Path

import pytest

from sam2_core.errors import ConfigError
from sam2_core.training.recipe import is_recipe, read_recipe_config, recipe_of
from tests.cli.test_app import run


def test_the_recipe_of_the_checkpoint_that_ships() -> None:
    recipe = recipe_of(read_recipe_config("micro", ["folder=here", "hours=2", "options.learning_rate=1e-4"]))
    assert (recipe.folder, recipe.hours, recipe.options.learning_rate) == (Path("here"), 2.0, 1e-4)
    assert recipe.target == Path("here") / "micro.safetensors"
    assert recipe.steps == ("draw", "train", "export")
    assert set(recipe.plans) == {"first", "further"}
    for phases in recipe.plans.values():
        ends = [phase.until for phase in phases]
        assert ends == sorted(ends)
        assert all(sum(work.share for work in phase.works) == pytest.approx(1.0) for phase in phases)
    # eight frames are shown of stacks
    most = max(work.frames for phases in recipe.plans.values() for phase in phases for work in phase.works)
    assert most == min(recipe.pools[name].frames for name in recipe.stack_shares)


def test_other_configurations_are_none() -> None:
    assert is_recipe(read_recipe_config("micro"))
    assert not is_recipe(read_recipe_config("finetune_2d", ["data.images=any"]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("steps=[dance]", "draw, train, export"),
        ("steps=[]", "draw, train, export"),
        ("hours=0", "positive"),
        ("workers=0", "at least 1"),
        ("plan=third", "first, further"),
        ("image_shares={stills: 0.5}", "1 together"),
        ("stack_shares={nothing: 1.0}", "those of pools"),
        ("options={speed: 3}", "options"),
        ("+pools.stills.colour=1", "pools.stills"),
        ("plans.first=[]", "plans.first"),
        ("plans.first=[{until: 0.5, works: [{share: 1, size: 64, stacks: 1, objects: 1}]}]", "ends at 1.0"),
        ("plans.first=[{until: 1.0, works: [{share: 1}]}]", "works"),
        ("plans.first=[{until: 1.0, works: [], weights: {dream: 1}}]", "weights"),
        ("+more=1", "more"),
        ("~start", "start"),
    ],
)
def test_a_bad_recipe_is_refused_by_name(change: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        recipe_of(read_recipe_config("micro", [change]))


def test_the_command_shows_a_recipe_and_follows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "train", "--config-name", "micro", "--cfg", "hours=7")
    assert code == 0
    assert "hours: 7" in out
    pools = [f"pools.{name}.stacks=1" for name in ("stills", "stacks", "tissue", "motion")]
    sides = [f"pools.{name}.side=48" for name in ("stills", "stacks", "tissue", "motion")]
    code, out, err = run(
        capsys, "train", "--config-name", "micro", f"folder={tmp_path}", "steps=[draw]", *pools, *sides
    )
    assert code == 0, err
    assert (tmp_path / "motion" / "images.npy").exists()
    assert "Draw done" in out
