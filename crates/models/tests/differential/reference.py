"""What transformers makes of a folder: logits, the number of parameters, or a refusal.

    python reference.py < requests > answers

Requests are lines of JSON, `{"folder", "config", "ids", "keep"}`: `config` becomes the folder's
config.json, and the last `keep` rows of logits are the answer. Without ids the answer is the number of
parameters that the config gives. An answer is a line `logits ROWS VOCABULARY`, followed by that many
little-endian f32; `parameters N`; `warned TEXT`, as the line before logits; or `refused TEXT`.

As a user would see it: a tensor that is missing and gets random values is a refusal, one that is left over
a warning.
"""

import json
import logging
import pathlib
import resource
import sys
import warnings

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, Mamba2Config, Mamba2ForCausalLM

torch.set_num_threads(1)
transformers.utils.logging.set_verbosity(logging.CRITICAL)
transformers.utils.logging.disable_progress_bar()
warnings.simplefilter("ignore")


MEMORY = 12 << 30


class Refused(Exception):
    pass


# The original code of Mamba (state-spaces), which cannot be installed without a GPU: the arguments of
# `MambaConfig` (models/config_mamba.py) and of `Mamba2` (modules/mamba2.py) with their defaults. An
# argument that is not there is a TypeError.
ORIGINAL = {
    "d_model": 2560, "d_intermediate": 0, "n_layer": 64, "vocab_size": 50277, "ssm_cfg": {},
    "attn_layer_idx": [], "attn_cfg": {}, "rms_norm": True, "residual_in_fp32": True,
    "fused_add_norm": True, "pad_vocab_size_multiple": 8, "tie_embeddings": True,
}  # fmt: skip
ORIGINAL_MIXER = {
    "d_state": 128, "d_conv": 4, "conv_init": None, "expand": 2, "headdim": 64, "d_ssm": None, "ngroups": 1,
    "A_init_range": (1, 16), "D_has_hdim": False, "rmsnorm": True, "norm_before_gate": False,
    "dt_min": 0.001, "dt_max": 0.1, "dt_init_floor": 1e-4, "dt_limit": (0.0, float("inf")), "bias": False,
    "conv_bias": True, "chunk_size": 256, "use_mem_eff_path": True,
}  # fmt: skip


def with_defaults(given, defaults, what):
    unknown = set(given) - set(defaults)
    if unknown:
        raise Refused(f"TypeError: {what} got an unexpected keyword argument {sorted(unknown)[0]!r}")
    return defaults | given


def original_config(fields):
    """The Mamba2Config that computes what the original code does with these fields; what has no
    counterpart there is refused."""
    fields = with_defaults(fields, ORIGINAL, "MambaConfig")
    ssm = dict(fields["ssm_cfg"])
    if ssm.pop("layer", "Mamba1") != "Mamba2":
        raise Refused("only Mamba2 has a counterpart in Mamba2ForCausalLM")
    ssm = with_defaults(ssm, ORIGINAL_MIXER, "Mamba2")
    inner = ssm["expand"] * fields["d_model"]
    if fields["d_intermediate"] or fields["attn_layer_idx"]:
        raise Refused("layers other than mixers have no counterpart in Mamba2ForCausalLM")
    if not fields["rms_norm"] or not ssm["rmsnorm"] or ssm["norm_before_gate"] or ssm["D_has_hdim"]:
        raise Refused("no counterpart in Mamba2ForCausalLM")
    if ssm["d_ssm"] not in (None, inner):
        raise Refused("d_ssm has no counterpart in Mamba2ForCausalLM")
    if inner % ssm["headdim"] or (inner // ssm["headdim"]) % ssm["ngroups"]:
        raise Refused("AssertionError: self.d_ssm % self.headdim == 0")
    rows = fields["pad_vocab_size_multiple"]
    vocabulary = fields["vocab_size"]
    if vocabulary % rows:
        vocabulary += rows - vocabulary % rows
    return Mamba2Config(
        vocab_size=vocabulary,
        hidden_size=fields["d_model"],
        num_hidden_layers=fields["n_layer"],
        num_heads=inner // ssm["headdim"],
        head_dim=ssm["headdim"],
        state_size=ssm["d_state"],
        conv_kernel=ssm["d_conv"],
        expand=ssm["expand"],
        n_groups=ssm["ngroups"],
        use_bias=bool(ssm["bias"]),
        use_conv_bias=bool(ssm["conv_bias"]),
        time_step_limit=tuple(ssm["dt_limit"]),
        chunk_size=ssm["chunk_size"],
        layer_norm_epsilon=1e-5,
        tie_word_embeddings=bool(fields["tie_embeddings"]),
    )


def is_original(fields):
    return "model_type" not in fields and "ssm_cfg" in fields


def original_model(folder, fields):
    model = Mamba2ForCausalLM(original_config(fields)).float().eval()
    stored = torch.load(folder / "pytorch_model.bin", map_location="cpu", weights_only=True)
    stored = {name.replace("backbone.embedding.", "backbone.embeddings."): t for name, t in stored.items()}
    model.load_state_dict(stored)
    return model, None


def loaded(folder, fields):
    """The model in f32, and what a user would be warned of."""
    if is_original(fields):
        return original_model(folder, fields)
    model, said = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=torch.float32,
        attn_implementation="eager",
        output_loading_info=True,
        local_files_only=True,
    )
    if said["missing_keys"]:
        raise Refused(f"newly initialised: {sorted(said['missing_keys'])[0]}")
    if said["mismatched_keys"] or said["error_msgs"]:
        raise Refused(f"mismatched: {said['mismatched_keys']} {said['error_msgs']}")
    left = sorted(said["unexpected_keys"])
    return model.eval(), f"left over: {', '.join(left)}" if left else None


def logits(folder, fields, ids, keep):
    """Logits [keep, vocabulary] and what a user would be warned of."""
    torch.manual_seed(0)
    model, warned = loaded(folder, fields)
    with torch.inference_mode():
        output = model(input_ids=torch.tensor([ids]), use_cache=False, return_dict=True)
    found = output.logits[0].float()
    if found.shape[0] != len(ids):
        raise Refused(f"{found.shape[0]} rows of logits for {len(ids)} ids")
    return found[-keep:].contiguous(), warned


def parameters(folder, fields):
    """Stored parameters, a shared one once."""
    with torch.device("meta"):
        if is_original(fields):
            model = Mamba2ForCausalLM(original_config(fields))
        else:
            model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
        model.tie_weights()
    return sum({id(p): p.numel() for p in model.parameters()}.values())


def line(error):
    """An error as one line."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text.removeprefix("Refused: ")[:300]


def answer(request):
    folder = pathlib.Path(request["folder"])
    (folder / "config.json").write_text(request["config"])
    fields = json.loads(request["config"])
    out = sys.stdout.buffer
    try:
        if not request["ids"]:
            out.write(f"parameters {parameters(folder, fields)}\n".encode())
            return
        found, warned = logits(folder, fields, request["ids"], request["keep"])
        if warned:
            out.write(f"warned {warned}\n".encode())
        out.write(f"logits {found.shape[0]} {found.shape[1]}\n".encode() + found.numpy().tobytes())
    except Exception as error:
        out.write(f"refused {line(error)}\n".encode())


def main():
    # A config without its sizes gets those of a large model: an error, not all of the machine's memory.
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for text in sys.stdin:
        answer(json.loads(text))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
