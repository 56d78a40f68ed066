"""The queries of section III-D: one learnable vector a class, fitted to each video (eq. 9).

They serve the contrastive loss in training alone; inference never runs them.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from ascnet_cli.config import QueryForm


class SemanticQueries(nn.Module):
    """Queries g that look the video's own snippets up and come back as g' (eq. 9).

    Args:
        n_queries: C + 1, the background's query first.
        dim: D, the width of the embedding.
        query_dim: d_k, the width in which queries and snippets are compared.
        form: `paper`: g' is the attention's output, as printed. `fixed`: g' = l2norm(g + that output):
            without the residual all rows of g' start out alike, and no row is told from another.
    """

    def __init__(self, n_queries: int, dim: int, query_dim: int, form: QueryForm) -> None:
        super().__init__()
        self.form = form
        # Rows of about unit length: the length of the snippets that they are compared with.
        self.g = nn.Parameter(torch.randn(n_queries, dim) / math.sqrt(dim))
        self.w_q = nn.Linear(dim, query_dim, bias=False)
        self.w_k = nn.Linear(dim, query_dim, bias=False)
        self.w_v = nn.Linear(dim, dim, bias=False)

    def forward(self, u_BTD: Float[Tensor, "b t d"], valid_BT: Bool[Tensor, "b t"]) -> Float[Tensor, "b c d"]:
        """Eq. 9: the queries g' of each video.

        Args:
            u_BTD: the snippets' embedding, each row of unit length.
            valid_BT: the snippets that exist; the others are not looked at.
        """
        q_CK: Tensor = self.w_q(self.g)
        k_BTK: Tensor = self.w_k(u_BTD)
        logits_BCT = torch.einsum("ck,btk->bct", q_CK, k_BTK) / math.sqrt(q_CK.shape[1])
        weight_BCT = logits_BCT.masked_fill(~valid_BT.unsqueeze(1), -torch.inf).softmax(dim=2)
        # softmax(..) (u W_v) = (softmax(..) u) W_v: the projection then runs on C + 1 rows, not on T.
        found_BCD: Tensor = self.w_v(torch.bmm(weight_BCT, u_BTD))
        if self.form == "paper":
            return found_BCD
        return functional.normalize(self.g + found_BCD, dim=2)
