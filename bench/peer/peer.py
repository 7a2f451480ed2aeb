"""The peer of the benchmark: FFN activation sparsity with PyTorch and transformers.

It does what a researcher would ordinarily write. The model is loaded in float32 by
`from_pretrained`; a forward pre-hook on every down projection multiplies its input `h`
by a top-k mask of |h|; the whole window's logits go through `F.cross_entropy`. Nothing
is tuned beyond that and nothing is slowed down on purpose.

Cases (score: magnitude; words as in the project's specification):
  dense    no hook
  dynamic  one top-k per token
  window   |h| summed over each window of W tokens, one top-k per window, mask broadcast
  static   |h| summed over calibration tokens, one top-k per layer, the same mask for all

Prints one JSON object on standard output (`--json`) or the same as `name: value` lines.
"""

import argparse
import json
import math
import os
import platform
import resource
import statistics
import sys
import time

import torch
import torch.nn.functional as F
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer


def kept_count(width, sparsity):
    """Entries that survive: max(1, round((1 - sparsity) * width)), half away from zero."""
    return max(1, math.floor((1.0 - sparsity) * width + 0.5))


def read_raw(path):
    """A WikiText file as `ppl-T` text: rows keep their newline, blank rows are empty, joined by two newlines."""
    with open(path, encoding="utf-8", newline="\n") as file:
        rows = ["" if line == " \n" else line for line in file]
    return "\n\n".join(rows)


def windows_of(ids, window_tokens, limit):
    """The first `limit` disjoint windows of `window_tokens` ids, each as a [1, T] tensor."""
    count = len(ids) // window_tokens
    count = count if limit is None else min(count, limit)
    if count == 0:
        sys.exit(f"the text has {len(ids)} ids, fewer than one window of {window_tokens}")
    return [
        torch.tensor([ids[j * window_tokens : (j + 1) * window_tokens]]) for j in range(count)
    ]


def load(path):
    """Tokenizer and float32 model from a Hugging Face folder or a GGUF file."""
    where, extra = path, {}
    if path.endswith(".gguf"):
        where, extra = os.path.dirname(os.path.abspath(path)), {"gguf_file": os.path.basename(path)}
    tokenizer = AutoTokenizer.from_pretrained(where, **extra)
    model = AutoModelForCausalLM.from_pretrained(where, dtype=torch.float32, **extra)
    return tokenizer, model.eval()


def down_projections(model):
    """The layers whose input is `h`, first layer first."""
    ends = ("mlp.down_proj", ".fc2")
    return [module for name, module in model.named_modules() if name.endswith(ends)]


def top_k_mask(score, keep):
    """1 at the `keep` largest entries of the last axis, 0 elsewhere."""
    top = torch.topk(score, keep, dim=-1, sorted=False).indices
    return torch.zeros_like(score).scatter_(-1, top, 1.0)


def dynamic_hook(keep):
    def hook(_module, inputs):
        (h,) = inputs
        return (h * top_k_mask(h.abs(), keep),)

    return hook


def window_hook(keep, window):
    def hook(_module, inputs):
        (h,) = inputs
        *batch, tokens, width = h.shape  # OPT drops the batch axis here
        pad = -tokens % window
        score = F.pad(h.abs(), (0, 0, 0, pad)).view(*batch, -1, window, width).sum(dim=-2)
        mask = top_k_mask(score, keep).repeat_interleave(window, dim=-2)[..., :tokens, :]
        return (h * mask,)

    return hook


def static_hook(mask):
    def hook(_module, inputs):
        (h,) = inputs
        return (h * mask,)

    return hook


def static_masks(model, windows, sparsity):
    """One mask per down projection from the sum of |h| over all calibration tokens."""
    layers = down_projections(model)
    sums = [torch.zeros(layer.in_features, dtype=torch.float64) for layer in layers]

    def watch(total):
        def hook(_module, inputs):
            total.add_(inputs[0].abs().flatten(0, -2).sum(dim=0, dtype=torch.float64))

        return hook

    handles = [l.register_forward_pre_hook(watch(total)) for l, total in zip(layers, sums)]
    with torch.inference_mode():
        for ids in windows:
            model(input_ids=ids, use_cache=False)
    for handle in handles:
        handle.remove()
    return [top_k_mask(total, kept_count(len(total), sparsity)).float() for total in sums]


