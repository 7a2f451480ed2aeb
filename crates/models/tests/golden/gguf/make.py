"""Makes this folder: GGUF files, and what `gguf-py` says is in them.

    pip install -r ../requirements.txt
    python make.py

types        one tensor of every number type that is read; types.safetensors holds the values that
             `gguf.quants.dequantize` gives. The types that `gguf-py` cannot make (Q2_K to Q6_K) are random
             bytes with scales of a sane size. `blk.0.attn_q.weight` has its rows in llama.cpp's order and the
             expected values have them in their own.
llama, llama-rope, qwen2, qwen3, gemma3
             the golden folders of these names as llama.cpp's converter writes them: names and keys by the
             tables of `gguf-py`, rows of queries and keys interleaved (llama only), 1 added to norms (gemma3
             only), all in F32.

Two things of the golden folders the converter cannot say, so they are put in a form that it can:

* gemma3: the scale of the queries is not in the file; llama.cpp takes that of the head. Here the
  folder's own scale is folded into the weights of the norm of the queries, and the layers without a
  window are named by `attention.sliding_window_pattern`.
* llama-rope: the converter takes 8192 original positions whatever config.json says. So does this file,
  whose logits are therefore not those of the folder.
"""

import json
import math
import pathlib

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from safetensors.numpy import load_file, save_file

HERE = pathlib.Path(__file__).resolve().parent
HALF = np.float16
K_BLOCK = 256

PLAIN = [Type.F32, Type.F16, Type.BF16, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q8_0]
# Type: places of the 16-bit scales within a block, bytes.
RANDOM = {
    Type.Q2_K: [80, 82],
    Type.Q3_K: [108],
    Type.Q4_K: [0, 2],
    Type.Q5_K: [0, 2],
    Type.Q6_K: [208],
}


def interleaved(weights, heads):
    """Rows of every head as llama.cpp wants them: `0, half, 1, half + 1, ...`."""
    half = weights.shape[0] // heads // 2
    halves = weights.reshape(heads, 2, half, *weights.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(weights.shape))


def random_blocks(generator, kind, rows, blocks):
    size = gguf.GGML_QUANT_SIZES[kind][1]
    data = generator.integers(0, 256, (rows, blocks, size), dtype=np.uint8)
    for place in RANDOM[kind]:
        scales = generator.uniform(0.001, 0.02, (rows, blocks)).astype(HALF)
        data[:, :, place : place + 2] = scales[..., None].view(np.uint8)
    return data.reshape(rows, blocks * size)


def write(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def make_types(generator):
    writer = gguf.GGUFWriter(HERE / "types.gguf", "llama")
    writer.add_head_count(4)
    expected = {}
    values = generator.normal(0, 0.3, (2, 2 * K_BLOCK)).astype(np.float32)
    for kind in PLAIN:
        data = gguf.quants.quantize(values, kind)
        expected[kind.name] = gguf.quants.dequantize(data, kind)
        writer.add_tensor(kind.name, data, raw_dtype=kind)
    for kind in RANDOM:
        data = random_blocks(generator, kind, rows=2, blocks=2)
        expected[kind.name] = gguf.quants.dequantize(data, kind)
        writer.add_tensor(kind.name, data, raw_dtype=kind)
    query = generator.normal(0, 0.3, (64, 32)).astype(np.float32)
    query = gguf.quants.quantize(query, Type.Q8_0)
    name = "model.layers.0.self_attn.q_proj.weight"
    expected[name] = gguf.quants.dequantize(query, Type.Q8_0)
    writer.add_tensor("blk.0.attn_q.weight", interleaved(query, 4), raw_dtype=Type.Q8_0)
    write(writer)
    save_file({k: np.ascontiguousarray(v) for k, v in expected.items()}, HERE / "types.safetensors")


def rope_of(config):
    """The parameters of layers that see everything, and those of layers with a window."""
    parameters = config.get("rope_parameters") or {
        "rope_theta": config["rope_theta"],
        **(config.get("rope_scaling") or {}),
    }
    return parameters.get("full_attention", parameters), parameters.get("sliding_attention")


def llama3_divisors(rope, head_dim):
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    positions = 8192
    divisors = []
    for pair in range(head_dim // 2):
        wavelength = 2 * math.pi * rope["rope_theta"] ** (2 * pair / head_dim)
        if wavelength < positions / high:
            divisors.append(1.0)
        elif wavelength > positions / low:
            divisors.append(rope["factor"])
        else:
            smooth = (positions / wavelength - low) / (high - low)
            divisors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return np.array(divisors, dtype=np.float32)


def add_fields(writer, config, head_dim):
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    full, sliding = rope_of(config)
    writer.add_rope_freq_base(full["rope_theta"])
    if full.get("rope_type") == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(full["factor"])
    if sliding is not None:
        writer.add_rope_freq_base_swa(sliding["rope_theta"])
    if "head_dim" in config:
        writer.add_key_length(head_dim)
        writer.add_value_length(head_dim)


def make_model(folder, architecture):
    source = HERE.parent / folder
    config = json.loads((source / "config.json").read_text())
    tensors = load_file(source / "model.safetensors")
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    head_dim = config.get("head_dim", config["hidden_size"] // heads)
    kind = next(kind for kind, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    names = gguf.get_tensor_name_map(kind, config["num_hidden_layers"])

    writer = gguf.GGUFWriter(HERE / f"{folder}.gguf", architecture)
    add_fields(writer, config, head_dim)
    if architecture == "llama":
        writer.add_vocab_size(config["vocab_size"])
        writer.add_rope_dimension_count(head_dim)
    else:
        writer.add_token_list([f"t{token}" for token in range(config["vocab_size"])])
    if architecture == "gemma3":
        period = config["layer_types"].index("full_attention") + 1
        assert config["layer_types"] == [
            "sliding_attention" if (layer + 1) % period else "full_attention"
            for layer in range(config["num_hidden_layers"])
        ]
        writer.add_sliding_window(config["sliding_window"])
        writer.add_sliding_window_pattern(period)
    for name, values in tensors.items():
        values = values.astype(np.float32)
        if architecture == "llama" and "q_proj" in name:
            values = interleaved(values, heads)
        if architecture == "llama" and "k_proj" in name:
            values = interleaved(values, kv_heads)
        if architecture == "gemma3" and name.endswith("norm.weight"):
            values = values + np.float32(1)
            if name.endswith("q_norm.weight"):
                values *= np.float32(math.sqrt(head_dim / config["query_pre_attn_scalar"]))
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight", ".bias")), values)
    full, _ = rope_of(config)
    if full.get("rope_type") == "llama3":
        writer.add_tensor("rope_freqs.weight", llama3_divisors(full, head_dim))
    write(writer)


def main():
    make_types(np.random.default_rng(20))
    make_model("llama", "llama")
    make_model("llama-rope", "llama")
    make_model("qwen2", "qwen2")
    make_model("qwen3", "qwen3")
    make_model("gemma3", "gemma3")
    for path in sorted(HERE.glob("*.*")):
        print(path.name, path.stat().st_size)


if __name__ == "__main__":
    main()
