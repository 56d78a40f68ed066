"""What a run leaves in its folder while it goes on: events, checkpoints, the chosen network, its card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ascnet_cli.model.ascnet import AscNet
from ascnet_cli.model.checkpoint import save_checkpoint
from ascnet_cli.training.checkpoint import Best, TrainingState, newest_state, save_state
from ascnet_cli.training.environment import changes, environment
from ascnet_cli.training.model_card import read_facts, write_model_card
from ascnet_cli.training.parallel import Ranks
from ascnet_cli.training.run_folder import RunFolder, Tables
from ascnet_cli.training.seeding import random_state


@dataclass(slots=True, eq=False)
class Record:
    """The folder of a run, written by the first process; of the others nothing is written anywhere.

    Args:
        run: the folder.
        ranks: the processes.
        device: where this one computes.
        labels: names of the action classes.
        recipe: how the features were made.
        localization: from scores to segments, where it is not the preset's.
    """

    run: Path
    ranks: Ranks
    device: torch.device
    labels: tuple[str, ...]
    recipe: Mapping[str, object]
    localization: Mapping[str, Any]
    notes: list[str] = field(default_factory=list)
    _folder: RunFolder | None = None

    def open(self, tables: Tables, *, resume: bool) -> TrainingState | None:
        """Begins the run, or takes it up; `notes` says what a person should know of where it goes on.

        Returns:
            What the run goes on from; None from its beginning, or in another process than the first.

        Raises:
            OptionError: the run was begun with other settings.
            CheckpointError: it is damaged.
            OutputError: the folder cannot be written to, holds another run, or another process trains in it.
            StorageError: the disk is full.
        """
        if not self.ranks.first:
            return None
        folder = self._folder = RunFolder(self.run)
        folder.hold()
        state = newest_state(folder.checkpoints, self.device) if resume else None
        here = environment(self.device, self.ranks.n)
        if resume:
            folder.sweep()
        if resume and folder.begun:
            folder.resume(tables, state.step if state else 0)
            changed = changes(folder.environment(), here)
            self.notes += [changed] if changed else []
        else:
            folder.begin(tables)
        folder.note_environment(here)
        return state

    def close(self) -> None:
        """Lets other processes train in the folder again."""
        if self._folder is not None:
            self._folder.release()

    def event(self, kind: str, **content: object) -> None:
        """Adds a line to the record of events."""
        if self._folder is not None:
            self._folder.event(kind, **content)

    def save(self, step: int, model: AscNet, optimiser: torch.optim.Optimizer, best: Best | None) -> None:
        """The pair of a step, to be taken up again from."""
        if self._folder is not None:
            save_state(
                self._folder.checkpoints,
                step=step,
                model=model,
                optimiser=optimiser,
                random=random_state(self.device),
                best=best,
                labels=self.labels,
                recipe=self.recipe,
                localization=self.localization,
            )

    def choose(self, step: int, model: AscNet, validation_map: float | None) -> None:
        """Keeps the network as the chosen one."""
        if self._folder is not None:
            save_checkpoint(
                self._folder.best,
                model,
                labels=self.labels,
                recipe=self.recipe,
                localization=self.localization,
                extra={"step": step, "validation_map": validation_map},
            )

    def write_card(self, *, anew: bool) -> None:
        """The model card; one that is there is kept unless it is to be written `anew`."""
        if self._folder is not None and (anew or not self._folder.card.exists()):
            write_model_card(self.run, read_facts(self.run))

    def chosen(self) -> Path | None:
        """The chosen network, if any was chosen; in every process."""
        path = self.run / RunFolder.BEST
        return path if self.ranks.any(self.ranks.first and path.exists()) else None
