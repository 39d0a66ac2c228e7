"""A session in a script: click on a cell, track it, list what the review queue finds suspicious, export.

python examples/session_script.py STACK.tif X Y FRAME
"""

import sys

from sam2_core import open_volume
from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.session.review import ReviewQueue

path, x, y, frame = sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])

with AnnotationSession.create(open_volume(path).stack(), "my_session", model="sam2.1_hiera_micro") as session:
    cell = session.add_object("my cell")
    session.add_points(cell.id, frame, (x, y))
    session.segment(cell.id, frame)
    for done in session.propagate():
        print(f"frame {done}: {session.record(cell.id, done).area} pixels")
    for item in ReviewQueue(session).ranked(3):
        print(f"look at frame {item.frame}: {', '.join(item.reasons)}")
    session.start_export("my_labels.tif", overwrite=True).wait()
