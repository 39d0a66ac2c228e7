"""The built-in commands, registered through the hook by which plugins add theirs."""

from __future__ import annotations

from collections.abc import Iterable

from sam2_core.hooks import CliCommand, hookimpl


@hookimpl
def sam2_cli_commands() -> Iterable[CliCommand]:
    """List them in the order in which the help shows them."""
    # plugins are listed in programs too, where nobody wants a command line to be loaded
    from sam2_core.cli import (
        checkpoint,
        convert,
        demo,
        doctor,
        download,
        embed,
        evaluate,
        everything,
        finetune,
        info,
        open_in,
        plugins,
        segment,
        track,
        train,
    )

    return [
        CliCommand("segment", "prompted objects in one picture", function=segment.segment),
        CliCommand("track", "prompted objects through a stack", function=track.track),
        CliCommand("everything", "all objects in one picture", function=everything.everything),
        CliCommand("embed", "image features ahead of work", function=embed.embed),
        CliCommand("open", "a stack or a session, to look at and to work on", function=open_in.open_in),
        CliCommand("finetune", "a model, on labels of one's own", function=finetune.finetune),
        CliCommand("train", "a model, as a configuration says", function=train.train),
        CliCommand("evaluate", "masks, compared with the truth", function=evaluate.evaluate),
        CliCommand("convert", "labels from one format to another", function=convert.convert),
        CliCommand("checkpoint", "weights from one format to another", function=checkpoint.checkpoint),
        CliCommand("demo", "what this does, on a drawn stack", function=demo.demo),
        CliCommand("info", "models and what is known of them", function=info.info),
        CliCommand("doctor", "check this installation", function=doctor.doctor),
        CliCommand("download", "fetch a checkpoint", function=download.download),
        CliCommand("plugins", "plugins and what is wrong with them", function=plugins.plugins),
    ]
