"""Mutants of what single families have: shapes of heads and groups, Zamba2's layout, flags of GPT-2 and OPT,
`ssm_cfg` of the original code of Mamba."""

import itertools

from mutant import Mutant, values
from settings import SSM


def shapes(folder, config):
    """Other divisions of the same matrices into heads, groups and channels."""
    heads, hidden = config.get("num_attention_heads"), config.get("hidden_size")
    if "num_key_value_heads" in config and "mamba_d_state" not in config:
        kv, width = config["num_key_value_heads"], config.get("head_dim", hidden // heads)
        for factor in [1, 2, 3]:
            for head_dim in ["given", "absent", None]:
                for chosen in [
                    (heads * factor, kv * factor, width // factor),
                    (heads // factor, kv // factor, width * factor),
                    (heads * factor, kv, width),
                    (heads, kv * factor, width),
                ]:
                    chosen = dict(zip(["num_attention_heads", "num_key_value_heads", "head_dim"], chosen,
                                      strict=True))  # fmt: skip
                    gone = []
                    if head_dim == "absent":
                        chosen.pop("head_dim")
                        gone = ["head_dim"] if "head_dim" in config else []
                    elif head_dim is None:
                        chosen["head_dim"] = None
                    yield Mutant(folder, chosen, drop=gone)
        gone = ["num_key_value_heads"]
        yield Mutant(folder, {"num_attention_heads": kv}, drop=gone)
        yield Mutant(folder, {"num_attention_heads": kv, "head_dim": width}, drop=gone)
    for names in [("n_groups", "state_size"), ("mamba_ngroups", "mamba_d_state")]:
        if names[0] in config:
            product = config[names[0]] * config[names[1]]
            for groups in [1, 2, 4, 8, 3]:
                if product % groups == 0:
                    chosen = dict(zip(names, [groups, product // groups], strict=True))
                    yield Mutant(folder, chosen)
                    yield Mutant(folder, chosen | {"chunk_size": 5})
    if "layers_block_type" in config:
        yield from zamba_layers(folder, config)


def zamba_layers(folder, config):
    """The two spellings of Zamba2's layout, its adapters and its time steps."""
    kinds, ids = config["layers_block_type"], config["hybrid_layer_ids"]
    mamba = ["mamba" if kind == "linear_attention" else kind for kind in kinds]
    linear = ["linear_attention" if kind == "mamba" else kind for kind in kinds]
    other = [kinds[0], kinds[0], "hybrid", "hybrid", "hybrid", kinds[0]]
    layouts = ["absent", None, mamba, linear, other, [kinds[0]] * 6]
    lists = ["absent", None, ids, [1, 3], [2, 3, 4], [], [3, 1, 4], [1, 1, 3, 4], [1, 3, 6], [-1]]
    for layout, numbers in itertools.product(layouts, lists):
        chosen = {"layers_block_type": layout, "hybrid_layer_ids": numbers}
        chosen = {key: value for key, value in chosen.items() if value != "absent"}
        gone = [key for key in ["layers_block_type", "hybrid_layer_ids"] if key not in chosen]
        yield Mutant(folder, chosen, drop=gone)
        if numbers == ids:
            yield Mutant(folder, chosen | {"layer_types": other}, drop=gone)
            yield Mutant(folder, chosen | {"layer_types": linear}, drop=gone)
    for low, limit, floor in itertools.product(
        ["absent", 0.001, 0.0, 0.05, 0.5, None], ["absent", None, [0.0, 1.0], [0.05, 0.1]], ["absent", 0.3]
    ):
        chosen = {"time_step_min": low, "time_step_limit": limit, "time_step_floor": floor}
        chosen = {key: value for key, value in chosen.items() if value != "absent"}
        gone = [key for key in ["time_step_min", "time_step_limit"] if key in config and key not in chosen]
        yield Mutant(folder, chosen, drop=gone)
    for heads, width in itertools.product([1, 2, 4, 8, 3], ["absent", 6, 12, 24, 48, 96]):
        chosen = {"num_attention_heads": heads, "num_key_value_heads": heads}
        gone = ["attention_head_dim"]
        if width != "absent":
            chosen["attention_head_dim"], gone = width, []
        yield Mutant(folder, chosen, drop=gone)
        if width == 12:
            yield Mutant(folder, chosen | {"head_dim": 6})
    for flags in itertools.product(["absent", True, False], repeat=3):
        names = ["use_shared_mlp_adapter", "use_shared_attention_adapter", "use_mem_rope"]
        chosen = {key: flag for key, flag in zip(names, flags, strict=True) if flag != "absent"}
        yield Mutant(folder, chosen, drop=[key for key in names if key in config and key not in chosen])
    for key, value in [("mamba_headdim", 3), ("mamba_headdim", 12), ("mamba_headdim", None),
                       ("n_mamba_heads", 4), ("mamba_expand", 4)]:  # fmt: skip
        yield Mutant(folder, {key: value})
        yield Mutant(folder, {key: value}, drop=["mamba_headdim"] if key != "mamba_headdim" else [])


def gpt2(folder):
    for heads in [1, 2, 3, 5, 6]:
        yield Mutant(folder, {"n_head": heads})
        yield Mutant(folder, {"num_attention_heads": heads})
    for flags in itertools.product([True, False], repeat=3):
        names = ["scale_attn_weights", "scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn"]
        yield Mutant(folder, dict(zip(names, flags, strict=True)))
    for value in [120, 30, 60]:
        yield Mutant(folder, {"n_inner": value})


def opt(folder, config):
    for heads in [1, 2, 3, 4, 6, 12]:
        yield Mutant(folder, {"num_attention_heads": heads})
    for flags in itertools.product(["absent", True, False], repeat=2):
        names = ["do_layer_norm_before", "_remove_final_layer_norm"]
        chosen = {key: flag for key, flag in zip(names, flags, strict=True) if flag != "absent"}
        yield Mutant(folder, chosen, drop=[key for key in names if key in config and key not in chosen])
    for width in [22, 24, 36, 12]:
        yield Mutant(folder, {"word_embed_proj_dim": width})


def original(folder, config):
    """Mutants of `ssm_cfg`, of the original code."""
    for key in ["d_model", "n_layer", "vocab_size", "pad_vocab_size_multiple"]:
        for value in values(key, config[key]):
            yield Mutant(folder, {key: value})
    for key, listed in SSM.items():
        for value in listed:
            yield Mutant(folder, {"ssm_cfg": config["ssm_cfg"] | {key: value}})
        ssm = {name: value for name, value in config["ssm_cfg"].items() if name != key}
        yield Mutant(folder, {"ssm_cfg": ssm})
    for groups in [2, 4, 5, 10]:
        split = {"ngroups": groups, "d_state": 10 // groups}
        yield Mutant(folder, {"ssm_cfg": config["ssm_cfg"] | split})
    for key, listed in {
        "attn_layer_idx": [[1], [0, 1], None, [5]],
        "attn_cfg": [{"num_heads": 4}, None],
        "d_intermediate": [1, 48, None],
        "rms_norm": [False, None],
        "tie_embeddings": [False, None],
        "tie_word_embeddings": [False],
        "architectures": [["Mamba2ForCausalLM"], ["MambaLMHeadModel"], []],
        "model_type": ["x"],
    }.items():
        for value in listed:
            yield Mutant(folder, {key: value})
