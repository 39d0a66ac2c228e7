"""Forms of their own in a notebook, made from the hooks' typed signatures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from magicgui.application import Application
from magicgui.widgets import ComboBox, Container, Label, PushButton, Widget, create_widget

from sam2_core.errors import Sam2Error
from sam2_core.hooks import Propagator, get_plugins, options_of
from sam2_core.session.job import Job
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
    """

    def __init__(self, functions: dict[str, Callable[..., Any]], start: Callable[..., Job], button: str) -> None:
        self._functions = functions
        self._start = start
        with notebook_backend():
            self.choice = ComboBox(name="how", choices=list(functions), value=next(iter(functions)))
            self.options: Container[Widget] = Container(labels=True)
            self.button = PushButton(text=button)
            self.message = Label(value="")
            self.root: Container[Widget] = Container(
                widgets=[self.choice, self.options, self.button, self.message], labels=True
            )
        self.choice.changed.connect(self._chosen)
        self.button.changed.connect(self.run)
        self._chosen()

    def run(self) -> Job | None:
        """Start the job; what is wrong with the options is said in the form."""
        values = {one.name: one.value for one in self.options}  # type: ignore[attr-defined]
        try:
            job = self._start(str(self.choice.value), **values)
        except Sam2Error as error:
            self.message.value = str(error)
            return None
        job.changed.connect(self._show)
        self._show(job)
        return job

    def _chosen(self) -> None:
        function = self._functions[str(self.choice.value)]
        with notebook_backend():
            made = [
                create_widget(value=option.default, annotation=option.annotation, name=option.name)
                for option in options_of(function)
                if option.name != DIRECTION
            ]
            self.options.clear()
            self.options.extend(made)

    def _show(self, job: Job) -> None:
        count = f" {job.done} of {job.total}" if job.total else ""
        reason = f": {job.error}" if job.error is not None else ""
        self.message.value = f"{job.label}: {job.state}{count}{reason}"

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.root.native)  # type: ignore[no-untyped-call]


def propagation_form(widget: AnnotationWidget, objects: Literal["selected", "all"] = "all") -> OptionsForm:
    """Make a form that propagates a widget's objects, with every propagator there is and its options.

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
        return widget.session.start_propagate(chosen, propagator=propagator, **options)

    return OptionsForm(found, start, "Propagate")


@contextmanager
def notebook_backend() -> Iterator[None]:
    """Let magicgui make widgets for notebooks meanwhile, whatever it makes otherwise (Qt's, beside napari)."""
    before = Application._instance
    Application._instance = Application("ipynb")
    try:
        yield
    finally:
        Application._instance = before
