"""A model that is known by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sam2_core.errors import InvalidInputError
from sam2_core.hooks.contributions import Contribution


@dataclass(frozen=True, kw_only=True)
class ModelEntry(Contribution):
    """One model: ``load_model(NAME)``, ``--checkpoint NAME``, ``sam2 download NAME``.

    Attributes
    ----------
    config : str
        Name of its configuration, or path of a YAML file.
    file_name : str
        Name of its weights file.
    folder : Path, optional
        Where that file is, for weights that come with the plugin.
    url : str, optional
        Where the weights are downloaded, for those that do not.
    parameters : int
        Number of parameters; 0 where it is not recorded.
    size_bytes : int, optional
        Size of the file, where known.
    sha256 : str, optional
        Checksum of the file in lower-case hexadecimal, where known.
    hf_id : str, optional
        Repository on the Hugging Face hub that holds a file of the same name.
    licence : str
        SPDX identifier of the weights' licence.
    min_iou, min_stability : float, optional
        Predicted IoU and stability, 0 to 1, from which on "segment everything" should keep a mask of this model, where
        the usual ones do not suit it.
    """

    config: str
    file_name: str
    folder: Path | None = None
    url: str | None = None
    parameters: int = 0
    size_bytes: int | None = None
    sha256: str | None = None
    hf_id: str | None = None
    licence: str = "Apache-2.0"
    min_iou: float | None = None
    min_stability: float | None = None

    def check(self) -> None:
        """Refuse an entry whose weights nobody could find."""
        super().check()
        if (self.folder is None) == (self.url is None):
            raise InvalidInputError(
                f"The model {self.name!r} needs either a folder, for weights that come with the plugin, or a url."
            )

    @property
    def shipped(self) -> bool:
        """Whether the weights come with the package that lists the model."""
        return self.folder is not None

    @property
    def shipped_path(self) -> Path:
        """Where the weights of a shipped model are.

        Raises
        ------
        InvalidInputError
            They are downloaded.
        """
        if self.folder is None:
            raise InvalidInputError(
                f"The weights of {self.name} are downloaded from {self.url}; they come with nothing."
            )
        return self.folder / self.file_name
