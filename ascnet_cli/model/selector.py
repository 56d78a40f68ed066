"""The attention selector: which snippets each class-agnostic branch pools (eqs. 5 and 6).

Axes as in `ascnet_cli.model.equations`. The choice is boolean and carries no gradient.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ascnet_cli.config import Selector
from ascnet_cli.model.equations import (
    BACKGROUND,
    BACKGROUND_CLASS,
    CONTEXT,
    FOREGROUND,
    class_probabilities,
    snippets_pooled,
    weighted_cas,
)


def rank_literal(
    attention_BNT: Float[Tensor, "b 3 t"], v_BTC: Float[Tensor, "b t c"]
) -> Float[Tensor, "b 3 t"]:
    """The scores of eq. 5 as printed: the sum of z_b over the action classes."""
    return weighted_cas(attention_BNT, v_BTC)[..., BACKGROUND_CLASS + 1 :].sum(dim=3)


def rank_fixed(
    attention_BNT: Float[Tensor, "b 3 t"], v_BTC: Float[Tensor, "b t c"]
) -> Float[Tensor, "b 3 t"]:
    """The scores of eq. 5, repaired: a_fg (1 - p_0), a_ct (1 - p_0) and a_bg p_0 with p = softmax(v).

    A sum of raw logits over the actions says little of whether any action is there: it is dominated by
    how negative the absent classes are.
    """
    background_BT = class_probabilities(v_BTC)[..., BACKGROUND_CLASS]
    action_BT = 1 - background_BT
    return attention_BNT * torch.stack((action_BT, action_BT, background_BT), dim=1)


def best_snippets(
    score_BT: Float[Tensor, "b t"], valid_BT: Bool[Tensor, "b t"], sigma: int
) -> Bool[Tensor, "b t"]:
    """Eq. 5: the set I of the k snippets with the highest scores, as a mask.

    Of equal scores the earlier snippet is taken. Saturated attention makes ties common, and `topk`
    breaks them in another order on each device and for each padded length.
    """
    k_B1 = snippets_pooled(valid_BT, sigma).unsqueeze(1)
    k_max = max(score_BT.shape[1] // sigma, 1)
    masked_BT = score_BT.masked_fill(~valid_BT, -torch.inf)
    kth_B1 = masked_BT.topk(k_max, dim=1).values.gather(1, k_B1 - 1)
    above_BT = masked_BT > kth_B1
    tied_BT = masked_BT == kth_B1
    free_B1 = k_B1 - above_BT.sum(dim=1, keepdim=True)
    return above_BT | (tied_BT & (tied_BT.cumsum(dim=1) <= free_B1))


def branch_sets(
    i_fg_BT: Bool[Tensor, "b t"], i_ct_BT: Bool[Tensor, "b t"], i_bg_BT: Bool[Tensor, "b t"]
) -> Bool[Tensor, "b 3 t"]:
    """Eq. 6: S_fg, S_ct and S_bg from I_fg, I_ct and I_bg.

    S_fg = I_fg; S_ct = I_bg & I_fg, or I_ct where that is empty; S_bg = I_bg - I_fg, or I_bg where that
    is empty. (The paper prints the condition of S_bg a second time under S_ct: a slip, since its two
    cases would neither exclude each other nor cover everything.)
    """
    difference_BT = i_bg_BT & ~i_fg_BT
    common_BT = i_bg_BT & i_fg_BT
    s_bg_BT = torch.where(difference_BT.any(dim=1, keepdim=True), difference_BT, i_bg_BT)
    s_ct_BT = torch.where(common_BT.any(dim=1, keepdim=True), common_BT, i_ct_BT)
    return torch.stack((i_fg_BT, s_ct_BT, s_bg_BT), dim=1)


@torch.no_grad()
def select_snippets(
    selector: Selector,
    attention_BNT: Float[Tensor, "b 3 t"],
    v_BTC: Float[Tensor, "b t c"],
    valid_BT: Bool[Tensor, "b t"],
    sigmas: Sequence[int],
) -> Bool[Tensor, "b 3 t"]:
    """The sets S_fg, S_ct and S_bg that eq. 1 pools over, as masks.

    Args:
        selector: how snippets are ranked; `none` takes all (the paper's ASC-Net/wo, Tables V and VI).
        attention_BNT: a_fg, a_ct, a_bg.
        v_BTC: the class activation sequence, raw logits.
        valid_BT: the snippets that exist.
        sigmas: of the three branches; each keeps max(floor(T / sigma), 1) snippets.

    Returns:
        Masks; each video's three sets are never empty.
    """
    if selector == "none":
        return valid_BT.unsqueeze(1).expand_as(attention_BNT)
    if selector == "attention":
        score_BNT = attention_BNT
    elif selector == "literal":
        score_BNT = rank_literal(attention_BNT, v_BTC)
    else:
        score_BNT = rank_fixed(attention_BNT, v_BTC)
    return branch_sets(
        best_snippets(score_BNT[:, FOREGROUND], valid_BT, sigmas[FOREGROUND]),
        best_snippets(score_BNT[:, CONTEXT], valid_BT, sigmas[CONTEXT]),
        best_snippets(score_BNT[:, BACKGROUND], valid_BT, sigmas[BACKGROUND]),
    )
