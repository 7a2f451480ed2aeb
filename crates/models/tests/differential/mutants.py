"""Mutants of the golden configs: one setting dropped, set to another value, added, or said twice.

A mutant changes top-level keys of a config.json only (an object such as `rope_parameters` is replaced as
a whole), so that it can be written as `set` and `drop`, and read back by the Rust test.
"""

import copy
import dataclasses
import itertools
import json
import pathlib

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE.parent / "golden"
PUBLISHED = HERE.parents[3] / "data/configs"

LENGTH = 24  # past every sliding window (16) and every chunk (16) of the golden folders
LONG = 4200  # past the windows that classes have by default (4096)

ACTIVATIONS = [
    "relu", "silu", "swish", "gelu", "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_python",
    "gelu_accurate", "gelu_10", "quick_gelu", "relu2", "relu6", "relu_squared", "leaky_relu", "linear",
    "mish", "sigmoid", "tanh", "laplace", "xielu", "SiLU", "swiglu", "gelu_tanh", "", None, 0,
]  # fmt: skip
ACTIVATION_FIELDS = {"hidden_act", "hidden_activation", "activation_function"}

DTYPES = ["float32", "float16", "bfloat16", "torch.float16", "float64", "auto", "int8", "x", "", None, 0]

CLASSES = [
    "GPT2LMHeadModel", "Gemma3ForCausalLM", "LlamaForCausalLM", "Mamba2ForCausalLM", "MistralForCausalLM",
    "OPTForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM", "Zamba2ForCausalLM",
]  # fmt: skip

