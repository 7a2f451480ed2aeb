"""Writes kv.json: losses of small random models whose attention reads, or keeps, a part of its cache, by
transformers with plain loops over tokens in place of its attention (docs/SPEC.md section 14). Packages:
bench/peer/requirements.txt.

    python kv.py
"""

import json
import math
import pathlib
from fractions import Fraction

import torch
from transformers import AutoModelForCausalLM, AttentionInterface

HERE = pathlib.Path(__file__).parent
MODELS = HERE / "../../../models/tests/golden"
TOKENS = 24
PROMPT_QUERIES = 32
CASE = {}


def kept_count(n):
    exact = (1 - Fraction(str(CASE["sparsity"]))) * n + Fraction(1, 2)
    return max(1, math.floor(exact))


def best(t, among, score, k):
    """The token itself, the sinks, then by score; ties to the lowest position."""

    def rank(s):
        if s == t:
            return (0, 0.0, s)
        if s < CASE["sinks"]:
            return (1, 0.0, s)
        return (2, -score[s], s)

    return sorted(sorted(among, key=rank)[:k])


def scores(among, paid, accumulated, keys, values):
    name = CASE["score"]
    return {
        s: {
            "attention": paid.get(s, 0.0),
            "attention-value": paid.get(s, 0.0) * values[s].norm().item(),
            "key-size": keys[s].norm().item(),
            "key-size-reversed": -keys[s].norm().item(),
            "value-size": values[s].norm().item(),
            "recency": float(s),
            "accumulated": accumulated[s],
        }[name]
        for s in among
    }


def one_group(queries, keys, values, window):
    """queries: [heads, tokens, d] of one key head; returns the same shape."""
    heads, tokens, _ = queries.shape
    out = torch.zeros_like(queries)
    accumulated, by_prompt = [0.0] * tokens, [0.0] * tokens
    alive = set()

    def weights(t, over):
        return torch.softmax(queries[:, t] @ keys[over].T, dim=-1)

    for t in range(tokens):
        alive.add(t)
        visible = sorted(s for s in alive if window is None or s > t - window)
        kept = visible
        if CASE["mode"] == "read":
            start = t - t % CASE["window"]
            if t == start:
                rows = {
                    None: [t],
                    "first-token": [t],
                    "window-mean": range(t, min(t + CASE["window"], tokens)),
                    "previous-window": range(max(0, t - CASE["window"]), max(1, t)),
                }[CASE["rule"]]
                paid = dict.fromkeys(visible, 0.0)
                for row in rows:
                    seen = [s for s in range(row + 1) if window is None or s > row - window]
                    for s, weight in zip(seen, weights(row, seen).double().sum(0).tolist()):
                        if s in paid:
                            paid[s] += weight
                # The window before has been added up already, over what was read then.
                now = 0.0 if CASE["rule"] == "previous-window" else 1.0
                so_far = [own + now * paid.get(s, 0.0) for s, own in enumerate(accumulated)]
                by_window = best(t, visible, scores(visible, paid, so_far, keys, values), kept_count(len(visible)))
            kept = [s for s in visible if s in by_window or s > start]
        own = weights(t, kept)
        out[:, t] = own @ values[kept]
        paid = dict(zip(kept, own.double().sum(0).tolist()))
        for s, weight in paid.items():
            accumulated[s] += weight
        cuts = CASE["mode"] == "write" and CASE["prompt"] is None and (t + 1) % CASE["window"] == 0
        if CASE["prompt"] is not None and t < CASE["prompt"]:
            if t + PROMPT_QUERIES >= CASE["prompt"]:
                for s, weight in paid.items():
                    by_prompt[s] += weight
            cuts = t + 1 == CASE["prompt"]
            paid = {s: by_prompt[s] for s in kept}
        if cuts:
            # A sink never goes, even where there is no room for it.
            sinks = sum(s < CASE["sinks"] and s != t for s in kept)
            k = min(max(kept_count(t + 1), sinks + 1), len(kept))
            alive = set(best(t, kept, scores(kept, paid, accumulated, keys, values), k))
    return out


def attention(module, query, key, value, attention_mask, scaling=None, sliding_window=None, **_):
    groups = query.shape[1] // key.shape[1]
    queries = query[0] * scaling
    out = torch.cat(
        [
            one_group(queries[g * groups : (g + 1) * groups], key[0, g], value[0, g], sliding_window)
            for g in range(key.shape[1])
        ]
    )
    return out.transpose(0, 1)[None], None


def loss(model, ids):
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].double()
    log_probabilities = torch.log_softmax(logits[:-1], -1)
    return -log_probabilities.gather(1, torch.tensor(ids[1:])[:, None]).sum().item()


def all_cases():
    names = ["attention", "attention-value", "key-size", "key-size-reversed", "value-size", "recency", "accumulated"]
    for score in names:
        for sparsity in [0.5, 0.75]:
            for sinks in [0, 2]:
                case = {"mode": "read", "score": score, "sparsity": sparsity, "sinks": sinks, "prompt": None}
                yield {**case, "window": 1, "rule": None}
                for rule in ["window-mean", "first-token", "previous-window"]:
                    yield {**case, "window": 5, "rule": rule}
                for window in [1, 4]:
                    yield {"mode": "write", "score": score, "sparsity": sparsity, "sinks": sinks, "window": window, "rule": None, "prompt": None}
        if score != "accumulated":
            yield {"mode": "write", "score": score, "sparsity": 0.5, "sinks": 0, "window": 1, "rule": None, "prompt": 10}


def main():
    AttentionInterface.register("plain-kv", attention)
    cases = []
    for name in ["llama", "mistral"]:
        model = AutoModelForCausalLM.from_pretrained(
            MODELS / name, dtype=torch.float32, attn_implementation="plain-kv"
        ).eval()
        ids = [(i * i + 3 * i + 5) % model.config.vocab_size for i in range(TOKENS)]
        for case in all_cases():
            CASE.clear()
            CASE.update(case)
            cases.append({"model": name, "ids": ids, **case, "nll_nats": loss(model, ids)})
    text = ",\n".join(json.dumps(case) for case in cases)
    (HERE / "kv.json").write_text(f"[\n{text}\n]\n")


if __name__ == "__main__":
    main()
