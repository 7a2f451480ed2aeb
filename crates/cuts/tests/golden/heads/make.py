"""Makes the files beside it: scores of attention heads and the logits without the least of them, for small
random models, by transformers with a hook before every output projection (docs/SPEC.md section 14).

    pip install -r ../../../../models/tests/golden/requirements.txt
    python make.py

Everything is computed in float64. Gradients are autograd's, of the mean loss of each window. Nothing is cut
here: heads that are dropped give zeros. The script stops where a kept set hangs on rounding.
"""

import pathlib

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

HERE = pathlib.Path(__file__).resolve().parent
MODELS = HERE.parents[3] / "models" / "tests" / "golden"
# Grouped heads (three and two query heads a key head), biases, a sliding window that is shorter than the text,
# norms of heads, and two kinds of layers.
NAMES = ("llama", "qwen2", "mistral", "gemma3")
SPARSITIES = (0.25, 0.5, 0.75)
WINDOWS, LENGTH, TEST = 4, 24, 20
GAP = 1e-3  # of a kept and a dropped score, relative


def output_projections(model):
    """The modules whose input is the heads side by side, layer by layer."""
    return [module for name, module in model.named_modules() if name.endswith("self_attn.o_proj")]


class Hooks:
    """Calls `see(site, o)` with what the heads of every attention give; what it returns goes on."""

    def __init__(self, model, see):
        self.handles = [
            module.register_forward_pre_hook(lambda _, args, site=site: (see(site, args[0]),))
            for site, module in enumerate(output_projections(model))
        ]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for handle in self.handles:
            handle.remove()


def scores_of(model, windows, heads):
    """Sums over all tokens of all windows: {score: [sites, heads]}."""
    projections = output_projections(model)
    sums = {name: torch.zeros(len(projections), heads, dtype=torch.float64) for name in ("magnitude", "impact", "slope")}
    for window in windows:
        given = {}

        def see(site, o, given=given):
            o.retain_grad()
            given[site] = o
            return o

        with Hooks(model, see):
            logits = model(window[None]).logits[0]
        loss = torch.nn.functional.cross_entropy(logits[:-1], window[1:])
        model.zero_grad()
        loss.backward()
        for site, o in given.items():
            weight = projections[site].weight.detach()
            by_head = o.detach()[0].reshape(LENGTH, heads, -1)
            gradient = o.grad[0].reshape(LENGTH, heads, -1)
            columns = weight.reshape(weight.shape[0], heads, -1)
            sums["magnitude"][site] += by_head.norm(dim=-1).sum(0)
            sums["impact"][site] += torch.einsum("thd,mhd->thm", by_head, columns).norm(dim=-1).sum(0)
            sums["slope"][site] += (gradient * by_head).sum((0, 2))
    sums["taylor"] = sums.pop("slope").abs()
    return sums


def kept_sets(scores, sparsity):
    """[sites, k], ascending."""
    heads = scores.shape[1]
    k = max(1, int((1 - sparsity) * heads + 0.5))
    ordered = scores.sort(dim=1, descending=True, stable=True)
    if k < heads and ((ordered.values[:, k - 1] - ordered.values[:, k]) < GAP * ordered.values[:, k - 1]).any():
        raise SystemExit("a kept set hangs on rounding: choose other windows")
    return ordered.indices[:, :k].sort(dim=1).values


def logits_without(model, ids, kept, heads):
    def see(site, o):
        mask = torch.zeros(heads, dtype=o.dtype)
        mask[kept[site]] = 1
        return (o.reshape(*o.shape[:-1], heads, -1) * mask[:, None]).reshape(o.shape)

    with Hooks(model, see), torch.no_grad():
        return model(ids[None]).logits[0]


def main():
    for seed, name in enumerate(NAMES):
        model = AutoModelForCausalLM.from_pretrained(
            MODELS / name, dtype=torch.float64, attn_implementation="eager"
        ).eval()
        heads = model.config.num_attention_heads
        random = torch.Generator().manual_seed(1400 + seed)
        ids = torch.randint(model.config.vocab_size, (WINDOWS, LENGTH), generator=random)
        test = torch.randint(model.config.vocab_size, (TEST,), generator=random)
        tensors = {"ids": ids, "test": test}
        for score, values in scores_of(model, ids, heads).items():
            tensors[f"scores/{score}"] = values
            for sparsity in SPARSITIES:
                kept = kept_sets(values, sparsity)
                tensors[f"kept/{score}/{sparsity}"] = kept
                tensors[f"logits/{score}/{sparsity}"] = logits_without(model, test, kept, heads).float()
        save_file({key: value.contiguous() for key, value in tensors.items()}, HERE / f"{name}.safetensors")


if __name__ == "__main__":
    main()
