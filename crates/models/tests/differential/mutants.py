"""Mutants of the golden configs: one setting dropped, set to another value, added, or said twice.

A mutant changes top-level keys of a config.json only (an object such as `rope_parameters` is replaced as
a whole), so that it can be written as `set` and `drop`, and read back by the Rust test.
"""

import copy
import json
import pathlib

import families
import positions
from mutant import Mutant, same, values
from settings import FOREIGN, QUANTIZATION, SSM

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE.parent / "golden"
PUBLISHED = HERE.parents[3] / "data/configs"


def single(folder, config, defaults):
    """Every key dropped and set; every default of the class added."""
    for key, current in config.items():
        yield Mutant(folder, drop=[key])
        for value in values(key, current):
            if not same(value, current):
                yield Mutant(folder, {key: value})
    for key, default in defaults.items():
        if key not in config:
            for value in values(key, default):
                yield Mutant(folder, {key: value})


def twice(folder, config, attribute_map):
    """One setting under two names, with the same value, another and null."""
    names = [("dtype", "torch_dtype"), *((theirs, ours) for theirs, ours in attribute_map.items())]
    names += [("tie_word_embeddings", "tie_embeddings"), ("n_positions", "n_ctx"),
              ("hidden_act", "hidden_activation"), ("rms_norm_eps", "layer_norm_epsilon")]  # fmt: skip
    for pair in names:
        for here, there in [pair, pair[::-1]]:
            if here not in config or there in config:
                continue
            current = config[here]
            yield Mutant(folder, {there: current})
            yield Mutant(folder, {there: current}, drop=[here])
            yield Mutant(folder, {there: None})
            yield Mutant(folder, {there: current, here: None})
            for value in values(here, current)[:6]:
                if not same(value, current):
                    yield Mutant(folder, {there: value})
                    yield Mutant(folder, {there: value}, drop=[here])


def heads(folder):
    """`tie_word_embeddings` beside the tensors that bear it out or do not."""
    for weights in ["", "same-head", "other-head", "no-head", "bf16-head"]:
        for tie in [True, False, None]:
            yield Mutant(folder, {"tie_word_embeddings": tie}, weights=weights)
        yield Mutant(folder, drop=["tie_word_embeddings"], weights=weights)
        yield Mutant(folder, weights=weights)


def tensors(folder):
    """Other files with the same config: buffers, prefixes, leftovers, gaps, another type."""
    for weights in ["buffers", "odd-buffers", "unknown", "gap", "f16", "module", "orig-mod", "bare", "prefixed"]:
        yield Mutant(folder, weights=weights)


def quantized(folder):
    for value in [*QUANTIZATION, None]:
        yield Mutant(folder, {"quantization_config": value})


def foreign(folder, config):
    for key, listed in FOREIGN.items():
        for value in listed:
            if key not in config:
                yield Mutant(folder, {key: value})


def of_folder(folder, config, defaults, attribute_map, representative):
    yield Mutant(folder)
    yield from single(folder, config, defaults)
    if "ssm_cfg" in config:
        yield from families.original(folder, config)
        return
    family = config["model_type"]
    yield from heads(folder)
    yield from twice(folder, config, attribute_map)
    yield from families.shapes(folder, config)
    if representative:
        yield from foreign(folder, config)
        yield from tensors(folder)
        yield from quantized(folder)
    if family in ("llama", "mistral", "qwen2", "qwen3", "gemma3_text", "zamba2") and representative:
        yield from positions.rotary(folder, config)
    if family in ("mistral", "qwen2", "qwen3", "gemma3_text") and representative:
        yield from positions.windows(folder, config)
    if family == "gpt2":
        yield from families.gpt2(folder)
    if family == "opt":
        yield from families.opt(folder, config)


# Folders that get the long lists too: one of each way in which the configs are written.
REPRESENTATIVE = {"gemma3", "gemma3-old", "gpt2", "llama", "llama-rope", "mamba2", "mistral", "opt",
                  "qwen2", "qwen2-untied", "qwen3", "zamba2", "zamba2-two"}  # fmt: skip


def read(path):
    return json.loads(path.read_text())


def unique(found):
    seen = set()
    for mutant in found:
        if mutant.name() not in seen:
            seen.add(mutant.name())
            yield mutant


def golden(defaults_of):
    """`{folder: (config, mutants)}` of the golden folders; `defaults_of(config)` gives the defaults of a
    config's class and its `attribute_map`."""
    for path in sorted(GOLDEN.glob("*/config.json")):
        config, folder = read(path), path.parent.name
        defaults, attribute_map = defaults_of(config)
        found = of_folder(folder, config, defaults, attribute_map, folder in REPRESENTATIVE)
        yield folder, copy.deepcopy(config), list(unique(found))


# Of sizes that differ in numbers only, one.
SHAPES = ["Qwen/Qwen2.5-0.5B", "Zyphra/Zamba2-1.2B", "facebook/opt-1.3b", "state-spaces/mamba2-130m"]


def published(defaults_of):
    """The same of `data/configs`, whose shapes are compared without weights."""
    for path in (PUBLISHED / name / "config.json" for name in SHAPES):
        config, folder = read(path), str(path.parent.relative_to(PUBLISHED))
        if "architectures" in config:
            # These files name the class only, and transformers goes by the type.
            config["model_type"] = config["architectures"][0].removesuffix("ForCausalLM").lower()
        if "hybrid_layer_ids" in config:
            # Likewise: it goes by the kinds of the layers.
            layers = range(config["num_hidden_layers"])
            hybrid = config["hybrid_layer_ids"]
            kinds = ["hybrid" if layer in hybrid else "mamba" for layer in layers]
            config["layers_block_type"] = kinds
        defaults, _ = defaults_of(config)
        found = [Mutant(folder), *single(folder, config, defaults)]
        if "ssm_cfg" in config:
            found += [Mutant(folder, {"ssm_cfg": config["ssm_cfg"] | {key: value}})
                      for key, listed in SSM.items() for value in listed]  # fmt: skip
        yield folder, config, list(unique(found))
