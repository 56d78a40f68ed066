"""How a worker process gets its extractor: a small value that can be sent, and makes it where it arrives."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from extractors.calibration import Calibration, calibrations_of
from extractors.errors import FeatureError
from extractors.flow_config import FlowConfig, RaftConfig, flow_recipe
from extractors.recipe import FeatureRecipe
from extractors.store import MadeFeatures
from extractors.video import LIMITS, Limits

if TYPE_CHECKING:
    from torch import Tensor


FLOW_NETWORK = "flow network"  # RAFT's weights, beside those of the streams


@runtime_checkable
class FeatureMaker(Protocol):
    """What makes features of one video: an `extractors.features.Extractor`."""

    def extract(
        self, path: Path, *, progress: Callable[[float, float | None], None] | None = None
    ) -> MadeFeatures:
        """See `Extractor.extract`."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A worker's place on its machine.

    Attributes:
        index: from 0; workers take graphics cards in turn by it.
        n_threads: that it may use.
    """

    index: int
    n_threads: int


@runtime_checkable
class ExtractorSource(Protocol):
    """Makes an extractor in the process that it was sent to."""

    @property
    def recipe(self) -> FeatureRecipe:
        """Of the features that it will make."""

    def build(self, seat: Seat) -> tuple[FeatureMaker, str]:
        """The extractor, and the name of the device where its networks run.

        Raises:
            AscnetError: it cannot be made here.
        """


@dataclass(frozen=True, slots=True)
class ExtractorSpec:
    """The extractor of a recipe.

    Attributes:
        recipe: of its features.
        weights: name or path of each stream's weights.
        flow: the recipe's flow algorithm, where there is a flow stream.
        flow_weights: name or path of RAFT's weights; empty for another algorithm.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        limits: larger and more damaged videos are refused.
    """

    recipe: FeatureRecipe
    weights: Mapping[str, str]
    flow: FlowConfig | None = None
    flow_weights: str = ""
    device: str = "auto"
    limits: Limits = LIMITS

    def build(
        self,
        seat: Seat,
        tensors: Mapping[str, dict[str, Tensor]] | None = None,
        calibrations: Mapping[str, Calibration] | None = None,
    ) -> tuple[FeatureMaker, str]:
        """Load the weights and set the networks up; see `ExtractorSource.build`.

        Args:
            seat: where.
            tensors: of each stream, and of `FLOW_NETWORK` where that is needed; None: from their files.
            calibrations: of each stream, for 8 bits; None: from their files.

        Raises:
            DeviceError: the device is not there.
            WeightsError: weights are missing, damaged, or have changed since the recipe was made.
        """
        # Imported here: the process that made this value needs no networks.
        import cv2
        import torch

        from extractors.device import resolve_device
        from extractors.features import Extractor
        from extractors.flow import make_flow

        torch.set_num_threads(seat.n_threads)
        cv2.setNumThreads(seat.n_threads)
        device = resolve_device(self.device)
        if device.type == "cuda" and self.device in ("auto", "cuda"):
            device = torch.device("cuda", seat.index % torch.cuda.device_count())
        tensors = self._load() if tensors is None else tensors
        flow = None
        if self.flow is not None:
            flow = make_flow(self.flow, device=device, tensors=tensors.get(FLOW_NETWORK))
        streams = {stream: tensors[stream] for stream in self.recipe.weights}
        maker = Extractor(
            self.recipe,
            streams,
            device=device,
            flow=flow,
            limits=self.limits,
            calibrations=calibrations,
        )
        return maker, str(device)

    def sent(self) -> SentWeights:
        """This with its weights and calibrations, for a machine that may not have their files.

        Raises:
            WeightsError: one of them is missing, damaged, or has changed since the recipe was made.
        """
        loaded = self._load()
        arrays = {
            stream: {name: tensor.numpy() for name, tensor in tensors.items()}
            for stream, tensors in loaded.items()
        }
        return SentWeights(self, arrays, calibrations_of(self.recipe))

    def _load(self) -> dict[str, dict[str, Tensor]]:
        """The tensors of each stream, and of RAFT as `FLOW_NETWORK`, from their files."""
        loaded = {
            stream: _tensors(self.weights[stream], sha256) for stream, sha256 in self.recipe.weights.items()
        }
        if isinstance(self.flow, RaftConfig):
            loaded[FLOW_NETWORK] = _tensors(self.flow_weights, None)
        return loaded


@dataclass(frozen=True, slots=True, eq=False)
class SentWeights:
    """An extractor's description that carries its weights; an `ExtractorSource`.

    Attributes:
        spec: all but the weights.
        arrays: of each stream, and of `FLOW_NETWORK` where that is needed.
        calibrations: of each stream, where the recipe says 8 bits; else empty.
    """

    spec: ExtractorSpec
    arrays: Mapping[str, Mapping[str, np.ndarray]]
    calibrations: Mapping[str, Calibration]

    @property
    def recipe(self) -> FeatureRecipe:
        """See `ExtractorSource.recipe`."""
        return self.spec.recipe

    def build(self, seat: Seat) -> tuple[FeatureMaker, str]:
        """See `ExtractorSource.build`."""
        import torch

        # Copied: what arrives may lie in memory that others read too.
        tensors = {
            stream: {name: torch.tensor(array) for name, array in arrays.items()}
            for stream, arrays in self.arrays.items()
        }
        return self.spec.build(seat, tensors, self.calibrations)


def _tensors(name: str, sha256: str | None) -> dict[str, Tensor]:
    from weights.errors import WeightsError
    from weights.store import load

    loaded = load(name)
    if sha256 is not None and loaded.sha256 != sha256:
        raise WeightsError(
            f"{name} is not the file any more that the recipe names: its sha256 is {loaded.sha256},"
            f" not {sha256}",
            hint="run the same command again",
        )
    return loaded.tensors


def flow_config_of(recipe: Mapping[str, Any]) -> FlowConfig:
    """The algorithm and parameters that made a recipe's `flow`.

    Raises:
        FeatureError: no algorithm that is known here makes just that recipe.
    """
    for kind in typing.get_args(FlowConfig):
        names = kind.__dataclass_fields__
        if set(names) <= recipe.keys():
            config: FlowConfig = kind(**{name: recipe[name] for name in names})
            if flow_recipe(config) == dict(recipe):
                return config
    raise FeatureError(
        f"the optical flow {recipe.get('algorithm')!r} with these parameters cannot be made here",
        hint="a newer ascnet may know it",
    )
