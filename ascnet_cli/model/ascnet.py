"""ASC-Net: from the features of a video's snippets to what happens in them (section III of the paper).

Letters in names are axes: B videos, T snippets of the longest video, N = 3 branches (foreground,
context, background, in this order), D_in width of a feature row, D width of the embedding, C = C + 1
classes with the background at index 0. The background leaves the model nowhere: `Scores` has C columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor, nn
from torch.nn import functional

from ascnet_cli.config import NetworkConfig
from ascnet_cli.errors import FeatureError
from ascnet_cli.model.equations import (
    BACKGROUND_CLASS,
    FOREGROUND,
    class_probabilities,
    fused,
    pooled_features,
    top_k_mean,
    weighted_cas,
)
from ascnet_cli.model.layers import Dropout, unit_rows
from ascnet_cli.model.queries import SemanticQueries
from ascnet_cli.model.scores import Scores
from ascnet_cli.model.selector import select_snippets


@dataclass(frozen=True, eq=False, kw_only=True)
class AscNetOutput:
    """All that the losses and the inference read.

    Beyond a video's end masks are false, x is zero, and the other values along time mean nothing.

    Attributes:
        valid_BT: the snippets that exist.
        x_BTD: the embedding; zero beyond a video's end.
        attention_BNT: a_fg, a_ct, a_bg: sum to 1 at each snippet.
        v_BTC: the class activation sequence, raw logits.
        z_BNTC: eq. 2.
        omega_BNC: eq. 3.
        y_awa_BNC: eq. 4, the class-aware branch's video-level probabilities.
        selected_BNT: S_fg, S_ct, S_bg of eq. 6.
        y_ags_BNC: the class-agnostic branch's video-level probabilities.
        y_BNC: eq. 7, or the one branch that `NetworkConfig.variant` names.
        guide_BT: the background probability that eq. 11 compares 1 - a_fg with.
    """

    valid_BT: Bool[Tensor, "b t"]
    x_BTD: Float[Tensor, "b t d"]
    attention_BNT: Float[Tensor, "b 3 t"]
    v_BTC: Float[Tensor, "b t c"]
    z_BNTC: Float[Tensor, "b 3 t c"]
    omega_BNC: Float[Tensor, "b 3 c"]
    y_awa_BNC: Float[Tensor, "b 3 c"]
    selected_BNT: Bool[Tensor, "b 3 t"]
    y_ags_BNC: Float[Tensor, "b 3 c"]
    y_BNC: Float[Tensor, "b 3 c"]
    guide_BT: Float[Tensor, "b t"]

    @property
    def cas_BTC(self) -> Float[Tensor, "b t c"]:
        """Z_fg: softmax of z_fg over the classes; thresholds and eq. 13 read it."""
        return class_probabilities(self.z_BNTC[:, FOREGROUND])

    @cached_property
    def u_BTD(self) -> Float[Tensor, "b t d"]:
        """The embedding with rows of unit length: what the queries and eq. 10 read; computed once."""
        return unit_rows(self.x_BTD)


class AscNet(nn.Module):
    """The network of section III, for padded batches of videos.

    Every variant has every parameter, so that checkpoints of all variants have one layout: the head
    that a variant does not use receives no gradient. `queries` (eq. 9) is called by the contrastive loss
    with `AscNetOutput.u_BTD`; `forward` does not run it. `set_mean` must be called before training; the mean
    is part of the state.

    Args:
        config: dimensions and options.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        n_out = config.n_classes + 1
        self.mean_D: Tensor
        self.register_buffer("mean_D", torch.zeros(config.in_dim))
        self.embed_dropout = Dropout(config.embed_dropout)
        self.embed = nn.Conv1d(config.in_dim, config.embed_dim, kernel_size=3, padding=1)
        self.skip: nn.Module = (
            nn.Identity()
            if config.in_dim == config.embed_dim
            else nn.Conv1d(config.in_dim, config.embed_dim, kernel_size=1)
        )
        self.attention = nn.Conv1d(config.embed_dim, 3, kernel_size=1)
        self.dropout = Dropout(config.dropout)
        self.aware_head = nn.Linear(config.embed_dim, n_out)
        self.agnostic_head = nn.Linear(config.embed_dim, n_out)
        self.queries = SemanticQueries(n_out, config.embed_dim, config.query_dim, config.query_form)

    def set_mean(self, mean_D: Float[Tensor, " d_in"]) -> None:
        """Gives the network the mean of the training snippets' features, to be subtracted from all features.

        Args:
            mean_D: the mean; without `NetworkConfig.subtract_mean` nothing is ever subtracted.
        """
        if self.config.subtract_mean:
            self.mean_D.copy_(mean_D)

    def forward(self, features_BTD: Float[Tensor, "b t d_in"], valid_BT: Bool[Tensor, "b t"]) -> AscNetOutput:
        """Scores a batch of videos.

        Args:
            features_BTD: features, padded to the longest video with anything at all.
            valid_BT: true from index 0 to each video's own end; at least one snippet each.

        Raises:
            FeatureError: the features are not as wide as the model wants.
        """
        x_BTD, attention_BNT = self._attended(features_BTD, valid_BT)
        v_BTC = self.aware_head(self.dropout(x_BTD))
        z_BNTC, omega_BNC = self._class_aware(attention_BNT, v_BTC, valid_BT)
        selected_BNT, y_ags_BNC = self._class_agnostic(attention_BNT, v_BTC, x_BTD, valid_BT)
        y_awa_BNC = class_probabilities(omega_BNC)
        guiding_BTC = v_BTC if self.config.guide == "v" else z_BNTC[:, FOREGROUND]
        return AscNetOutput(
            valid_BT=valid_BT,
            x_BTD=x_BTD,
            attention_BNT=attention_BNT,
            v_BTC=v_BTC,
            z_BNTC=z_BNTC,
            omega_BNC=omega_BNC,
            y_awa_BNC=y_awa_BNC,
            selected_BNT=selected_BNT,
            y_ags_BNC=y_ags_BNC,
            y_BNC=self._video_prediction(y_ags_BNC, y_awa_BNC),
            guide_BT=class_probabilities(guiding_BTC)[..., BACKGROUND_CLASS],
        )

    def _attended(
        self, features_BTD: Float[Tensor, "b t d_in"], valid_BT: Bool[Tensor, "b t"]
    ) -> tuple[Float[Tensor, "b t d"], Float[Tensor, "b 3 t"]]:
        """What both branches read: the embedding and the attention.

        Raises:
            FeatureError: the features are not as wide as the model wants.
        """
        width, wanted = features_BTD.shape[2], self.config.in_dim
        if width != wanted:
            raise FeatureError(
                f"the features are {width} numbers wide; the model wants {wanted}",
                hint="extract features with the recipe that the model was trained on.",
            )
        x_BDT = self._embed(features_BTD.transpose(1, 2), valid_BT)
        return x_BDT.transpose(1, 2), self.attention(x_BDT).softmax(dim=1)

    def _class_aware(
        self,
        attention_BNT: Float[Tensor, "b 3 t"],
        v_BTC: Float[Tensor, "b t c"],
        valid_BT: Bool[Tensor, "b t"],
    ) -> tuple[Float[Tensor, "b 3 t c"], Float[Tensor, "b 3 c"]]:
        """Eq. 2 and 3."""
        z_BNTC = weighted_cas(attention_BNT, v_BTC)
        tops = [top_k_mean(z_BNTC[:, n], valid_BT, sigma) for n, sigma in enumerate(self.config.sigmas)]
        return z_BNTC, torch.stack(tops, dim=1)

    def _class_agnostic(
        self,
        attention_BNT: Float[Tensor, "b 3 t"],
        v_BTC: Float[Tensor, "b t c"],
        x_BTD: Float[Tensor, "b t d"],
        valid_BT: Bool[Tensor, "b t"],
    ) -> tuple[Bool[Tensor, "b 3 t"], Float[Tensor, "b 3 c"]]:
        """The selected snippets (eq. 6), and what the features pooled over them are of."""
        selected_BNT = select_snippets(
            self.config.selector, attention_BNT, v_BTC, valid_BT, self.config.sigmas
        )
        x_BND = pooled_features(attention_BNT, selected_BNT, x_BTD)
        return selected_BNT, class_probabilities(self.agnostic_head(x_BND))

    def _embed(
        self, features_BDT: Float[Tensor, "b d_in t"], valid_BT: Bool[Tensor, "b t"]
    ) -> Float[Tensor, "b d t"]:
        """The extra residual block of section III-A: x = X + ReLU(conv(X)), X after dropout.

        Zeros before and after the convolution: at a video's end it sees what it sees at the batch's.
        """
        beyond_B1T = ~valid_BT.unsqueeze(1)
        if self.config.subtract_mean:
            features_BDT = features_BDT - self.mean_D.unsqueeze(1)
        inner_BDT = self.embed_dropout(features_BDT.masked_fill(beyond_B1T, 0))
        embedded_BDT: Tensor = self.skip(inner_BDT) + functional.relu(self.embed(inner_BDT))
        # In place, since nothing else reads the sum: a copy of it takes time and memory in every step.
        return embedded_BDT.masked_fill_(beyond_B1T, 0)

    def _video_prediction(
        self, y_ags_BNC: Float[Tensor, "b 3 c"], y_awa_BNC: Float[Tensor, "b 3 c"]
    ) -> Float[Tensor, "b 3 c"]:
        """Eq. 7, or one branch alone (Tables VII and VIII)."""
        if self.config.variant == "class_aware":
            return y_awa_BNC
        if self.config.variant == "class_agnostic":
            return y_ags_BNC
        return fused(y_ags_BNC, y_awa_BNC)

    @torch.inference_mode()
    def score(self, features_TD: Float[np.ndarray, "t d"], labels: Sequence[str]) -> Scores:
        """Scores one video for localization (section III-F), in evaluation mode.

        With the variant `class_aware` the attention proposes nothing (all zero): Z_fg alone localizes.
        With `class_agnostic` each class's sequence is a_fg itself, since nothing else is trained: a_fg
        alone localizes, and y_fg alone names the class (section IV-C, Tables VII and VIII).

        Args:
            features_TD: one row a snippet.
            labels: the names of the C action classes.

        Raises:
            FeatureError: no rows, the wrong width, or numbers that are not finite.
        """
        if features_TD.ndim != 2 or len(features_TD) == 0:
            raise FeatureError(f"features must be a row a snippet, and at least one, not {features_TD.shape}")
        if not np.isfinite(features_TD).all():
            raise FeatureError("the features hold numbers that are not finite", hint="extract them again.")
        positions = inference_positions(len(features_TD), self.config.inference_snippets)
        device = self.attention.weight.device
        kept_TD = np.ascontiguousarray(features_TD[positions], dtype=np.float32)
        features_BTD = torch.from_numpy(kept_TD).to(device).unsqueeze(0)
        was_training = self.training
        self.eval()
        try:
            attention_T, cas_TC, video_C = self._scored(features_BTD)
        finally:
            self.train(was_training)
        return Scores(
            cas=_array(cas_TC[:, BACKGROUND_CLASS + 1 :]),
            attention=_array(attention_T),
            video=_array(video_C[BACKGROUND_CLASS + 1 :]),
            labels=tuple(labels),
            positions=positions,
        )

    def _scored(
        self, features_BTD: Float[Tensor, "1 t d_in"]
    ) -> tuple[Float[Tensor, " t"], Float[Tensor, "t c"], Float[Tensor, " c"]]:
        """Attention, class activation and prediction of one video, by the branches that the variant has.

        A branch that is not there is not computed, unlike in training, where losses may read it.
        """
        variant = self.config.variant
        valid_BT = torch.ones(features_BTD.shape[:2], dtype=torch.bool, device=features_BTD.device)
        x_BTD, attention_BNT = self._attended(features_BTD, valid_BT)
        foreground_T = attention_BNT[0, FOREGROUND]
        if variant == "class_agnostic":
            # No selector that this variant can have reads v.
            nothing_BTC = x_BTD.new_zeros(1).expand(*x_BTD.shape[:2], self.config.n_classes + 1)
            _, y_ags_BNC = self._class_agnostic(attention_BNT, nothing_BTC, x_BTD, valid_BT)
            return foreground_T, foreground_T[:, None].expand_as(nothing_BTC[0]), y_ags_BNC[0, FOREGROUND]
        v_BTC = self.aware_head(x_BTD)
        z_BNTC, omega_BNC = self._class_aware(attention_BNT, v_BTC, valid_BT)
        cas_TC = class_probabilities(z_BNTC[0, FOREGROUND])
        y_awa_BNC = class_probabilities(omega_BNC)
        if variant == "class_aware":
            return torch.zeros_like(foreground_T), cas_TC, y_awa_BNC[0, FOREGROUND]
        _, y_ags_BNC = self._class_agnostic(attention_BNT, v_BTC, x_BTD, valid_BT)
        return foreground_T, cas_TC, fused(y_ags_BNC, y_awa_BNC)[0, FOREGROUND]


def inference_positions(n_snippets: int, at_most: int | None) -> Int64[np.ndarray, " t"]:
    """The feature rows that inference looks at: all of them, or row floor(i T / L) for i < L."""
    if at_most is None or n_snippets <= at_most:
        return np.arange(n_snippets, dtype=np.int64)
    return np.arange(at_most, dtype=np.int64) * n_snippets // at_most


def _array(values: Tensor) -> Float32[np.ndarray, "*axes"]:
    """A tensor as a numpy array of float32, on the CPU and contiguous."""
    array: np.ndarray = np.ascontiguousarray(values.float().cpu().numpy())
    return array
