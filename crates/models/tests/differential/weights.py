"""Folders with the weights of a golden folder, as they are or changed; each mutant's config goes there."""

import pathlib
import shutil

import torch
from safetensors.torch import load_file, save_file

FILES = ("*.safetensors", "*.bin", "*.index.json")
EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "embeddings.weight", "embedding.weight")
BASES = ("model.decoder.", "model.", "transformer.", "backbone.")
HEAD = "lm_head.weight"


def tensors(folder):
    """All tensors of a folder by name."""
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        if path.name != "expected.safetensors":
            found |= load_file(path)
    for path in sorted(folder.glob("*.bin")):
        found |= torch.load(path, map_location="cpu", weights_only=True)
    return {name: tensor.clone() for name, tensor in found.items()}


def embedding(found):
    return next(tensor for name, tensor in found.items() if name.endswith(EMBEDDINGS))


def buffers(found):
    """What older releases stored beside the weights, and nobody reads."""
    added = {}
    for name in found:
        at = name.rpartition(".")[0].rpartition(".")[0]
        if name.endswith("self_attn.q_proj.weight"):
            added[f"{at}.rotary_emb.inv_freq"] = torch.ones(3)
        if name.endswith("attn.c_attn.weight"):
            added[f"{at}.bias"] = torch.ones(1, 1, 8, 8).tril()
            added[f"{at}.masked_bias"] = torch.tensor(-1e4)
    return found | added


def base(found):
    return next(base for base in BASES if any(name.startswith(base) for name in found))


def renamed(found, rename):
    return {rename(name): tensor for name, tensor in found.items()}


CHANGES = {
    "same-head": lambda found: found | {HEAD: embedding(found).clone()},
    "other-head": lambda found: found | {HEAD: embedding(found).flip(0).contiguous()},
    "no-head": lambda found: {name: tensor for name, tensor in found.items() if name != HEAD},
    "bf16-head": lambda found: found | {HEAD: embedding(found).to(torch.bfloat16, copy=True)},
    "buffers": buffers,
    "unknown": lambda found: found | {f"{base(found)}x.weight": torch.ones(3)},
    "gap": lambda found: {name: found[name] for name in sorted(found)[1:]},
    "f16": lambda found: {name: tensor.half() for name, tensor in found.items()},
    "module": lambda found: renamed(found, lambda name: f"module.{name}"),
    "orig-mod": lambda found: renamed(found, lambda name: f"_orig_mod.{name}"),
    "bare": lambda found: renamed(found, lambda name: name.removeprefix(base(found))),
    "prefixed": lambda found: renamed(found, lambda name: f"model.{name}"),
}


def place(golden, weights, work):
    """A fresh folder under `work` with the tensors of `golden`, changed as `weights` says; no config."""
    folder = pathlib.Path(work) / f"{golden.name}@{weights or 'as-is'}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if weights:
        changed = {name: tensor.contiguous() for name, tensor in CHANGES[weights](tensors(golden)).items()}
        save_file(changed, folder / "model.safetensors", metadata={"format": "pt"})
        return folder
    for pattern in FILES:
        for path in golden.glob(pattern):
            if path.name != "expected.safetensors":
                shutil.copy(path, folder / path.name)
    return folder
