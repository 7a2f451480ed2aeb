"""Mutants of rotary positions and of sliding windows, in all of their spellings."""

import itertools

from mutant import LONG, Mutant


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
