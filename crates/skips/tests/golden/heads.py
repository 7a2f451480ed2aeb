"""Writes heads.json: losses of small random models with attention heads skipped, by transformers with a
hook before every output projection (docs/SPEC.md section 14). Packages: bench/peer/requirements.txt.

    python heads.py
"""

import json
import pathlib

import torch
from transformers import AutoModelForCausalLM

HERE = pathlib.Path(__file__).parent
MODELS = HERE / "../../../models/tests/golden"
TOKENS = 24


def output_projections(model):
    """The module whose input is the heads side by side, layer by layer."""
    names = ("self_attn.o_proj", "self_attn.out_proj")
    return [module for name, module in model.named_modules() if name.endswith(names)]


def windows(length, window):
    return [range(first, min(first + window, length)) for first in range(0, length, window)]


def source(rule, rows, window):
    """The tokens whose scores choose the set of a window."""
    if rule == "first-token" or (rule == "previous-window" and rows.start == 0):
        return range(rows.start, rows.start + 1)
    if rule == "previous-window":
        return range(rows.start - window, rows.start)
    return rows


def mask(heads, case, weight):
    """heads: [tokens, heads, head_dim]; weight: [d_model, heads, head_dim]."""
    if case["score"] == "magnitude":
        scores = heads.norm(dim=-1)
    else:
        scores = torch.einsum("thd,mhd->thm", heads, weight).norm(dim=-1)
    tokens, n, _ = heads.shape
    k = max(1, int((1 - case["sparsity"]) * n + 0.5))
    kept = torch.zeros(tokens, n, dtype=torch.bool)
    for rows in windows(tokens, case["window"]):
        own = source(case["rule"], rows, case["window"])
        summed = scores[own.start : own.stop].double().sum(0)
        # At the first token the heads of one key head give the same: ties go to the lowest index.
        best = summed.sort(descending=True, stable=True).indices[:k]
        for t in rows:
            kept[t, best] = True
    return heads * kept[:, :, None]


def loss(model, ids, case):
    hooks = []
    for module in output_projections(model):
        width = module.weight.shape[1]
        n = model.config.num_attention_heads
        head_dim = width // n
        weight = module.weight.detach().reshape(-1, n, head_dim)

        def before(_, args, n=n, head_dim=head_dim, weight=weight):
            x = args[0]
            return (mask(x[0].reshape(-1, n, head_dim), case, weight).reshape(x.shape),)

        hooks.append(module.register_forward_pre_hook(before))
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].double()
    for hook in hooks:
        hook.remove()
    log_probabilities = torch.log_softmax(logits[:-1], -1)
    return -log_probabilities.gather(1, torch.tensor(ids[1:])[:, None]).sum().item()


def main():
    cases = []
    for name in ["llama", "mistral", "opt"]:
        model = AutoModelForCausalLM.from_pretrained(MODELS / name, dtype=torch.float32).eval()
        vocabulary = model.config.vocab_size
        ids = [(i * i + 3 * i + 5) % vocabulary for i in range(TOKENS)]
        for score in ["magnitude", "impact"]:
            for sparsity in [0.25, 0.5, 0.75]:
                for window, rule in [(1, None), (4, "window-mean"), (5, "first-token"), (4, "previous-window")]:
                    case = {"score": score, "sparsity": sparsity, "window": window, "rule": rule}
                    cases.append({"model": name, "ids": ids, **case, "nll_nats": loss(model, ids, case)})
    text = ",\n".join(json.dumps(case) for case in cases)
    (HERE / "heads.json").write_text(f"[\n{text}\n]\n")


if __name__ == "__main__":
    main()
