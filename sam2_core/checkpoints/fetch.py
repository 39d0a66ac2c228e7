"""From a model's name to a weights file on this machine; the network only where the caller asked for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sam2_core.checkpoints.cache import (
    cache_folder,
    cached_checkpoint,
    find_in_hub_cache,
    is_offline,
    own_checkpoint,
    verify_hub_file,
)
from sam2_core.checkpoints.catalogue import find_entry, get_entry, known_models
from sam2_core.checkpoints.download import Progress, download_file
from sam2_core.errors import (
    CheckpointError,
    DownloadError,
    MissingDependencyError,
    MissingFileError,
    Sam2Error,
    UnknownModelError,
)
from sam2_core.hooks import ModelEntry

_WEIGHTS_SUFFIXES = (".safetensors", ".pt", ".pth")


def download_model(name: str, *, force: bool = False, progress: bool | Progress = True) -> Path:
    """Download the weights of a model of the catalogue into the cache, or find them there.

    Parameters
    ----------
    name : str
        Name in the catalogue, id on the Hugging Face hub, or official file name.
    force : bool
        Download again even where the file is there.
    progress : bool or callable
        As for :func:`sam2_core.checkpoints.download.download_file`.

    Returns
    -------
    Path
        The verified file.

    Raises
    ------
    UnknownModelError
        When the catalogue has no such model.
    MissingFileError
        When a model that ships with the package has lost its file.
    DownloadError
        When the download fails.
    CheckpointError
        When the file in the cache is damaged (``force`` replaces it).
    """
    entry = get_entry(name)
    if not (force and entry.url):
        found = cached_checkpoint(entry)
        if found is not None:
            return found
    if entry.url is None:
        raise _shipped_file_is_missing(entry)
    return download_file(
        entry.url,
        cache_folder() / entry.file_name,
        sha256=entry.sha256,
        size_bytes=entry.size_bytes,
        force=force,
        progress=progress,
    )


def locate_checkpoint(entry: ModelEntry, *, download: bool = False, progress: bool | Progress = True) -> Path:
    """The weights of a model on this machine; downloaded first where that was asked for.

    Parameters
    ----------
    entry : ModelEntry
        A model of the catalogue.
    download : bool
        Allow a download.
    progress : bool or callable
        As for :func:`download_model`.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    MissingFileError
        When it is not here and ``download`` is False; the message says how to get it.
    DownloadError
        When the download fails.
    """
    found = cached_checkpoint(entry)
    if found is not None:
        return found
    if entry.shipped:
        raise _shipped_file_is_missing(entry)
    if download:
        return download_model(entry.name, progress=progress)
    size = f" ({entry.size_bytes / 1e6:.0f} MB)" if entry.size_bytes else ""
    raise MissingFileError(
        f"the weights of {entry.name}{size} are not on this machine, and nothing is downloaded unasked: run "
        f"'sam2 download {entry.name}' or pass download=True. The cache is {cache_folder()}"
    )


def fetch_pretrained(
    model_id: str, *, file_name: str | None = None, revision: str | None = None
) -> tuple[ModelEntry | None, Path]:
    """Weights by the id of a model, downloaded from the Hugging Face hub where they are not here yet.

    Parameters
    ----------
    model_id : str
        Id of an official model (``facebook/sam2.1-hiera-tiny``), a name of the catalogue, or any repository of the
        hub that holds SAM 2 weights.
    file_name : str, optional
        Which file of the repository; needed where it holds several.
    revision : str, optional
        Branch, tag or commit of the repository.

    Returns
    -------
    entry : ModelEntry or None
        The model of the catalogue; None for another repository.
    path : Path
        The weights.

    Raises
    ------
    UnknownModelError
        When this is neither a model of the catalogue nor the id of a repository.
    DownloadError
        When the hub cannot be reached, has no such repository or file, or the file to take is not clear.
    CheckpointError
        When what came is not the file that the catalogue knows.
    MissingDependencyError
        When ``huggingface_hub`` is not installed.
    """
    entry = find_entry(model_id)
    if entry is not None and file_name is None and revision is None:
        found = own_checkpoint(entry)
        if found is not None:
            return entry, found
        if entry.hf_id is None:
            raise _shipped_file_is_missing(entry)
        return entry, _published_from_hub(entry, entry.hf_id)
    repository = entry.hf_id if entry is not None and entry.hf_id else model_id
    if repository.count("/") != 1:
        raise UnknownModelError(
            f"no model named {model_id!r}: expected one of {', '.join(known_models())} or the id of a repository on "
            "the Hugging Face hub, such as facebook/sam2.1-hiera-tiny"
        )
    return entry, _from_hub(repository, file_name, revision)


def _published_from_hub(entry: ModelEntry, repository: str) -> Path:
    path = find_in_hub_cache(entry) or _from_hub(repository, entry.file_name, None)
    try:
        verify_hub_file(path, entry)
    except CheckpointError as damaged:
        if is_offline():
            raise
        # the hub's cache takes a damaged file for a whole one
        try:
            path = _from_hub(repository, entry.file_name, None, again=True)
        except DownloadError as error:
            raise CheckpointError(f"{damaged}. Getting it again failed: {error}") from error
        verify_hub_file(path, entry)
    return path


def _from_hub(repository: str, file_name: str | None, revision: str | None, *, again: bool = False) -> Path:
    try:
        import huggingface_hub
        from huggingface_hub.errors import LocalEntryNotFoundError
    except ImportError as error:
        raise MissingDependencyError(
            f"downloading {repository} needs huggingface_hub: pip install huggingface_hub"
        ) from error
    offline = is_offline()
    if offline and file_name is None:
        raise DownloadError(f"which file of {repository} to take is not known offline; pass file_name=…")
    try:
        if file_name is None:
            file_name = _choose_file(repository, huggingface_hub.HfApi().list_repo_files(repository, revision=revision))
        path = huggingface_hub.hf_hub_download(
            repository, file_name, revision=revision, local_files_only=offline, force_download=again
        )
        return Path(path)
    except LocalEntryNotFoundError as error:
        why = "downloading is switched off (SAM2_LAB_OFFLINE, HF_HUB_OFFLINE)" if offline else "the hub does not answer"
        raise DownloadError(f"{file_name} of {repository} is not on this machine, and {why}") from error
    except Sam2Error:
        raise
    except Exception as error:  # the hub's own errors, and whatever its HTTP library of the day raises
        raise DownloadError(f"downloading {file_name or 'weights'} of {repository} failed: {error}") from error


def _choose_file(repository: str, files: Sequence[str]) -> str:
    weights = [name for name in files if name.endswith(_WEIGHTS_SUFFIXES)]
    for preferred in ("model.safetensors", *(weights if len(weights) == 1 else ())):
        if preferred in weights:
            return preferred
    listed = ", ".join(weights) if weights else "none"
    raise DownloadError(f"{repository}: which weights file is meant is not clear ({listed}); pass file_name=…")


def _shipped_file_is_missing(entry: ModelEntry) -> MissingFileError:
    return MissingFileError(
        f"{entry.shipped_path} comes with the package that lists the model, and is not there; reinstall that "
        "package, or take another model"
    )
