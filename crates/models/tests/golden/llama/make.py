"""Makes this folder, `llama-untied` and `llama-sharded`: small random Llamas and what transformers computes.

    pip install -r ../requirements.txt
    python make.py

llama          tied head, grouped queries (6 heads on 2 key-value heads), config.json as transformers 5
               writes it (`rope_parameters`)
llama-untied   its own output head, one layer, config.json as transformers 4 wrote it (`rope_theta` and
               `torch_dtype` at the top, no `head_dim`), with another rope_theta
llama-sharded  the weights of `llama` rounded to bfloat16, in two files with an index; the expected
               values are computed in float32 from the rounded weights

Everything is float32 with eager attention. The tokenizer has no special token.
"""

import json
import pathlib
import sys

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import golden  # noqa: E402

SITE = "mlp.down_proj"


def build(generator, layers, tied, rope_theta):
    config = LlamaConfig(
        vocab_size=golden.VOCAB,
        hidden_size=48,
        intermediate_size=80,
        num_hidden_layers=layers,
        num_attention_heads=6,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=64,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": rope_theta},
        tie_word_embeddings=tied,
        attn_implementation="eager",
    )
    model = LlamaForCausalLM(config).float().eval()
    golden.fill(model, generator, std=0.15)
    return model


def old_style_config(path):
    """Rewrites config.json with the names of transformers 4."""
    config = json.loads(path.read_text())
    config["rope_theta"] = config.pop("rope_parameters")["rope_theta"]
    config["rope_scaling"] = None
    config["torch_dtype"] = config.pop("dtype")
    config.pop("head_dim")
    config["transformers_version"] = "4.48.0"
    path.write_text(json.dumps(dict(sorted(config.items())), indent=2) + "\n")


def write_shards(model, folder):
    """Two bfloat16 files: the second holds the last layer and the final norm."""
    folder.mkdir(exist_ok=True)
    last = f"model.layers.{model.config.num_hidden_layers - 1}."
    shards = [{}, {}]
    for name, tensor in model.state_dict().items():
        if name != "lm_head.weight":  # tied: stored once
            second = name.startswith(last) or name == "model.norm.weight"
            shards[second][name] = tensor.to(torch.bfloat16).contiguous()
    index = {"metadata": {"total_size": 0}, "weight_map": {}}
    for number, shard in enumerate(shards, start=1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        save_file(shard, folder / file, metadata={"format": "pt"})
        index["weight_map"] |= dict.fromkeys(shard, file)
        index["metadata"]["total_size"] += sum(2 * tensor.numel() for tensor in shard.values())
    index["weight_map"] = dict(sorted(index["weight_map"].items()))
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
    model.config.dtype = torch.bfloat16
    model.config.save_pretrained(folder)


def reload(folder):
    return LlamaForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()


def main():
    golden.say_versions()
    generator = torch.Generator().manual_seed(10)

    tied = build(generator, layers=2, tied=True, rope_theta=10000.0)
    tied.save_pretrained(HERE)
    golden.write_expected(tied, SITE, [1, 2, 17, 64], generator, HERE / "expected.safetensors")
    golden.train_tokenizer(HERE / "tokenizer.json", golden.VOCAB - 4)

    folder = HERE.parent / "llama-untied"
    untied = build(generator, layers=1, tied=False, rope_theta=500000.0)
    untied.save_pretrained(folder)
    old_style_config(folder / "config.json")
    golden.write_expected(reload(folder), SITE, [1, 17], generator, folder / "expected.safetensors")

    folder = HERE.parent / "llama-sharded"
    write_shards(tied, folder)
    golden.write_expected(reload(folder), SITE, [1, 17], generator, folder / "expected.safetensors")

    for folder in (HERE, HERE.parent / "llama-untied"):
        (folder / "generation_config.json").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
