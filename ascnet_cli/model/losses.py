"""What the network is trained by: eqs. 8 and 10 to 12, each a pure function over a padded batch.

Axes as in `ascnet_cli.model.equations`; A action classes, so that C = A + 1 with the background at
index 0. What lies beyond a video's end reaches no loss. Nothing here waits for the device.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional

from ascnet_cli.config_training import GuideReduction, LossConfig, NceTarget
from ascnet_cli.model.ascnet import AscNetOutput
from ascnet_cli.model.equations import BACKGROUND, CONTEXT, FOREGROUND

SMALLEST_PROBABILITY = 1e-8  # its logarithm is the largest loss that a class can give


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Losses:
    """The loss of one batch and its terms, before their weights; None is a term that is switched off."""

    total: Float[Tensor, ""]
    fg: Float[Tensor, ""] | None
    ct: Float[Tensor, ""] | None
    bg: Float[Tensor, ""] | None
    nce: Float[Tensor, ""] | None
    gui: Float[Tensor, ""] | None

    def present(self) -> Iterator[tuple[str, Tensor]]:
        """The total and every term that is switched on, by name."""
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                yield field.name, value


def class_targets(actions_BA: Bool[Tensor, "b a"]) -> Float[Tensor, "b 3 c"]:
    """Below eq. 8: y_fg (the actions), y_ct (actions and background), y_bg (background), each of sum 1.

    A video without any action has y_fg = 0: its foreground gives no loss.
    """
    actions = functional.pad(actions_BA.float(), (1, 0))
    background = functional.one_hot(torch.zeros_like(actions[:, 0], dtype=torch.long), actions.shape[1])
    branches = {FOREGROUND: actions, CONTEXT: actions + background, BACKGROUND: background.float()}
    y_BNC = torch.stack([branches[n] for n in sorted(branches)], dim=1)
    return y_BNC / y_BNC.sum(dim=2, keepdim=True).clamp(min=1)


def classification_loss(y_BC: Float[Tensor, "b c"], target_BC: Float[Tensor, "b c"]) -> Float[Tensor, ""]:
    """Eq. 8 for one branch: cross-entropy of video-level probabilities.

    Summed over the classes and averaged over the videos. (A mean over the classes would divide the loss
    by 201 on ActivityNet and leave the other terms as they are.)

    Args:
        y_BC: probabilities of the C + 1 classes.
        target_BC: labels whose sum is 1.
    """
    return -(target_BC * y_BC.clamp(min=SMALLEST_PROBABILITY).log()).sum(dim=1).mean()


def snippet_classes(
    v_BTC: Float[Tensor, "b t c"], actions_BA: Bool[Tensor, "b a"], target: NceTarget
) -> Int64[Tensor, "b t"]:
    """In eq. 10: argmax_c v(t), the class that each snippet is taken for; carries no gradient.

    Args:
        v_BTC: the class activation sequence, raw logits.
        actions_BA: the actions that each video's labels name.
        target: `any` class may be taken, or the video's `labels` and the background alone.
    """
    scores_BTC = v_BTC.detach()
    if target == "labels":
        allowed_BC = functional.pad(actions_BA, (1, 0), value=True)
        scores_BTC = scores_BTC.masked_fill(~allowed_BC.unsqueeze(1), -torch.inf)
    return scores_BTC.argmax(dim=2)


def contrastive_loss(
    u_BTD: Float[Tensor, "b t d"],
    queries_BCD: Float[Tensor, "b c d"],
    class_BT: Int64[Tensor, "b t"],
    valid_BT: Bool[Tensor, "b t"],
    temperature: float,
) -> Float[Tensor, ""]:
    """Eq. 10: InfoNCE between snippets and the queries of the classes that they are taken for.

    The mean over a video's own snippets, then over the videos.

    Args:
        u_BTD: the snippets' embedding, each row of unit length.
        queries_BCD: g' of eq. 9, a set a video.
        class_BT: from `snippet_classes`.
        valid_BT: the snippets that exist.
        temperature: similarities are divided by it; 1 is the printed equation.
    """
    similarity_BCT = torch.bmm(queries_BCD, u_BTD.transpose(1, 2)) / temperature
    loss_BT = functional.cross_entropy(similarity_BCT, class_BT, reduction="none")
    return _mean_over_snippets(loss_BT, valid_BT).mean()


def guide_loss(
    attention_BT: Float[Tensor, "b t"],
    background_BT: Float[Tensor, "b t"],
    valid_BT: Bool[Tensor, "b t"],
    *,
    detach: bool,
    reduction: GuideReduction,
) -> Float[Tensor, ""]:
    """Eq. 11: |1 - a_fg - the class-aware branch's background probability|, then the mean over videos.

    Args:
        attention_BT: a_fg.
        background_BT: Z_fg[t, 0] as printed, or softmax(v)[t, 0]: `AscNetOutput.guide_BT`.
        valid_BT: the snippets that exist.
        detach: the attention receives no gradient.
        reduction: over a video's own snippets.
    """
    if detach:
        attention_BT = attention_BT.detach()
    apart_BT = (1 - attention_BT - background_BT).abs()
    if reduction == "mean":
        return _mean_over_snippets(apart_BT, valid_BT).mean()
    return apart_BT.masked_fill(~valid_BT, 0).sum(dim=1).mean()


def total_loss(
    output: AscNetOutput,
    queries_BCD: Float[Tensor, "b c d"] | None,
    actions_BA: Bool[Tensor, "b a"],
    config: LossConfig,
) -> Losses:
    """Eq. 12: the weighted sum of the terms; those of weight 0 are left out altogether.

    Args:
        output: of the network.
        queries_BCD: g' of eq. 9; may be None where the contrastive loss is off.
        actions_BA: the actions that each video's labels name.
        config: weights and options.

    Raises:
        ValueError: the contrastive loss is on and there are no queries.
    """
    target_BNC = class_targets(actions_BA)

    def classification(branch: int, weight: float) -> Tensor | None:
        return classification_loss(output.y_BNC[:, branch], target_BNC[:, branch]) if weight else None

    nce = gui = None
    if config.weight_nce:
        if queries_BCD is None:
            raise ValueError("the contrastive loss is on, and needs the queries of eq. 9")
        class_BT = snippet_classes(output.v_BTC, actions_BA, config.nce_target)
        nce = contrastive_loss(output.u_BTD, queries_BCD, class_BT, output.valid_BT, config.nce_temperature)
    if config.weight_gui:
        gui = guide_loss(
            output.attention_BNT[:, FOREGROUND],
            output.guide_BT,
            output.valid_BT,
            detach=config.guide_detach,
            reduction=config.guide_reduction,
        )
    terms = {
        "fg": classification(FOREGROUND, config.weight_fg),
        "ct": classification(CONTEXT, config.weight_ct),
        "bg": classification(BACKGROUND, config.weight_bg),
        "nce": nce,
        "gui": gui,
    }
    weighted = [getattr(config, f"weight_{name}") * term for name, term in terms.items() if term is not None]
    return Losses(total=torch.stack(weighted).sum(), **terms)


def _mean_over_snippets(
    values_BT: Float[Tensor, "b t"], valid_BT: Bool[Tensor, "b t"]
) -> Float[Tensor, " b"]:
    """Each video's mean over its own snippets."""
    return values_BT.masked_fill(~valid_BT, 0).sum(dim=1) / valid_BT.sum(dim=1)
