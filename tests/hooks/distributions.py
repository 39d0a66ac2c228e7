"""Distributions made on disk, as pip leaves them: a module and its dist-info with an entry point."""

from __future__ import annotations

import textwrap
from pathlib import Path


def install(site: Path, name: str, code: str, *, version: str = "1.2", entry_point: str | None = None) -> None:
    """Put a plugin distribution into a folder that is on the path.

    Parameters
    ----------
    site : Path
    name : str
        Of the distribution; its module has underscores for hyphens.
    code : str
        Of the module.
    version : str
    entry_point : str, optional
        Its name; the distribution's by default.
    """
    module = name.replace("-", "_")
    (site / f"{module}.py").write_text(textwrap.dedent(code), encoding="utf-8")
    info = site / f"{module}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[sam2.plugins]\n{entry_point or name} = {module}\n", encoding="utf-8")


GOOD = """
    from sam2_core.hooks import CliCommand, hookimpl

    def greet() -> None:
        "Say hello."

    @hookimpl
    def sam2_cli_commands():
        return [CliCommand("{name}", "says hello", function=greet)]
"""
RAISES_AT_IMPORT = "raise OSError('a library of mine is missing')"
LEAVES_AT_IMPORT = "import sys; sys.exit(3)"
RAISES_IN_HOOK = """
    from sam2_core.hooks import hookimpl

    @hookimpl
    def sam2_cli_commands():
        return 1 / 0
"""
RETURNS_NONSENSE = """
    from sam2_core.hooks import hookimpl

    @hookimpl
    def sam2_cli_commands():
        return ["a string"]
"""
UNKNOWN_HOOK = """
    from sam2_core.hooks import hookimpl

    @hookimpl
    def sam2_no_such_hook():
        return []
"""
HOOK_OF_A_LATER_VERSION = """
    from sam2_core.hooks import hookimpl

    @hookimpl(optionalhook=True)
    def sam2_hook_of_tomorrow():
        return []
"""
