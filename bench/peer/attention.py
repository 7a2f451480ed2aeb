"""The peer of the skips of attention: what a researcher would write in PyTorch over transformers.

The eager attention is replaced by one that builds the T x T logits of a layer and masks them: `read` keeps
the top k of every query's row, `write` walks over the tokens and drops positions from a mask of what is still
there. `heads` is a forward pre-hook on the output projection. Words and scores as in docs/SPEC.md section 14.

Prints one JSON object: the loss of every window, its sum, perplexity, and tokens a second.

    python bench/peer/attention.py --model data/cache/smollm2-hf --dataset wiki.test.raw \\
        --step mode=read,score=attention,sparsity=0.5 --window-tokens 512 --windows 4
"""

import argparse
import json
import math
import statistics
import time
from fractions import Fraction

import torch
from transformers import AttentionInterface

from peer import load, read_raw, windows_of

STEP = {}


def kept_count(n):
    """max(1, round((1 - sparsity) n)), half away from zero, with exact sparsity."""
    if STEP.get("count") == "float":
        return max(1, math.floor((1.0 - float(STEP["sparsity"])) * n + 0.5))
    return max(1, math.floor((1 - Fraction(STEP["sparsity"])) * n + Fraction(1, 2)))


def largest(score, k):
    """Of every row of the last axis the `k` largest (a number, or one a row), ties to the lowest index."""
    order = torch.argsort(score, dim=-1, descending=True, stable=True)
    rank = torch.empty_like(order)
    rank.scatter_(-1, order, torch.arange(score.shape[-1]).expand_as(order))
    return rank < k


def raised(score, t):
    """The token itself before the sinks, the sinks before every score."""
    sinks = min(STEP.get("sinks", 0), score.shape[-1])
    score[..., :sinks] = torch.arange(sinks, 0, -1, dtype=score.dtype) * 1e30
    if t is None:
        score.diagonal(dim1=-2, dim2=-1).fill_(torch.inf)
    else:
        score[..., t] = torch.inf
    return score


def of_positions(keys, values):
    """The score of every position where it hangs on the position alone, by key head; else None."""
    tokens = keys.shape[1]
    return {
        "key-size": lambda: keys.norm(dim=-1),
        "key-size-reversed": lambda: -keys.norm(dim=-1),
        "value-size": lambda: values.norm(dim=-1),
        "recency": lambda: torch.arange(tokens, dtype=keys.dtype).expand(keys.shape[0], tokens),
    }.get(STEP["score"], lambda: None)()


def read(logits, keys, values):
    """logits [G, n, T, T], masked above the diagonal; what every query reads, by key head: [G, T, T]."""
    tokens = logits.shape[-1]
    score = of_positions(keys, values)
    if score is not None:
        score = score[:, None, :].expand(-1, tokens, -1).clone()
    else:
        score = torch.softmax(logits, -1).sum(1)
        if STEP["score"] == "attention-value":
            score = score * values.norm(dim=-1)[:, None, :]
    hidden = torch.isinf(logits[:, 0])
    score = raised(score, None).masked_fill(hidden, -torch.inf)
    count = torch.tensor([kept_count(t + 1) for t in range(tokens)])[None, :, None]
    return largest(score, count) & ~hidden


def write(logits, keys, values):
    """The same where a position that is dropped after a token is gone for all later ones."""
    groups, _, tokens, _ = logits.shape
    fixed = of_positions(keys, values)
    alive = torch.zeros(groups, tokens, dtype=torch.bool)
    accumulated = torch.zeros(groups, tokens)
    kept = torch.zeros(groups, tokens, tokens, dtype=torch.bool)
    sinks = STEP.get("sinks", 0)
    for t in range(tokens):
        alive[:, t] = True
        kept[:, t] = alive
        paid = torch.softmax(logits[:, :, t].masked_fill(~alive[:, None], -torch.inf), -1).sum(1)
        accumulated += paid
        score = {"accumulated": accumulated, "attention": paid}.get(STEP["score"], fixed)
        if STEP["score"] == "attention-value":
            score = paid * values.norm(dim=-1)
        score = raised(score.clone(), t).masked_fill(~alive, -torch.inf)
        k = max(kept_count(t + 1), min(sinks, t) + 1)
        if (t + 1) % STEP.get("window", 1) == 0 and k < int(alive[0].sum()):
            alive &= largest(score, k)
    return kept


def attention(module, query, key, value, attention_mask, scaling=None, **_):
    groups, tokens = key.shape[1], key.shape[2]
    queries = query[0].reshape(groups, -1, tokens, query.shape[-1]) * scaling
    keys, values = key[0], value[0]
    logits = queries @ keys[:, None].transpose(-1, -2)
    future = torch.ones(tokens, tokens, dtype=torch.bool).triu(1)
    logits = logits.masked_fill(future, -torch.inf)
    if STEP.get("mode"):
        kept = (read if STEP["mode"] == "read" else write)(logits, keys, values)
        logits = logits.masked_fill(~kept[:, None], -torch.inf)
    out = torch.softmax(logits, -1) @ values[:, None]
    return out.reshape(-1, tokens, query.shape[-1]).transpose(0, 1)[None], None


def head_hook(module, inputs):
    """Zeroes what a head gives where it is not among the kept; `module` is the output projection."""
    (given,) = inputs
    head_dim = STEP["head_dim"]
    heads = given.reshape(*given.shape[:-1], -1, head_dim)
    if STEP["score"] == "magnitude":
        score = heads.norm(dim=-1)
    else:
        weight = module.weight.reshape(module.weight.shape[0], -1, head_dim)
        score = torch.einsum("bthd,ohd->btho", heads, weight).norm(dim=-1)
    kept = largest(score, kept_count(score.shape[-1]))
    return ((heads * kept[..., None]).reshape(given.shape),)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--step", default="", help="mode=…,score=…,sparsity=…[,sinks=…][,window=…], or score=…,sparsity=… of heads")
    parser.add_argument("--window-tokens", type=int, default=512)
    parser.add_argument("--windows", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--threads", type=int)
    own = parser.parse_args()
    if own.threads:
        torch.set_num_threads(own.threads)
    for pair in filter(None, own.step.split(",")):
        name, text = pair.split("=")
        STEP[name] = int(text) if name in ("sinks", "window") else text
    AttentionInterface.register("masked", attention)
    tokenizer, model = load(own.model)
    model.set_attn_implementation("masked" if STEP.get("mode") else "sdpa")
    if STEP and not STEP.get("mode"):
        config = model.config
        STEP["head_dim"] = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        for name, module in model.named_modules():
            if name.endswith(("self_attn.o_proj", "self_attn.out_proj")):
                module.register_forward_pre_hook(head_hook)
    windows = windows_of(tokenizer(read_raw(own.dataset))["input_ids"], own.window_tokens, own.windows)
    seconds = []
    with torch.no_grad():
        for _ in range(own.repeats):
            started, losses = time.perf_counter(), []
            for ids in windows:
                logits = model(ids).logits[0].float()
                logprobs = torch.log_softmax(logits[:-1], -1)
                losses.append(-logprobs.gather(1, ids[0, 1:, None]).double().sum().item())
            seconds.append(time.perf_counter() - started)
    n_tokens = sum(ids.numel() for ids in windows)
    targets = n_tokens - len(windows)
    print(
        json.dumps(
            {
                "step": own.step or "dense",
                "nll_nats": losses,
                "perplexity": math.exp(sum(losses) / targets),
                "tokens_per_second": n_tokens / statistics.median(seconds),
            }
        )
    )


if __name__ == "__main__":
    main()
