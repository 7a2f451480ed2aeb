"""Models of about 100 M parameters whose feed-forward blocks are mostly zero, for `cargo xtask speed`.

    python zeros.py FOLDER            llama-relu-99 and opt-95, and llama and mamba2 as they are

Shapes are those of `families.py`, weights random. A neuron is shifted until it is on for a share of the
tokens of made-up sequences: OPT's by its bias; a Llama has none, so its embeddings share a direction that
every token keeps through the layers, and a multiple of that direction is taken from the neuron's gate.
"""

import argparse
import pathlib

import torch
import transformers
from transformers import AutoModelForCausalLM

from families import configs, made_up

# Tokens that share a sequence share much of their stream: a share of tokens is one of several sequences, of
# the one that is timed among them.
SEQUENCES = 8
TOKENS = 512


def shift_by_bias(share):
    """Called before a map runs: its bias becomes such that each output is positive for this share of rows."""

    def hook(linear, inputs):
        x = inputs[0].reshape(-1, inputs[0].shape[-1])
        before = x @ linear.weight.T
        linear.bias.copy_(-torch.quantile(before, 1 - share, dim=0))

    return hook


def shift_by_direction(share, direction):
    """The same for a map without a bias."""

    def hook(linear, inputs):
        x = inputs[0].reshape(-1, inputs[0].shape[-1])
        along = x @ direction
        if along.min() <= 0:
            raise SystemExit("a token has lost the shared direction: no gate can be shifted along it")
        before = (x @ linear.weight.T) / along[:, None]
        linear.weight.sub_(torch.quantile(before, 1 - share, dim=0)[:, None] * direction)

    return hook


def shifted(model, share):
    base = model.model
    if hasattr(base, "decoder"):
        hooks = [layer.fc1.register_forward_pre_hook(shift_by_bias(share)) for layer in base.decoder.layers]
    else:
        width = base.embed_tokens.weight.shape[1]
        direction = torch.sign(torch.randn(width)) / width**0.5
        base.embed_tokens.weight.add_(2 * base.embed_tokens.weight.norm(dim=1).mean() * direction)
        hooks = [
            layer.mlp.gate_proj.register_forward_pre_hook(shift_by_direction(share, direction))
            for layer in base.layers
        ]
    ids = torch.tensor([made_up(w, TOKENS, model.config.vocab_size) for w in range(SEQUENCES)])
    model(input_ids=ids, use_cache=False)
    for hook in hooks:
        hook.remove()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    models = [
        ("llama-relu-99", "llama-relu", 0.01),
        ("opt-95", "opt", 0.05),
        ("llama", "llama", None),
        ("mamba2", "mamba2", None),
    ]
    for seed, (name, family, share) in enumerate(models):
        target = args.folder / name
        if (target / "model.safetensors").is_file():
            continue
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(configs()[family], dtype=torch.float32).eval()
        if share is not None:
            with torch.no_grad():
                shifted(model, share)
        model.save_pretrained(target)
        print(f"{name}: {sum(p.numel() for p in model.parameters()) / 1e6:.1f} M parameters")


if __name__ == "__main__":
    main()
