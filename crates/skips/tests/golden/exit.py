"""Writes exit.json: losses and exit layers of small random models whose tokens leave before the last layer,
by transformers with a hook after every layer and a plain logit-lens loop (docs/SPEC.md section 13).
Packages: bench/peer/requirements.txt.

    python exit.py
"""

import json
import pathlib

import torch
from transformers import AutoModelForCausalLM

HERE = pathlib.Path(__file__).parent
MODELS = HERE / "../../../models/tests/golden"
TOKENS = 24
# Probabilities this near to the threshold, and logits this near to the largest, would hang on rounding.
MARGIN = 1e-4


def layers_of(model):
    base = getattr(model, "model", model)
    return getattr(base, "decoder", base).layers


def logits_of(model, stream):
    """Final norm, projection where there is one, and head on [tokens, d_model]."""
    base = getattr(model, "model", model)
    base = getattr(base, "decoder", base)
    for name in ["norm", "final_layernorm", "final_layer_norm", "project_out"]:
        module = getattr(base, name, None)
        stream = stream if module is None else module(stream)
    return model.lm_head(stream)


def run(model, ids, after):
    """A forward pass in which `after(layer, stream)` says what goes on from each layer."""

    def hook(layer):
        def replace(_, __, output):
            is_tuple = isinstance(output, tuple)
            stream = after(layer, (output[0] if is_tuple else output)[0])[None]
            return (stream, *output[1:]) if is_tuple else stream

        return replace

    hooks = [module.register_forward_hook(hook(layer)) for layer, module in enumerate(layers_of(model))]
    with torch.no_grad():
        model(torch.tensor([ids]), use_cache=False)
    for own in hooks:
        own.remove()


def exit_layer(model, case, streams):
    """Where the token of these streams, one a layer up to now, leaves; None if it goes on."""
    run_length, last = 0, None
    for layer, stream in enumerate(streams):
        if layer + 1 == len(layers_of(model)):
            return layer
        logits = logits_of(model, stream[None])[0].double()
        probabilities = torch.softmax(logits, -1)
        largest, second = logits.topk(2).values.tolist()
        choice = logits.argmax().item()
        run_length = run_length + 1 if choice == last else 1
        last = choice
        if case["method"] == "confidence":
            assert abs(probabilities.max().item() - case["threshold"]) > MARGIN * case["threshold"], "a near tie"
            leaves = probabilities.max().item() >= case["threshold"]
        else:
            assert largest - second > MARGIN, "a near tie"
            leaves = run_length >= case["patience"]
        if leaves:
            return layer
    return None


def full_context(model, ids, case):
    """All layers for all tokens; each token is read off at its exit layer."""
    streams = []

    def after(_, stream):
        streams.append(stream)
        return stream

    run(model, ids, after)
    exits = [exit_layer(model, case, [stream[t] for stream in streams]) for t in range(len(ids))]
    return exits, torch.stack([streams[layer][t] for t, layer in enumerate(exits)])


def propagate(model, ids, case):
    """Token by token: the tokens before have left, and later layers get their exit streams."""
    exits, final = [], []
    for t in range(len(ids)):
        own = []

        def after(layer, stream):
            stream = stream.clone()
            for s, left_at in enumerate(exits):
                if layer >= left_at:
                    stream[s] = final[s]
            own.append(stream[t])
            return stream

        run(model, ids[: t + 1], after)
        exits.append(exit_layer(model, case, own))
        final.append(own[exits[-1]])
    return exits, torch.stack(final)


def loss(model, stream, ids):
    logits = logits_of(model, stream).double()
    log_probabilities = torch.log_softmax(logits[:-1], -1)
    return -log_probabilities.gather(1, torch.tensor(ids[1:])[:, None]).sum().item()


def thresholds(model, ids):
    """Quartiles of the largest probability, over tokens and layers, as decimals."""
    found = []

    def after(_, stream):
        found.append(torch.softmax(logits_of(model, stream).double(), -1).max(-1).values)
        return stream

    run(model, ids, after)
    quartiles = torch.tensor([0.5, 0.75, 0.9], dtype=torch.float64)
    return [float(f"{value:.4g}") for value in torch.cat(found[:-1]).quantile(quartiles).tolist()]


def all_cases(model, ids):
    for threshold in [*thresholds(model, ids), 1.0]:
        yield {"method": "confidence", "threshold": threshold, "patience": None}
    for patience in range(1, len(layers_of(model)) + 2):
        yield {"method": "patience", "threshold": None, "patience": patience}


def main():
    cases = []
    for name in ["llama", "mistral", "gemma3", "opt-post-norm", "zamba2"]:
        model = AutoModelForCausalLM.from_pretrained(
            MODELS / name, dtype=torch.float32, attn_implementation="eager"
        ).eval()
        ids = [(i * i + 3 * i + 5) % model.config.vocab_size for i in range(TOKENS)]
        for case in all_cases(model, ids):
            for mode, way in [("full-context", full_context), ("propagate", propagate)]:
                with torch.no_grad():
                    exits, stream = way(model, ids, case)
                    nll = loss(model, stream, ids)
                own = {"mode": mode, "layers": [layer + 1 for layer in exits], "nll_nats": nll}
                cases.append({"model": name, "ids": ids, **case, **own})
    text = ",\n".join(json.dumps(case) for case in cases)
    (HERE / "exit.json").write_text(f"[\n{text}\n]\n")


if __name__ == "__main__":
    main()
