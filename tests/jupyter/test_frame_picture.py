"""The picture of a session's frame."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_core.errors import InvalidInputError
from sam2_jupyter.frame_picture import picture
from tests.jupyter.fake_worker import fake_session


def test_masks_and_prompts_are_drawn_over_the_frame() -> None:
    with fake_session() as session:
        one = session.add_object(colour="#ff0000")
        mask = np.zeros(session.frame_size, bool)
        mask[80:100, 20:60] = True
        session.paint(one.id, 2, mask)
        session.add_points(one.id, 2, (100, 30))
        drawn = np.asarray(picture(session, 2))

        assert drawn.shape == (360, 480, 3)
        assert drawn[240, 100].tolist() == [255, 0, 0]  # its outline
        red, green, blue = drawn[270, 120].tolist()
        assert red > 40 > green == blue
        assert drawn[91, 301].tolist() == [43, 212, 107]
        assert drawn[330, 400].tolist() == [40, 40, 40]
        with pytest.raises(InvalidInputError, match="no frame"):
            picture(session, 99)
