"""The network's equations, each a pure function over a padded batch of videos.

Letters in names are axes: B videos, T snippets of the longest video, N = 3 branches (foreground,
context, background, in this order), D width of the embedding, C = C + 1 classes with the background at
index 0. `valid_BT` is true where a video has a snippet, in one run from index 0; each video has at
least one. What lies beyond a video's end never reaches a result for the part before it. Nothing here
waits for the device.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

FOREGROUND, CONTEXT, BACKGROUND = 0, 1, 2  # along the axis N
BACKGROUND_CLASS = 0  # along the axis C
EPSILON = 1e-8  # keeps eq. 1 finite where a branch attends to nothing


def snippets_pooled(valid_BT: Bool[Tensor, "b t"], sigma: int) -> Int[Tensor, " b"]:
    """Below eq. 3: k = max(floor(T / sigma), 1), from each video's own length."""
    return (valid_BT.sum(dim=1) // sigma).clamp(min=1)


def weighted_cas(
    attention_BNT: Float[Tensor, "b 3 t"], v_BTC: Float[Tensor, "b t c"]
) -> Float[Tensor, "b 3 t c"]:
    """Eq. 2: z_b = a_b v, raw logits."""
    return attention_BNT.unsqueeze(3) * v_BTC.unsqueeze(1)


def top_k_mean(
    z_BTC: Float[Tensor, "b t c"], valid_BT: Bool[Tensor, "b t"], sigma: int
) -> Float[Tensor, "b c"]:
    """Eq. 3: omega[c], the mean of the k largest activations of class c over time.

    Videos of one batch have different k: the largest k that the padded length allows is taken for all,
    and the ranks above a video's own k are left out of its mean.
    """
    k_B = snippets_pooled(valid_BT, sigma)
    k_max = max(z_BTC.shape[1] // sigma, 1)
    best_BKC = z_BTC.masked_fill(~valid_BT.unsqueeze(2), -torch.inf).topk(k_max, dim=1).values
    within_BK = torch.arange(k_max, device=z_BTC.device) < k_B.unsqueeze(1)
    return best_BKC.masked_fill(~within_BK.unsqueeze(2), 0).sum(dim=1) / k_B.unsqueeze(1)


def class_probabilities(logits: Float[Tensor, "*axes c"]) -> Float[Tensor, "*axes c"]:
    """Eq. 4: softmax over the C + 1 classes, the background among them."""
    return logits.softmax(dim=-1)


def pooled_features(
    attention_BNT: Float[Tensor, "b 3 t"], selected_BNT: Bool[Tensor, "b 3 t"], x_BTD: Float[Tensor, "b t d"]
) -> Float[Tensor, "b 3 d"]:
    """Eq. 1: the mean of x over each branch's selected snippets, weighted by its attention."""
    weight_BNT = attention_BNT.masked_fill(~selected_BNT, 0)
    return torch.bmm(weight_BNT, x_BTD) / (weight_BNT.sum(dim=2, keepdim=True) + EPSILON)


def fused(y_ags_BNC: Float[Tensor, "b 3 c"], y_awa_BNC: Float[Tensor, "b 3 c"]) -> Float[Tensor, "b 3 c"]:
    """Eq. 7: the mean of the class-agnostic and the class-aware prediction."""
    return (y_ags_BNC + y_awa_BNC) / 2
