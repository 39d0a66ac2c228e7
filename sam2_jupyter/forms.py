"""Forms of their own in a notebook, made from the hooks' typed signatures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from magicgui.application import Application
from magicgui.widgets import ComboBox, Container, Label, LineEdit, PushButton, Widget, create_widget

from sam2_core.errors import Sam2Error
from sam2_core.hooks import Option, Propagator, Recipe, get_plugins, options_of
from sam2_core.hooks.options import parsed_options
from sam2_core.session.job import Job
from sam2_core.session.training_labels import LearnedMasks
from sam2_jupyter.option_fields import field_of
from sam2_jupyter.widget import AnnotationWidget

#: Chosen by the form itself: an option named so gets the direction that a person chose.
DIRECTION = "direction"


class OptionsForm:
    """A form of the options of one out of several contributions, with a button that uses it.

    Displayed in a notebook like any widget.

    Parameters
    ----------
    functions : dict of str to callable
        By the name that is chosen; the keyword-only parameters of each are its options.
    start : callable
        Called with the name and the options; returns the job that was started.
    button : str
        What the button says.
    common : callable, optional
        Its keyword-only parameters are options of them all.
    ended : callable, optional
        Called with a job that is done; returns what the form says of it.
    """

    def __init__(
        self,
        functions: dict[str, Callable[..., Any]],
        start: Callable[..., Job],
        button: str,
        *,
        common: Callable[..., Any] | None = None,
        ended: Callable[[Job], str] | None = None,
    ) -> None:
        self._functions = functions
        self._start = start
        self._ended = ended
        self.job: Job | None = None
        with notebook_backend():
            self.choice = ComboBox(name="how", choices=list(functions), value=next(iter(functions)))
            self.options: Container[Widget] = Container(labels=True)
            self.common: Container[Widget] = Container(widgets=_widgets_of(common) if common else [], labels=True)
            self.button = PushButton(text=button)
            self.stop_button = PushButton(text="Stop", enabled=False)
            self.message = Label(value="")
            self.root: Container[Widget] = Container(
                widgets=[
                    self.choice,
                    *([self.common] if common else []),
                    self.options,
                    self.button,
                    self.stop_button,
                    self.message,
                ],
                labels=True,
            )
        self.choice.changed.connect(self._chosen)
        self.button.changed.connect(self.run)
        self.stop_button.changed.connect(self.stop)
        self._chosen()

    def run(self) -> Job | None:
        """Start the job; what is wrong with the options is said in the form."""
        try:
            job = self._start(str(self.choice.value), **self._values())
        except Sam2Error as error:
            self.message.value = str(error)
            return None
        self.job = job
        job.changed.connect(self._show)
        self._show(job)
        return job

    def stop(self) -> None:
        """End the job early, and keep what it has come to."""
        if self.job is not None:
            self.job.stop()

    def _values(self) -> dict[str, Any]:
        """The options as they were entered; where a number may be left out, an empty field leaves it out."""
        values: dict[str, Any] = {one.name: one.value for one in self.common}  # type: ignore[attr-defined]
        function = self._functions[str(self.choice.value)]
        known = {option.name: option for option in options_of(function)}
        for one in self.options:
            value = one.value  # type: ignore[attr-defined]
            if not _may_be_left_out(known[one.name]):
                values[one.name] = value
            elif value.strip():
                values |= parsed_options(function, {one.name: value.strip()})
        return values

    def _chosen(self) -> None:
        function = self._functions[str(self.choice.value)]
        with notebook_backend():
            made = _widgets_of(function)
            self.options.clear()
            self.options.extend(made)

    def _show(self, job: Job) -> None:
        count = f" {job.done} of {job.total}" if job.total else ""
        reason = f": {job.error}" if job.error is not None else ""
        more = f": {self._ended(job)}" if self._ended is not None and job.state == "done" else ""
        self.message.value = f"{job.label}: {job.state}{count}{reason}{more}"
        self.button.enabled, self.stop_button.enabled = not job.is_active, job.is_active

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.root.native)  # type: ignore[no-untyped-call]


def propagation_form(widget: AnnotationWidget, objects: Literal["selected", "all"] = "all") -> OptionsForm:
    """Make a form that propagates a widget's objects, with every propagator there is and its options.

    In z-stacks over time it goes from the frame that the widget shows, along z or along t.

    Parameters
    ----------
    widget : AnnotationWidget
    objects : {"all", "selected"}
        All that have a prompt, or the chosen one.

    Returns
    -------
    OptionsForm
    """
    found = {name: one.contribution.propagate for name, one in get_plugins().contributions(Propagator).items()}

    def start(propagator: str, **options: Any) -> Job:
        chosen = [widget.selected] if objects == "selected" else None
        begin = widget.frame if has_two_axes else None
        return widget.session.start_propagate(chosen, propagator=propagator, start=begin, **options)

    has_two_axes = widget.session.grid is not None
    return OptionsForm(found, start, "Propagate", common=_line_options if has_two_axes else None)


def fine_tune_form(widget: AnnotationWidget) -> OptionsForm:
    """Make a form that fine-tunes a widget's model on its masks, with every recipe there is and its options.

    The new model is used at once; Stop keeps the best so far. The widget shows the curves.

    Parameters
    ----------
    widget : AnnotationWidget

    Returns
    -------
    OptionsForm
    """
    found = {name: one.contribution.train for name, one in get_plugins().contributions(Recipe).items()}

    def start(recipe: str, *, budget: str, masks: LearnedMasks, hold_back: bool, **options: Any) -> Job:
        held = None if hold_back else ()
        return widget.session.start_train(recipe, budget, masks=masks, validation_frames=held, **options)

    def ended(job: Job) -> str:
        record = job.training
        assert record is not None
        gain = "" if record.best is None else f", one-click IoU {record.before:.3f} before, {record.best:.3f} now"
        return f"{record.model} is used from now on{gain}"

    return OptionsForm(found, start, "Fine-tune", common=_training_options, ended=ended)


def _line_options(*, along: Literal["z", "t"] = "z") -> None:
    """Name the option of a propagation in z-stacks over time."""


def _training_options(
    *, budget: str = "5 min", masks: Literal["accepted", "all"] = "accepted", hold_back: bool = True
) -> None:
    """Name the options of a training that are the same for every recipe."""


def _widgets_of(function: Callable[..., Any]) -> list[Widget]:
    """A widget for each option of a function; within :func:`notebook_backend`."""
    return [
        LineEdit(value="" if option.default is None else str(option.default), name=option.name)
        if _may_be_left_out(option)
        else create_widget(value=option.default, annotation=option.annotation, name=option.name)
        for option in options_of(function)
        if option.name != DIRECTION
    ]


def _may_be_left_out(option: Option) -> bool:
    """Whether it is a number or None, for which magicgui has no widget of its own."""
    field = field_of(option)
    return bool(field["optional"]) and field["kind"] in ("int", "float")


@contextmanager
def notebook_backend() -> Iterator[None]:
    """Let magicgui make widgets for notebooks meanwhile, whatever it makes otherwise (Qt's, beside napari)."""
    before = Application._instance
    Application._instance = Application("ipynb")
    try:
        yield
    finally:
        Application._instance = before
