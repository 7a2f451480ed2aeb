"""Converts a GGUF file into an ordinary Hugging Face folder.

    python to_hf.py ../../data/cache/SmolLM2-135M-Instruct.Q4_1.gguf ../../data/cache/smollm2-hf

Writes config.json, model.safetensors (float32, the dequantised weights) and tokenizer.json,
all by transformers' own GGUF reader. The folder is 540 MB for SmolLM2-135M; keep it out of git.

The tokenizer is the one that transformers rebuilds from the file's vocabulary and merges: a
byte-level BPE with GPT-2's pre-tokenizer, 304,986 ids for WikiText-2 test. It loses the rule of the
file (`tokenizer.ggml.pre = smollm`) that digits stand one by one, which joins a line break and the
space before a digit into one token: 304,978 ids, as this project and llama.cpp have them. The
windows that are timed are the same.
"""

import argparse
import os

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gguf", help="the GGUF file")
    parser.add_argument("folder", help="the folder to write")
    args = parser.parse_args()

    where = os.path.dirname(os.path.abspath(args.gguf))
    name = os.path.basename(args.gguf)
    tokenizer = AutoTokenizer.from_pretrained(where, gguf_file=name)
    model = AutoModelForCausalLM.from_pretrained(where, gguf_file=name, dtype=torch.float32)
    # What is written is plain float32: nothing in the folder may point back to the GGUF file.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    plain = AutoModelForCausalLM.from_config(model.config, dtype=torch.float32)
    plain.load_state_dict(model.state_dict())
    plain.save_pretrained(args.folder)
    tokenizer.save_pretrained(args.folder)
    parameters = sum(p.numel() for p in plain.parameters())
    print(f"transformers {transformers.__version__}, torch {torch.__version__}")
    print(f"{args.folder}: {parameters:,} parameters in float32, {len(tokenizer):,} tokens")


if __name__ == "__main__":
    main()
