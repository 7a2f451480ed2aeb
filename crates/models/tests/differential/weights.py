"""Folders with the weights of a golden folder, as they are or changed; each mutant's config goes there."""

import hashlib
import json
import pathlib
import shutil

import torch
from safetensors.torch import load_file, save_file

# What a folder's weights are called; expected values lie beside them.
FILES = ("model*.safetensors", "pytorch_model*.bin", "*.index.json")
EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "embeddings.weight", "embedding.weight")
BASES = ("model.decoder.", "model.", "transformer.", "backbone.")
HEAD = "lm_head.weight"


def tensors(folder):
    """All tensors of a folder by name."""
    found = {}
    for path in sorted(folder.glob("model*.safetensors")):
        found |= load_file(path)
    for path in sorted(folder.glob("pytorch_model*.bin")):
        found |= torch.load(path, map_location="cpu", weights_only=True)
    return {name: tensor.clone() for name, tensor in found.items()}


def embedding(found):
    return next(tensor for name, tensor in found.items() if name.endswith(EMBEDDINGS))


def frequencies(config):
    """Of plain rotary positions, as older releases stored them."""
    nested = config.get("rope_parameters") or {}
    nested = nested.get("full_attention", nested)
    theta = nested.get("rope_theta", config.get("rope_theta", 10_000.0))
    width = config.get("head_dim") or config.get("attention_head_dim")
    width = width or config["hidden_size"] // config["num_attention_heads"]
    return theta ** -(torch.arange(0, width, 2, dtype=torch.float32) / width)


def buffers(found, config, odd=False):
    """What older releases stored beside the weights, and nobody reads; `odd`: of a shape that cannot be."""
    added = {}
    for name in found:
        at = name.rpartition(".")[0].rpartition(".")[0]
        if name.endswith("self_attn.q_proj.weight") and config["model_type"] != "opt":
            added[f"{at}.rotary_emb.inv_freq"] = torch.ones(3, 2) if odd else frequencies(config)
        if name.endswith("attn.c_attn.weight"):
            rows = 3 if odd else config["n_positions"]
            added[f"{at}.bias"] = torch.ones(1, 1, rows, rows).tril()
            added[f"{at}.masked_bias"] = torch.tensor(-1e4)
    return found | added


def base(found):
    return next(base for base in BASES if any(name.startswith(base) for name in found))


def renamed(found, rename):
    return {rename(name): tensor for name, tensor in found.items()}


CHANGES = {  # of the tensors; those of buffers know the config too
    "same-head": lambda found: found | {HEAD: embedding(found).clone()},
    "other-head": lambda found: found | {HEAD: embedding(found).flip(0).contiguous()},
    "no-head": lambda found: {name: tensor for name, tensor in found.items() if name != HEAD},
    "bf16-head": lambda found: found | {HEAD: embedding(found).to(torch.bfloat16, copy=True)},
    "buffers": buffers,
    "odd-buffers": lambda found, config: buffers(found, config, odd=True),
    "unknown": lambda found: found | {f"{base(found)}x.weight": torch.ones(3)},
    "gap": lambda found: {name: found[name] for name in sorted(found)[1:]},
    "f16": lambda found: {name: tensor.half() for name, tensor in found.items()},
    "module": lambda found: renamed(found, lambda name: f"module.{name}"),
    "orig-mod": lambda found: renamed(found, lambda name: f"_orig_mod.{name}"),
    "bare": lambda found: renamed(found, lambda name: name.removeprefix(base(found))),
    "prefixed": lambda found: renamed(found, lambda name: f"model.{name}"),
}


def digest(golden):
    """Of all files of weights of a folder."""
    paths = sorted(path for pattern in FILES for path in golden.glob(pattern))
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def place(golden, weights, work):
    """A fresh folder under `work` with the tensors of `golden`, changed as `weights` says; no config."""
    folder = pathlib.Path(work) / f"{golden.name}@{weights or 'as-is'}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if weights:
        change = CHANGES[weights]
        needed = [tensors(golden)]
        if weights.endswith("buffers"):
            needed.append(json.loads((golden / "config.json").read_text()))
        changed = {name: tensor.contiguous() for name, tensor in change(*needed).items()}
        save_file(changed, folder / "model.safetensors", metadata={"format": "pt"})
        return folder
    for pattern in FILES:
        for path in golden.glob(pattern):
            shutil.copy(path, folder / path.name)
    return folder