QUANTIZATION = [
    {"quant_method": "gptq", "bits": 4, "group_size": 128},
    {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
    {"load_in_8bit": False, "load_in_4bit": False},
    {"quant_method": "fp8"},
    {},
]

# Settings of other families and of the base class, which a config of any family may hold. Most are ignored
# by a class that does not know them; the mutants say which.
FOREIGN = {
    "activation_function": ["relu"],
    "add_bias_linear": [True],
    "attention_bias": [True],
    "attention_multiplier": [0.5],
    "attn_logit_softcapping": [2.0],
    "bias": [True],
    "chunk_size": [5],
    "chunk_size_feed_forward": [2],
    "clip_qkv": [0.1],
    "do_layer_norm_before": [False],
    "embedding_multiplier": [2.0],
    "final_logit_softcapping": [2.0],
    "full_attn_mod": [2],
    "head_dim": [2, 4],
    "hidden_act": ["relu"],
    "hidden_activation": ["relu"],
    "is_decoder": [False, True],
    "is_encoder_decoder": [True],
    "layer_norm_eps": [0.1],
    "layer_norm_epsilon": [0.1],
    "layer_types": [["sliding_attention"]],
    "logit_scale": [2.0],
    "logits_scaling": [2.0],
    "max_window_layers": [0],
    "mlp_bias": [True],
    "n_ctx": [8],
    "n_embd": [8],
    "n_head": [2],
    "n_inner": [10],
    "n_layer": [1],
    "n_positions": [8],
    "no_rope_layers": [[0]],
    "norm_eps": [0.1],
    "norm_epsilon": [0.1],
    "num_experts": [4],
    "num_logits_to_keep": [1],
    "num_mem_blocks": [3],
    "original_max_position_embeddings": [8],
    "output_attentions": [True],
    "output_hidden_states": [True],
    "parallel_attn": [True],
    "partial_rotary_factor": [0.5, 1.0],
    "per_layer_config": [{"0": {"rms_norm_eps": 0.1}}, {}],
    "position_embedding_type": ["alibi"],
    "pruned_heads": [{"0": [0]}],
    "qk_norm": [True],
    "qkv_bias": [True],
    "query_pre_attn_scalar": [3],
    "residual_multiplier": [0.5],
    "return_dict": [False],
    "rms_norm": [False],
    "rms_norm_eps": [0.1],
    "rope_interleaved": [True],
    "rope_local_base_freq": [100.0],
    "rope_parameters": [{"rope_type": "linear", "factor": 4.0, "rope_theta": 100.0}],
    "rope_scaling": [{"rope_type": "linear", "factor": 4.0}, {"rope_type": "yarn", "factor": 4.0}],
    "rope_theta": [100.0],
    "rope_type": ["linear"],
    "rotary_dim": [2],
    "rotary_emb_base": [100],
    "rotary_pct": [0.5],
    "scale_attn_by_inverse_layer_idx": [True],
    "scale_attn_weights": [False],
    "scale_attention": [False],
    "sliding_window": [4, None],
    "sliding_window_pattern": [2],
    "tie_encoder_decoder": [True],
    "tie_last_hidden_states": [False],
    "tie_embeddings": [False],
    "time_step_limit": [[0.5, 1.0]],
    "time_step_min": [0.5],
    "use_bias": [True],
    "use_bidirectional_attention": [True],
    "use_cache": [False],
    "use_conv_bias": [False],
    "use_long_context": [True],
    "use_mem_rope": [False, True],
    "use_parallel_residual": [True],
    "use_qk_norm": [True],
    "use_rope": [False],
    "use_sliding_window": [True],
    "use_shared_mlp_adapter": [False],
    "vocab_size_padded": [256],
    "word_embed_proj_dim": [8],
    "attn_implementation": ["sdpa"],
    "auto_map": [{"AutoModelForCausalLM": "modeling.Model"}],
    "text_config": [{"hidden_size": 8}],
    "gradient_checkpointing": [True],
    "temperature": [0.5],
    "num_labels": [5],
}

# What `ssm_cfg` of the original code of Mamba may hold (`modules/mamba2.py` of its repository).
SSM = {
    "layer": ["Mamba2", "Mamba1", None, "x"],
    "d_state": [10, 5, 20, 0, None, 10.0],
    "d_conv": [4, 3, 2, 0, None],
    "conv_init": [None, 0.5],
    "expand": [2, 1, 4, 2.0, None],
    "headdim": [6, 3, 12, 5, 0, None],
    "d_ssm": [None, 48, 24],
    "ngroups": [1, 2, 8, 0, None],
    "A_init_range": [[1, 4]],
    "D_has_hdim": [False, True],
    "rmsnorm": [True, False],
    "norm_before_gate": [False, True],
    "dt_min": [0.5],
    "dt_max": [0.05],
    "dt_init_floor": [0.5],
    "dt_limit": [[0.0, float("inf")], [0.02, 0.3], [0.3, 0.02], None, [0.0], "x"],
    "bias": [False, True, None],
    "conv_bias": [True, False, None],
    "chunk_size": [16, 5, 256, 0],
    "use_mem_eff_path": [True, False],
    "dt_rank": [3],
    "x": [1],
}


@dataclasses.dataclass
class Mutant:
    folder: str
    set: dict = dataclasses.field(default_factory=dict)
    drop: list = dataclasses.field(default_factory=list)
    weights: str = ""  # another set of tensors; see weights.py
    length: int = LENGTH

    def name(self):
        """One line that tells it from all others of its folder."""
        parts = [f"-{key}" for key in self.drop]
        parts += [f"{key}={json.dumps(value, sort_keys=True)}" for key, value in self.set.items()]
        parts += [f"@{self.weights}"] if self.weights else []
        parts += [f"^{self.length}"] if self.length != LENGTH else []
        return " ".join(parts) or "(as it is)"

    def fields(self):
        return [*self.drop, *self.set]

    def config(self, original):
        config = {key: value for key, value in original.items() if key not in self.drop}
        return json.dumps(config | self.set, indent=1)


def same(a, b):
    """Equal in JSON: 1, 1.0 and true are three values."""
    return json.dumps(a) == json.dumps(b)


def values(field, current):
    """Plausible and less plausible values by the kind of the current one."""
    if field in ACTIVATION_FIELDS:
        return ACTIVATIONS
    if field in ("dtype", "torch_dtype"):
        return DTYPES
    if field == "architectures":
        return [[name] for name in CLASSES] + [[], None, ["x"], "LlamaForCausalLM", [*current, "x"]]
    if field == "model_type":
        return ["llama", "mistral", "qwen2", "qwen3", "gemma3_text", "gpt2", "opt", "mamba2", "zamba2", "",
                "x", None]  # fmt: skip
    if isinstance(current, bool):
        return [True, False, None, 0, 1, "true"]
    if isinstance(current, int):
        return [0, 1, 2, 3, current - 1, current + 1, current // 2, 2 * current, -1, None,
                float(current), str(current)]  # fmt: skip
    if isinstance(current, float):
        return [0, 0.0, 1, 0.5, 10 * current, current / 10, -1.0, None, str(current), 1e300, float("inf")]
    if current is None:
        return [0, 1, 2, 7, 16, True, False, 0.5, "x", [], {}]
    if isinstance(current, str):
        return ["", "x", None, 0]
    if isinstance(current, list):
        return [[], None, current[:-1], current + current[-1:], current[::-1], "x", 0, {}]
    return [{}, None, "x", 0, []]


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


def ropes(theta):
    """Every way of scaling, spelled out, spelled short and spelled wrong."""
    scalings = [
        {},
        {"rope_type": "default"},
        {"rope_type": "linear", "factor": 4.0},
        {"type": "linear", "factor": 4.0},
        {"type": "linear", "rope_type": "default", "factor": 4.0},
        {"type": "default", "rope_type": "linear", "factor": 4.0},
        {"factor": 4.0},
        {"rope_type": None, "factor": 4.0},
        {"rope_type": None, "type": "linear", "factor": 4.0},
        {"rope_type": "linear"},
        {"rope_type": "linear", "factor": 1},
        {"rope_type": "linear", "factor": 0.5},
        {"rope_type": "linear", "factor": 0},
        {"rope_type": "linear", "factor": -2.0},
        {"rope_type": "linear", "factor": None},
        {"rope_type": "linear", "factor": "4"},
        {"rope_type": "linear", "factor": 4.0, "x": 1},
        {"rope_type": "linear", "factor": 4.0, "attention_factor": 2.0},
        {"rope_type": "linear", "factor": 4.0, "partial_rotary_factor": 0.5},
        {"rope_type": "default", "partial_rotary_factor": 0.5},
        {"rope_type": "default", "partial_rotary_factor": 1.0},
        {"rope_type": "default", "partial_rotary_factor": 0.25},
        {"rope_type": "default", "factor": 4.0},
        {"rope_type": "dynamic", "factor": 4.0},
        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16},
        {"rope_type": "yarn", "factor": 4.0},
        {"rope_type": "longrope", "factor": 4.0, "short_factor": [1.0], "long_factor": [1.0]},
        {"rope_type": "proportional", "partial_rotary_factor": 0.5},
        {"rope_type": "mrope", "mrope_section": [1, 1, 1]},
        {"type": "mrope", "mrope_section": [1, 1, 1]},
        {"rope_type": "default", "mrope_section": [1, 1, 1]},
        {"type": "su", "factor": 4.0},
        {"rope_type": "x"},
        {"rope_type": ""},
        {"rope_type": 0},
        {"rope_type": "Linear", "factor": 4.0},
    ]
    llama3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    scalings += [llama3, llama3 | {"original_max_position_embeddings": 64}]
    for key, odd in [
        ("factor", [1, 0, 0.5, None, "8"]),
        ("low_freq_factor", [2, 4.0, 5.0, 0, None]),
        ("high_freq_factor", [2, 1.0, 0, None]),
        ("original_max_position_embeddings", [16, 8192, 0, 64.5, None, "64"]),
    ]:
        full = llama3 | {"original_max_position_embeddings": 64}
        scalings.append({name: value for name, value in full.items() if name != key})
        scalings += [full | {key: value} for value in odd]
    for scaling in scalings:
        yield scaling
        yield scaling | {"rope_theta": theta}
    yield from (
        {"rope_type": "default", "rope_theta": value}
        for value in [0, 1, 1.0, -1.0, 100, 123.5, None, "100", True, 1e300]
    )


