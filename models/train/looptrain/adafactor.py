"""Adafactor (Shazeer and Stern, arXiv 1804.04235), the optimizer of the paper: second moments as rows times columns.

With update clipping and the growing decay of its section 7, without momentum and with a given rate, not a relative one.
"""

import torch


class Adafactor(torch.optim.Optimizer):
    def __init__(self, params, lr: float = 1e-2, decay: float = -0.8, eps: float = 1e-30, threshold: float = 1.0):
        super().__init__(params, {"lr": lr, "decay": decay, "eps": eps, "threshold": threshold})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["step"] = 0
                    if p.ndim == 2:
                        state["rows"], state["columns"] = torch.zeros(p.shape[0]), torch.zeros(p.shape[1])
                    else:
                        state["square"] = torch.zeros_like(p)
                state["step"] += 1
                keep = 1 - state["step"] ** group["decay"]  # 0 at the first step: no bias to correct
                square = p.grad.square() + group["eps"]
                if p.ndim == 2:
                    rows = state["rows"].lerp_(square.mean(dim=1), 1 - keep)
                    columns = state["columns"].lerp_(square.mean(dim=0), 1 - keep)
                    update = p.grad * torch.outer((rows / rows.mean()).rsqrt(), columns.rsqrt())
                else:
                    update = p.grad * state["square"].lerp_(square, 1 - keep).rsqrt()
                size = update.square().mean().sqrt()
                p.sub_(update / (size / group["threshold"]).clamp(min=1), alpha=group["lr"])
