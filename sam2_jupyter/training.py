"""Fine-tuning in the words of the view: the recipes there are, what was asked for, and how it goes."""

from __future__ import annotations

from os import PathLike, fspath
from typing import Any, Final

from sam2_core.errors import InvalidTypeError
from sam2_core.hooks import Recipe, get_plugins
from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.session.job import Job
from sam2_jupyter.frame_tiles import jpeg
from sam2_jupyter.option_fields import fields_of
from sam2_jupyter.protocol import Payload, read_options, read_text
from sam2_jupyter.session_summary import job_payload

#: What a person sees first.
FIRST_RECIPE: Final = "decoder"
DEFAULT_BUDGET: Final = "5 min"


def recipes() -> list[Payload]:
    """List the recipes with their options, the one for most things first."""
    found = [one.contribution for one in get_plugins().contributions(Recipe).values()]
    return [
        {"name": one.name, "summary": one.summary, "options": fields_of(one.train)}
        for one in sorted(found, key=lambda one: one.name != FIRST_RECIPE)
    ]


def train(session: AnnotationSession, payload: Payload) -> Payload:
    """Have the model learn from the masks."""
    name = payload.get("name")
    holds_back = payload.get("hold_back", True)
    if not isinstance(holds_back, bool):
        raise InvalidTypeError(f"hold_back must be true or false; got {holds_back!r:.100}.")
    masks: Any = read_text(payload, "masks")  # checked where it is used
    job = session.start_train(
        read_text(payload, "recipe"),
        read_text(payload, "budget"),
        masks=masks,
        validation_frames=None if holds_back else (),
        name=read_text(payload, "name").strip() or None if name is not None else None,
        **read_options(payload),
    )
    return job_payload(job)


def latest_training(session: AnnotationSession) -> Job | None:
    """The training that was started last, if there was one."""
    return next((job for job in reversed(session.jobs) if job.training is not None), None)


def training_told(session: AnnotationSession, pictures_known: int = 0) -> tuple[Payload, list[bytes]]:
    """How the last training goes, and the model that is in use.

    Parameters
    ----------
    session : AnnotationSession
    pictures_known : int
        How many previews were told already; with a newer one its JPEG file comes along.
    """
    told: Payload = {"model": model_name(session), "job": None}
    job = latest_training(session)
    if job is None or job.training is None:
        return told, []
    record = job.training
    picture, pictures = record.picture, record.pictures
    told |= {
        "job": job.id,
        "state": job.state,
        "recipe": record.recipe,
        "base": record.base,
        "step": record.step,
        "losses": record.losses,
        "ious": record.ious,
        "before": record.before,
        "best": record.best,
        "new_model": record.model,
        "is_used": record.is_used,
        "is_stopping": record.is_stopping,
        "pictures": pictures,
    }
    return told, [jpeg(picture)] if picture is not None and pictures > pictures_known else []


def model_name(session: AnnotationSession) -> str:
    """What the model in use is called; empty without one."""
    model = session.model
    if model is None:
        return ""
    return fspath(model) if isinstance(model, str | PathLike) else type(model).__name__
