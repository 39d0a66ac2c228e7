"""FileStamp: notices that a file was changed, replaced or removed while it is being read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sam2_core.errors import InvalidInputError, MissingFileError


@dataclass(frozen=True)
class FileStamp:
    """Size and modification time of a file when it was opened.

    Looking again costs one ``stat``, microseconds on a local disk.
    """

    path: Path
    size: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """Note a file as it is now.

        Raises
        ------
        MissingFileError
            There is no such file.
        """
        try:
            state = os.stat(path)
        except FileNotFoundError:
            raise MissingFileError(f"There is no file {path!s}.") from None
        return cls(path, state.st_size, state.st_mtime_ns)

    def check(self) -> None:
        """Compare with the file as it is now.

        Raises
        ------
        MissingFileError
            It is gone.
        InvalidInputError
            It has another size or time of modification.
        """
        try:
            state = os.stat(self.path)
        except FileNotFoundError:
            raise MissingFileError(f"{self.path!s} was there when it was opened and is gone now.") from None
        if (state.st_size, state.st_mtime_ns) != (self.size, self.modified_ns):
            raise InvalidInputError(
                f"{self.path!s} has changed since it was opened ({self.size} bytes then, {state.st_size} now): what is "
                "read from here on may not fit what was read before. Open it again once nothing writes to it."
            )
