"""A Hugging Face folder of a Llama as a GGUF file in float32, for llama.cpp as a peer.

    python to_gguf.py FOLDER FILE.gguf

Weights alone, without a tokenizer: the peer is fed ids. Queries and keys are laid out as llama.cpp's rotary
positions want them: within a head, pairs that turn together are neighbours.
"""

import argparse
import json
import pathlib

import gguf
import numpy
from safetensors import safe_open

NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def paired(weight, heads):
    """Halves of a head that turn together become neighbours."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("file", type=pathlib.Path)
    args = parser.parse_args()
    config = json.loads((args.folder / "config.json").read_text())
    if config["model_type"] != "llama" or config["hidden_act"] != "silu":
        raise SystemExit("llama.cpp runs a Llama with SiLU; this is another model")
    heads = config["num_attention_heads"]
    kv_heads = config.get("num_key_value_heads", heads)
    writer = gguf.GGUFWriter(args.file, "llama")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    rope = config.get("rope_parameters") or {}
    writer.add_rope_freq_base(rope.get("rope_theta", config.get("rope_theta", 10000.0)))
    writer.add_rope_dimension_count(config["hidden_size"] // heads)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("no_vocab")
    with safe_open(args.folder / "model.safetensors", framework="numpy") as tensors:
        names = list(tensors.keys())
        for name in names:
            values = tensors.get_tensor(name).astype(numpy.float32)
            if name == "model.embed_tokens.weight":
                writer.add_tensor("token_embd.weight", values)
            elif name == "model.norm.weight":
                writer.add_tensor("output_norm.weight", values)
            elif name == "lm_head.weight":
                writer.add_tensor("output.weight", values)
            else:
                _, _, layer, rest = name.split(".", 3)
                part = rest.removesuffix(".weight")
                if part.endswith(("q_proj", "k_proj")):
                    values = paired(values, heads if part.endswith("q_proj") else kv_heads)
                writer.add_tensor(f"blk.{layer}.{NAMES[part]}.weight", numpy.ascontiguousarray(values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
