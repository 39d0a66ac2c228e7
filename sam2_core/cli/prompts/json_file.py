"""Prompts as JSON: our own objects, or boxes as COCO writes them."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sam2_core.cli.prompts.written import WrittenPrompt, free_ids
from sam2_core.errors import InvalidInputError

_OBJECT_KEYS = {"id", "prompts"}
_PROMPT_KEYS = {"frame", "points", "labels", "box"}
_EXAMPLE = (
    '{"objects": [{"id": 1, "prompts": [{"frame": 12, "points": [[30, 22], [35, 40]], "labels": [1, 0]}]}, '
    '{"id": 2, "prompts": [{"frame": 12, "box": [40, 10, 62, 31]}]}]}'
)


def read_json(text: str, name: str) -> list[WrittenPrompt]:
    """Read prompts from JSON.

    Our own form::

        {"objects": [
            {"id": 1, "prompts": [{"frame": 12, "points": [[30, 22], [35, 40]], "labels": [1, 0]}]},
            {"id": 2, "prompts": [{"frame": 12, "box": [40, 10, 62, 31]}]}
        ]}

    Points are (x, y), boxes (x0, y0, x1, y1), in pixels; frames count from 0; ``id`` may be left out, as may ``labels``
    where all points are on the object. An object with one prompt may hold its keys itself, without ``prompts``.

    Of COCO, a mapping with ``annotations``: their ``bbox`` (x, y, width, height) becomes a box, ``track_id`` or else
    ``id`` the object, and the place of ``image_id`` among ``images`` the frame.

    Raises
    ------
    InvalidInputError
        No JSON (the line is named), unknown keys, or a value of another kind than expected (its place is named).
    """
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidInputError(f"{name}, line {error.lineno}: this is not JSON: {error.msg}.") from error
    if isinstance(content, Mapping) and "annotations" in content:
        return list(_coco(content, name))
    objects = content.get("objects") if isinstance(content, Mapping) else content
    if not isinstance(objects, list) or not objects:
        raise InvalidInputError(f"{name}: there is no list of objects. Expected {_EXAMPLE}, or COCO annotations.")
    named = [one["id"] for one in objects if isinstance(one, Mapping) and isinstance(one.get("id"), int)]
    twice = sorted(object_id for object_id, count in Counter(named).items() if count > 1)
    if twice:
        raise InvalidInputError(
            f"{name}: object id {twice[0]} is there twice. Put all prompts of one object into its list 'prompts'."
        )
    free = iter(free_ids(named))
    written: list[WrittenPrompt] = []
    for number, one in enumerate(objects):
        written += _object(one, free, f"{name}, objects[{number}]")
    return written


def _object(one: Any, free: Iterator[int], origin: str) -> Iterator[WrittenPrompt]:
    if not isinstance(one, Mapping):
        raise InvalidInputError(f"{origin}: expected a mapping with the keys id and prompts; got {one!r}.")
    object_id = one.get("id")
    if object_id is None:
        object_id = next(free)
    if not isinstance(object_id, int) or isinstance(object_id, bool):
        raise InvalidInputError(f"{origin}: id must be a whole number; got {object_id!r}.")
    if "prompts" in one:
        _require_known(one, _OBJECT_KEYS, origin)
        prompts = one["prompts"]
        if not isinstance(prompts, list) or not prompts:
            raise InvalidInputError(f"{origin}: prompts must be a list of at least one prompt; got {prompts!r}.")
        for number, prompt in enumerate(prompts):
            yield from _prompt(prompt, object_id, f"{origin}.prompts[{number}]")
    else:
        _require_known(one, _OBJECT_KEYS | _PROMPT_KEYS, origin)
        yield from _prompt({key: value for key, value in one.items() if key != "id"}, object_id, origin)


def _prompt(prompt: Any, object_id: int, origin: str) -> Iterator[WrittenPrompt]:
    if not isinstance(prompt, Mapping):
        raise InvalidInputError(f"{origin}: expected a mapping with frame, points, labels, box; got {prompt!r}.")
    _require_known(prompt, _PROMPT_KEYS, origin)
    frame = prompt.get("frame")
    if frame is not None and (not isinstance(frame, int) or isinstance(frame, bool) or frame < 0):
        raise InvalidInputError(f"{origin}: frame must be a whole number from 0; got {frame!r}.")
    points, box = prompt.get("points") or [], prompt.get("box")
    if not isinstance(points, list):
        raise InvalidInputError(f"{origin}: points must be a list of [x, y]; got {points!r}.")
    if not points and box is None:
        raise InvalidInputError(f"{origin}: there are neither points nor a box.")
    labels = prompt.get("labels", [1] * len(points))
    if not isinstance(labels, list) or len(labels) != len(points) or any(label not in (0, 1) for label in labels):
        raise InvalidInputError(
            f"{origin}: labels must hold 1 (on the object) or 0 (background) for each of the {len(points)} points; got "
            f"{labels!r}."
        )
    for point, label in zip(points, labels, strict=True):
        x, y = _numbers(point, 2, f"{origin}: a point must be [x, y]")
        yield WrittenPrompt((x, y), object_id, frame, int(label), f"{x:g},{y:g}", origin)
    if box is not None:
        corners = _numbers(box, 4, f"{origin}: box must be [x0, y0, x1, y1]")
        yield WrittenPrompt(corners, object_id, frame, 1, ",".join(f"{value:g}" for value in corners), origin)


def _coco(content: Mapping[str, Any], name: str) -> Iterator[WrittenPrompt]:
    images, annotations = content.get("images", []), content["annotations"]
    if not isinstance(images, list) or not isinstance(annotations, list) or not annotations:
        raise InvalidInputError(f"{name}: images and annotations of COCO must be lists, with at least one annotation.")
    frames: dict[Any, int] = {}
    for number, image in enumerate(images):
        if not isinstance(image, Mapping) or "id" not in image:
            raise InvalidInputError(f"{name}, images[{number}]: expected a mapping with an id.")
        frames[image["id"]] = number
    for number, annotation in enumerate(annotations):
        origin = f"{name}, annotations[{number}]"
        if not isinstance(annotation, Mapping):
            raise InvalidInputError(f"{origin}: expected a mapping; got {annotation!r}.")
        x, y, width, height = _numbers(annotation.get("bbox"), 4, f"{origin}: bbox must be [x, y, width, height]")
        image_id = annotation.get("image_id")
        if frames and image_id not in frames:
            raise InvalidInputError(f"{origin}: image_id {image_id!r} is not among the images.")
        object_id = annotation.get("track_id", annotation.get("id"))
        if object_id is not None and (not isinstance(object_id, int) or isinstance(object_id, bool)):
            raise InvalidInputError(f"{origin}: the id of an object must be a whole number; got {object_id!r}.")
        box = (x, y, x + width, y + height)
        text = ",".join(f"{value:g}" for value in box)
        yield WrittenPrompt(box, object_id, frames.get(image_id), 1, text, origin)


def _numbers(value: Any, count: int, what: str) -> tuple[float, ...]:
    fits = isinstance(value, Sequence) and not isinstance(value, str) and len(value) == count
    if not fits or not all(isinstance(number, int | float) and math.isfinite(number) for number in value):
        raise InvalidInputError(f"{what}, in pixels; got {value!r}.")
    return tuple(float(number) for number in value)


def _require_known(mapping: Mapping[str, Any], known: set[str], origin: str) -> None:
    unknown = sorted(set(mapping) - known)
    if unknown:
        raise InvalidInputError(
            f"{origin}: {', '.join(unknown)} is not known here. Expected {', '.join(sorted(known))}; for example "
            f"{_EXAMPLE}."
        )