def rotary(folder, config):
    """All spellings of rotary positions: alone, and two and three beside each other."""
    spellings = ["rope_parameters", "rope_scaling", "rope_theta"]
    nested = config.get("rope_parameters") or {}
    theta = 100.0
    if "full_attention" in nested:
        nested = nested["full_attention"]
    base = nested.get("rope_theta", config.get("rope_theta", 10_000.0))
    for scaling, spelling in itertools.product(ropes(theta), spellings[:2]):
        gone = [key for key in spellings if key in config and key != spelling]
        yield Mutant(folder, {spelling: scaling}, drop=gone)
        if "rope_theta" not in scaling:
            gone = [key for key in gone if key != "rope_theta"]
            yield Mutant(folder, {spelling: scaling, "rope_theta": 50.0}, drop=gone)
    # Each beside the others.
    linear = {"rope_type": "linear", "factor": 4.0}
    default = {"rope_type": "default"}
    llama3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
              "original_max_position_embeddings": 64}  # fmt: skip
    choices = [None, {}, default, linear, default | {"rope_theta": 100.0}, linear | {"rope_theta": 100.0},
               llama3, {"rope_type": "yarn", "factor": 4.0}]  # fmt: skip
    for parameters, scaling in itertools.product(choices, choices):
        both = {"rope_parameters": parameters, "rope_scaling": scaling}
        gone = [key for key in ["rope_theta"] if key in config]
        yield Mutant(folder, both, drop=gone)
        for top in [None, 50.0, base]:
            yield Mutant(folder, both | {"rope_theta": top})
    for key in [key for key in spellings if key in config]:
        others = [other for other in spellings if other in config and other != key]
        yield Mutant(folder, drop=[key, *others])
    for top in [0, 1, 100, 100.0, -5.0, "100", True, [100.0], None]:
        gone = [key for key in spellings[:2] if key in config]
        yield Mutant(folder, {"rope_theta": top}, drop=gone)
        yield Mutant(folder, {"rope_theta": top})
    for key in ["full_attention", "sliding_attention"]:
        other = {"rope_type": "linear", "factor": 2.0, "rope_theta": 100.0}
        yield Mutant(folder, {"rope_parameters": {key: other}})
        yield Mutant(folder, {"rope_scaling": {key: other}})
        yield Mutant(folder, {"rope_parameters": {key: other, "rope_theta": 50.0}})
    both = {"full_attention": default | {"rope_theta": 100.0}, "sliding_attention": linear}
    yield Mutant(folder, {"rope_parameters": both})
    yield Mutant(folder, {"rope_parameters": both, "rope_theta": 50.0})
    yield Mutant(folder, {"rope_parameters": both, "rope_local_base_freq": 50.0})
    yield Mutant(folder, {"rope_parameters": both, "rope_scaling": linear})
    for partial in [0.5, 1.0, 1, 0, None]:
        yield Mutant(folder, {"partial_rotary_factor": partial})
    for positions in [16, 64, None]:
        short = {key: value for key, value in llama3.items() if key != "original_max_position_embeddings"}
        for scaling in [short, llama3]:
            both = {"rope_scaling": scaling, "original_max_position_embeddings": positions}
            yield Mutant(folder, both, drop=[key for key in spellings[:1] if key in config])
    short = {key: value for key, value in llama3.items() if key != "original_max_position_embeddings"}
    yield Mutant(folder, {"rope_scaling": short, "max_position_embeddings": 40},
                 drop=[key for key in spellings[:1] if key in config])  # fmt: skip


