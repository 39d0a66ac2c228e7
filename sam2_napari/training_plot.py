"""The curves of a training: the loss of each step, and how good the model is on the frames held back."""

from __future__ import annotations

from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from sam2_core.session.training_record import Curve

#: Both can be told apart on a dark and on a light ground, and by who does not see red or green.
LOSS, IOU = QColor("#3f8fd2"), QColor("#e07b1f")
LEFT, RIGHT, TOP, BOTTOM = 44, 30, 22, 20


class TrainingPlot(QWidget):
    """Two curves over the steps: the loss with its scale at the left, one-click IoU from 0 to 1 at the right.

    Parameters
    ----------
    parent : QWidget, optional
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.losses: Curve = []
        self.ious: Curve = []
        self.setMinimumHeight(150)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip("The lower the loss, and the higher the IoU, the better.")
        self.show_curves([], [])

    def show_curves(self, losses: Curve, ious: Curve) -> None:
        """Show other curves: (step, value) in the order of the steps."""
        self.losses, self.ious = losses, ious
        parts = [f"loss {losses[-1][1]:.3f}"] if losses else []
        parts += [f"one-click IoU {ious[-1][1]:.3f}"] if ious else []
        self.setAccessibleName(f"step {self._last_step}: {', '.join(parts)}" if parts else "no step yet")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the frame, the scales and the curves."""
        text = self.palette().color(self.foregroundRole())
        faint = QColor(text)
        faint.setAlpha(90)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = QRectF(self.rect()).adjusted(LEFT, TOP, -RIGHT, -BOTTOM)
        painter.setPen(faint)
        painter.drawRect(area)
        low, high = _limits(self.losses)
        font = painter.font()
        font.setPointSizeF(max(7.0, font.pointSizeF() * 0.85))
        painter.setFont(font)
        self._write_scales(painter, area, (low, high), text)
        _draw_curve(painter, _placed(self.losses, area, self._last_step, low, high), LOSS, dots=False)
        _draw_curve(painter, _placed(self.ious, area, self._last_step, 0.0, 1.0), IOU, dots=True)
        painter.end()

    @property
    def _last_step(self) -> int:
        return max((curve[-1][0] for curve in (self.losses, self.ious) if curve), default=0)

    def _write_scales(self, painter: QPainter, area: QRectF, limits: tuple[float, float], text: QColor) -> None:
        left, right = Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight
        middle = Qt.AlignmentFlag.AlignVCenter
        head = QRectF(area.left(), 0, area.width(), TOP)
        painter.setPen(LOSS)
        painter.drawText(head, left | middle, f"loss {self.losses[-1][1]:.3f}" if self.losses else "loss")
        painter.setPen(IOU)
        painter.drawText(
            head, right | middle, f"one-click IoU {self.ious[-1][1]:.3f}" if self.ious else "one-click IoU"
        )
        painter.setPen(text)
        for value, share in ((limits[1], 0.0), (limits[0], 1.0)):
            place = QRectF(0, area.top() + share * area.height() - 8, LEFT - 6, 16)
            if self.losses:
                painter.drawText(place, right | middle, f"{value:.3g}")
            beside = QRectF(area.right() + 6, place.top(), RIGHT - 6, 16)
            painter.drawText(beside, left | middle, f"{1 - share:.0f}")
        foot = QRectF(area.left(), area.bottom(), area.width(), BOTTOM)
        painter.drawText(foot, left | middle, "0")
        painter.drawText(foot, right | middle, f"step {self._last_step}")


def _limits(curve: Curve) -> tuple[float, float]:
    """Lowest and highest value of a curve, not the same."""
    values = [value for _, value in curve] or [0.0]
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _placed(curve: Curve, area: QRectF, last: int, low: float, high: float) -> list[QPointF]:
    across, down = area.width() / max(1, last), area.height() / (high - low)
    return [QPointF(area.left() + step * across, area.bottom() - (value - low) * down) for step, value in curve]


def _draw_curve(painter: QPainter, points: list[QPointF], colour: QColor, *, dots: bool) -> None:
    painter.setPen(QPen(colour, 1.6))
    painter.drawPolyline(QPolygonF(points))
    if dots:
        painter.setBrush(colour)
        for point in points:
            painter.drawEllipse(point, 3, 3)
        painter.setBrush(Qt.BrushStyle.NoBrush)
