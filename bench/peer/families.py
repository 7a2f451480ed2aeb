"""The peer of `cargo xtask bench --families`: dense tokens per second of transformers on this machine.

    python families.py make FOLDER                     random models of about 100 M parameters
    python families.py run MODEL --windows 2 --tokens 1024 --threads 2

`run` is what a researcher would ordinarily write: float32, `from_pretrained`, one window at a time, the
logits of all tokens, `F.cross_entropy`. On a CPU the Mamba-2 layers take transformers' plain PyTorch
path: its fast kernels need a GPU. Ids are made up by a formula that the other side knows too, so that
the mean loss of both can be compared. Prints one JSON object.
"""

import argparse
import json
import pathlib
import resource
import time

import torch
import torch.nn.functional as F
import transformers
from transformers import AutoModelForCausalLM

VOCABULARY = 32003
POSITIONS = 2048


def configs():
    """Family to config: shapes of real models, made narrower or shallower where they are larger."""
    decoder = {
        "vocab_size": VOCABULARY,
        "hidden_size": 768,
        "intermediate_size": 2048,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "num_key_value_heads": 4,
        "max_position_embeddings": POSITIONS,
        "tie_word_embeddings": True,
    }
    return {
        "opt": transformers.OPTConfig(
            vocab_size=VOCABULARY, hidden_size=768, word_embed_proj_dim=768, ffn_dim=3072,
            num_hidden_layers=12, num_attention_heads=12, max_position_embeddings=POSITIONS,
        ),
        "gpt2": transformers.GPT2Config(
            vocab_size=VOCABULARY, n_embd=768, n_layer=12, n_head=12, n_positions=POSITIONS
        ),
        "llama": transformers.LlamaConfig(**decoder),
        "llama-relu": transformers.LlamaConfig(**decoder, hidden_act="relu"),
        "mistral": transformers.MistralConfig(**decoder, head_dim=64, sliding_window=512),
        "qwen2": transformers.Qwen2Config(**decoder),
        "qwen3": transformers.Qwen3Config(**decoder, head_dim=64),
        "gemma3": transformers.Gemma3TextConfig(
            **decoder, head_dim=64, query_pre_attn_scalar=64, sliding_window=512
        ),
        "mamba2": transformers.Mamba2Config(
            vocab_size=VOCABULARY, hidden_size=768, num_hidden_layers=24, num_heads=24, head_dim=64,
            state_size=128, n_groups=1, expand=2, chunk_size=256, tie_word_embeddings=True,
        ),
        "zamba2": transformers.Zamba2Config(
            vocab_size=VOCABULARY, hidden_size=768, num_hidden_layers=18, num_attention_heads=12,
            mamba_d_state=64, n_mamba_heads=24, mamba_ngroups=1, intermediate_size=3072,
            num_mem_blocks=1, use_shared_attention_adapter=True, use_mem_rope=True, adapter_rank=64,
            layers_block_type=["hybrid" if i % 6 == 5 else "linear_attention" for i in range(18)],
            max_position_embeddings=POSITIONS,
        ),
    }


def make(folder):
    for seed, (name, config) in enumerate(configs().items()):
        target = folder / name
        if (target / "model.safetensors").is_file():
            continue
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        model.save_pretrained(target)
        print(f"{name}: {sum(p.numel() for p in model.parameters()) / 1e6:.1f} M parameters")


def made_up(window, tokens, vocabulary):
    return [(7919 * t + 104729 * window + 17) % vocabulary for t in range(tokens)]


def run(args):
    torch.set_num_threads(args.threads)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32).eval()
    vocabulary = model.config.vocab_size
    windows = [
        torch.tensor([made_up(w, args.tokens, vocabulary)]) for w in range(args.windows)
    ]

    def nll(ids):
        logits = model(input_ids=ids, use_cache=False, logits_to_keep=0).logits
        flat = logits[0, :-1]
        return F.cross_entropy(flat, ids[0, 1:], reduction="sum").item()

    with torch.inference_mode():
        nll(windows[0])
        started = time.perf_counter()
        total = sum(nll(ids) for ids in windows)
        seconds = time.perf_counter() - started
    print(
        json.dumps(
            {
                "parameters": sum(p.numel() for p in model.parameters()),
                "tokens_per_second": args.windows * args.tokens / seconds,
                "nll_per_target": total / (args.windows * (args.tokens - 1)),
                "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
        )
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    maker = commands.add_parser("make")
    maker.add_argument("folder", type=pathlib.Path)
    runner = commands.add_parser("run")
    runner.add_argument("model", type=pathlib.Path)
    runner.add_argument("--windows", type=int, default=2)
    runner.add_argument("--tokens", type=int, default=1024)
    runner.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    if args.command == "make":
        make(args.folder)
    else:
        run(args)


if __name__ == "__main__":
    main()
