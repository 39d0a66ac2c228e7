"""Messages come out as they went in, and nothing else does."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_core.errors import InvalidTypeError, WorkerError
from sam2_core.session.mask_pixels import MaskPixels
from sam2_core.session.worker import messages
from sam2_core.session.worker.codec import decode, encode, read_message, write_message
from sam2_core.session.worker.messages import (
    FoundMask,
    FrameFound,
    FrameStatement,
    MaskData,
    ObjectStatement,
    Propagate,
    Stop,
)

numbers = st.integers(0, 2**40)
floats = st.floats(allow_nan=False)
masks = st.builds(MaskData, st.tuples(numbers, numbers, numbers, numbers), st.binary(max_size=40))
statements = st.builds(
    ObjectStatement,
    numbers,
    numbers,
    numbers,
    st.lists(
        st.builds(
            FrameStatement,
            numbers,
            st.lists(st.tuples(floats, floats), max_size=3).map(tuple),
            st.lists(st.integers(0, 1), max_size=3).map(tuple),
            st.none() | st.tuples(floats, floats, floats, floats),
            st.none() | masks,
            st.booleans(),
        ),
        max_size=3,
    ).map(tuple),
)
options = st.dictionaries(st.text(), st.none() | st.booleans() | numbers | floats | st.text(), max_size=3)
requests = st.builds(
    Propagate,
    numbers,
    st.lists(statements, max_size=3).map(tuple),
    st.lists(numbers).map(tuple),
    st.text(),
    st.none() | numbers,
    st.none() | numbers,
    options,
)
reports = st.builds(
    FrameFound,
    numbers,
    numbers,
    st.lists(st.builds(FoundMask, numbers, masks, st.none() | floats, st.none() | floats), max_size=4).map(tuple),
)


@settings(max_examples=25)
@given(requests | reports)
def test_a_message_comes_out_as_it_went_in(message: object) -> None:
    assert decode(encode(message)) == message


def test_a_request_within_a_request() -> None:
    work = Propagate(1, (ObjectStatement(2, 0, 3, (FrameStatement(4, ((1.5, 2.0),), (1,)),)),), (2,), "both")
    for message in (messages.Estimate(1, work), messages.Estimated(1, {"exact": 1.5, "crops": 2.5})):
        assert decode(encode(message)) == message


def test_a_stream_of_messages() -> None:
    stream = io.BytesIO()
    for message in (Stop(), messages.FramePixels(3, b"\0" * 1000), Stop()):
        write_message(stream, message)
    whole = stream.getvalue()

    stream = io.BytesIO(whole)
    assert [read_message(stream) for _ in range(4)] == [Stop(), messages.FramePixels(3, b"\0" * 1000), Stop(), None]
    assert read_message(io.BytesIO(whole[:5])) is None


@given(st.binary(max_size=60))
def test_nonsense_is_refused(data: bytes) -> None:
    with pytest.raises(WorkerError, match="no message"):
        decode(data)


def test_options_that_no_other_process_understands() -> None:
    packed = decode(encode(Propagate(1, (), (), "both", options={"a": np.float32(0.5), "b": Path("x"), "c": [1, 2]})))
    assert packed.options == {"a": 0.5, "b": "x", "c": (1, 2)}
    with pytest.raises(InvalidTypeError, match="in another process"):
        encode(Propagate(1, (), (), "both", options={"a": object()}))


def test_masks_travel_packed() -> None:
    mask = np.zeros((9, 12), bool)
    mask[2:5, 3:9] = True
    for one in (MaskPixels.cut(mask), MaskPixels.empty()):
        assert MaskData.of(one).mask().same_as(one)