def windows(folder, config):
    """All settings of sliding windows, in families that have some."""
    layers = config["num_hidden_layers"]
    full, slides = "full_attention", "sliding_attention"
    layouts = [None, [full] * layers, [slides] * layers, [full] * (layers - 1) + [slides]]
    odd_layouts = [[full] * (layers + 1), [slides], [], ["x"] * layers, ["chunked_attention"] * layers,
                   ["attention"] * layers, ["mamba"] * layers, [None] * layers]  # fmt: skip
    keys = ["sliding_window", "use_sliding_window", "max_window_layers", "layer_types",
            "sliding_window_pattern"]  # fmt: skip
    clean = [key for key in keys if key in config]
    for window, use, most, layout in itertools.product(
        ["absent", None, 8, 0, 1], ["absent", True, False], ["absent", 0, 1, layers], ["absent", *layouts]
    ):
        chosen = dict(zip(keys, [window, use, most, layout], strict=False))
        chosen = {key: value for key, value in chosen.items() if value != "absent"}
        yield Mutant(folder, chosen, drop=[key for key in clean if key not in chosen])
    for layout in odd_layouts:
        yield Mutant(folder, {"layer_types": layout})
        yield Mutant(folder, {"layer_types": layout, "sliding_window": 8, "use_sliding_window": True})
    for window in [4.0, "8", True, -1, [8], 24, 23, 25, 1 << 40]:
        yield Mutant(folder, {"sliding_window": window, "use_sliding_window": True, "max_window_layers": 0},
                     drop=[key for key in ["layer_types"] if key in config])  # fmt: skip
    for most in [None, -1, 1.0, "0", True]:
        yield Mutant(folder, {"sliding_window": 8, "use_sliding_window": True, "max_window_layers": most},
                     drop=[key for key in ["layer_types"] if key in config])  # fmt: skip
    for pattern, private in itertools.product(["absent", 1, 2, 3, 0, None, -1, 2.0, "2"], repeat=2):
        chosen = {"sliding_window_pattern": pattern, "_sliding_window_pattern": private}
        chosen = {key: value for key, value in chosen.items() if value != "absent"}
        gone = [key for key in ["sliding_window_pattern", "_sliding_window_pattern", "layer_types"]
                if key in config and key not in chosen]  # fmt: skip
        if private in ("absent", 1, 2) or pattern == "absent":
            yield Mutant(folder, chosen, drop=gone)
            if "layer_types" in gone:
                gone = [key for key in gone if key != "layer_types"]
                yield Mutant(folder, chosen, drop=gone)
    # The defaults of the classes are longer than short sequences tell.
    far = {"max_position_embeddings": 8192}
    for chosen in [{}, {"sliding_window": None}, {"use_sliding_window": True}]:
        gone = [key for key in ["sliding_window", "layer_types"] if key in config and key not in chosen]
        yield Mutant(folder, far | chosen, drop=gone, length=LONG)
        more = {"max_window_layers": 0}
        yield Mutant(folder, far | chosen | more, drop=gone, length=LONG)


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


def of_folder(folder, config, defaults, attribute_map, representative):
    yield Mutant(folder)
    yield from single(folder, config, defaults)
    if "ssm_cfg" in config:
        yield from original(folder, config)
        return
    family = config["model_type"]
    yield from heads(folder)
    yield from twice(folder, config, attribute_map)
    yield from shapes(folder, config)
    if representative:
        yield from foreign(folder, config)
        yield from tensors(folder)
        yield from quantized(folder)
    if family in ("llama", "mistral", "qwen2", "qwen3", "gemma3_text", "zamba2") and representative:
        yield from rotary(folder, config)
    if family in ("mistral", "qwen2", "qwen3", "gemma3_text") and representative:
        yield from windows(folder, config)
    if family == "gpt2":
        yield from gpt2(folder)
    if family == "opt":
        yield from opt(folder, config)


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
