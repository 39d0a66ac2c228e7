"""Errors raised on purpose.

Every error is a :class:`Sam2Error` and also the closest builtin, so that callers may catch either. A message says what
was expected, what came instead, and what to do about it.
"""

from __future__ import annotations


class Sam2Error(Exception):
    """Base of all errors this project raises on purpose."""


class InvalidInputError(Sam2Error, ValueError):
    """A value is outside what the call accepts (shape, range, NaN, counts that differ)."""


class InvalidTypeError(Sam2Error, TypeError):
    """A value has the wrong type or dtype."""


class StateError(Sam2Error, RuntimeError):
    """A call came before the call it depends on, or after the moment it was possible."""


class DivergedError(StateError, FloatingPointError):
    """Training reached a loss that is not a finite number; the last checkpoint is intact."""


class MissingFileError(Sam2Error, FileNotFoundError):
    """A file or folder that was named does not exist."""


class DestinationExistsError(Sam2Error, FileExistsError):
    """What is to be written exists already, and neither overwriting nor continuing was asked for."""


class WriteError(Sam2Error, OSError):
    """Results could not be written (disk full, no permission); what was written before is intact."""


class UnknownModelError(Sam2Error, LookupError):
    """No model of that name is in the catalogue."""


class CheckpointError(Sam2Error, ValueError):
    """A checkpoint is damaged, unsafe to read, or belongs to another model."""


class ConfigError(Sam2Error, ValueError):
    """A model configuration is missing, malformed, or names a target that is not allowed."""


class DownloadError(Sam2Error, OSError):
    """A download failed or delivered something else than what was asked for."""


class MissingDependencyError(Sam2Error, ImportError):
    """An optional library is needed for this call and is not installed."""


class PluginError(Sam2Error, RuntimeError):
    """A plugin failed, or there is none that adds what was asked for."""


class WorkerError(Sam2Error, RuntimeError):
    """The process or thread that computes for a session failed: it crashed, hung, or met something unexpected."""


class WaitTimeoutError(Sam2Error, TimeoutError):
    """Something did not end in the time that was given; it goes on."""