def add_hooks(model, args, tokenizer):
    layers = down_projections(model)
    if args.case == "dense":
        return
    if args.case == "static":
        ids = tokenizer(read_raw(args.calibrate))["input_ids"]
        calibration = windows_of(ids, args.window_tokens, args.calibrate_windows)
        hooks = [static_hook(mask) for mask in static_masks(model, calibration, args.sparsity)]
    else:
        keeps = [kept_count(layer.in_features, args.sparsity) for layer in layers]
        if args.case == "dynamic":
            hooks = [dynamic_hook(keep) for keep in keeps]
        else:
            hooks = [window_hook(keep, args.window) for keep in keeps]
    for layer, hook in zip(layers, hooks):
        layer.register_forward_pre_hook(hook)


def window_nll(model, ids):
    """Negative log-likelihood in nats of a window's T - 1 targets."""
    logits = model(input_ids=ids, use_cache=False).logits
    shifted = logits[:, :-1].reshape(-1, logits.shape[-1])
    return F.cross_entropy(shifted, ids[:, 1:].reshape(-1), reduction="sum").item()


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="Hugging Face folder or GGUF file")
    parser.add_argument("--dataset", required=True, help="WikiText .raw file")
    parser.add_argument("--case", required=True, choices=["dense", "dynamic", "window", "static"])
    parser.add_argument("--sparsity", type=float, help="fraction dropped, 0 <= sparsity < 1")
    parser.add_argument("--window", type=int, help="tokens that share one kept set (case window)")
    parser.add_argument("--windows", type=int, help="text windows to measure; all when left out")
    parser.add_argument("--window-tokens", type=int, default=1024)
    parser.add_argument("--calibrate", help="WikiText .raw file (case static)")
    parser.add_argument("--calibrate-windows", type=int, help="all when left out")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--threads", type=int, help="PyTorch's own choice when left out")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.case != "dense" and (args.sparsity is None or not 0.0 <= args.sparsity < 1.0):
        parser.error(f"--case {args.case} needs --sparsity in [0, 1)")
    if args.case == "window" and (args.window is None or args.window < 1):
        parser.error("--case window needs --window of at least 1")
    if args.case == "static" and args.calibrate is None:
        parser.error("--case static needs --calibrate")
    if args.repeats < 1:
        parser.error("--repeats must be at least 1")
    return args


def main():
    args = parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    tokenizer, model = load(args.model)
    ids = tokenizer(read_raw(args.dataset))["input_ids"]
    windows = windows_of(ids, args.window_tokens, args.windows)
    add_hooks(model, args, tokenizer)

    seconds = []
    with torch.inference_mode():
        window_nll(model, windows[0])  # warm-up
        for _ in range(args.repeats):
            start = time.perf_counter()
            nlls = [window_nll(model, window) for window in windows]
            seconds.append(time.perf_counter() - start)

    tokens = len(windows) * args.window_tokens
    targets = len(windows) * (args.window_tokens - 1)
    result = {
        "case": args.case,
        "sparsity": args.sparsity if args.case != "dense" else None,
        "window": args.window if args.case == "window" else None,
        "perplexity": math.exp(math.fsum(nlls) / targets),
        "window_nll_nats": nlls,
        "windows": len(windows),
        "tokens": tokens,
        "seconds": seconds,
        "tokens_per_second": tokens / statistics.median(seconds),
        # Linux counts in KiB, macOS in bytes.
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        * (1 if platform.system() == "Darwin" else 1024),
        "text_ids": len(ids),
        "threads": torch.get_num_threads(),
        "attention": model.config._attn_implementation,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    if args.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name}: {value}")


if __name__ == "__main__":
    # Long texts are meant to be longer than the model's positions: they are cut into windows.
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    main()
