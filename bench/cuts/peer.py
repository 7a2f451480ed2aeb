"""The peer of `bench --cuts`: SparseGPT of a Llama-like model with PyTorch and transformers.

It does what the published code does (Frantar & Alistarh 2023, arXiv 2301.00774), in float32: the inputs of
the first block are caught; block after block, a forward hook on every linear layer adds its inputs to that
layer's own H = (2/n) XXt, the layers are pruned column by column in blocks of 128, and the block runs again
on its pruned weights. Nothing is tuned beyond that and nothing is slowed down on purpose.

Prints one JSON object on standard output (`--json`) or the same as `name: value` lines:
`seconds` is the cut alone, from the ids to the pruned weights; `peak_rss_bytes` is the highest resident set
of the process when the cut ends, loading included; `perplexity` is measured after that.
"""

import argparse
import json
import math
import pathlib
import platform
import resource
import sys
import time

import torch
import transformers

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "peer"))
from peer import load, read_raw, window_nll, windows_of  # noqa: E402

DAMPING = 0.01
BLOCK = 128


class Hessian:
    """H = (2/n) XXt of one layer, a running mean over the n calibration windows."""

    def __init__(self, layer):
        self.windows = 0
        self.sum = torch.zeros(layer.in_features, layer.in_features)

    def add(self, _module, inputs, _output):
        rows = inputs[0].reshape(-1, inputs[0].shape[-1])
        self.sum *= self.windows / (self.windows + 1)
        self.windows += 1
        rows = math.sqrt(2.0 / self.windows) * rows
        self.sum += rows.T @ rows


def prune(layer, hessian, sparsity, pattern):
    """SparseGPT of one layer, in place; half of every block, or n of every m inputs, by W^2 / U_jj^2."""
    weight, hessian = layer.weight.data.clone(), hessian.sum
    dead = hessian.diagonal() == 0
    hessian.diagonal()[dead] = 1
    weight[:, dead] = 0
    hessian.diagonal().add_(DAMPING * hessian.diagonal().mean())
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(hessian))
    factor = torch.linalg.cholesky(inverse, upper=True)

    for first in range(0, weight.shape[1], BLOCK):
        last = min(first + BLOCK, weight.shape[1])
        block, upper = weight[:, first:last].clone(), factor[first:last, first:last]
        errors, diagonal = torch.zeros_like(block), upper.diagonal()
        drop = torch.zeros_like(block, dtype=torch.bool)
        if pattern is None:
            scores = block**2 / diagonal**2
            threshold = scores.flatten().sort().values[int(scores.numel() * sparsity)]
            drop = scores < threshold
        for j in range(last - first):
            if pattern is not None and j % pattern[1] == 0:
                scores = block[:, j : j + pattern[1]] ** 2 / diagonal[j : j + pattern[1]] ** 2
                least = scores.topk(pattern[1] - pattern[0], dim=1, largest=False).indices
                drop.scatter_(1, j + least, True)
            column = block[:, j]
            left = column.masked_fill(drop[:, j], 0.0)
            error = (column - left) / diagonal[j]
            errors[:, j] = error
            block[:, j:] -= error[:, None] @ upper[None, j, j:]
            block[:, j] = left
        weight[:, first:last] = block
        weight[:, last:] -= errors @ factor[first:last, last:]
    layer.weight.data = weight


class Caught(Exception):
    """Ends a forward pass at the first block."""


def inputs_of_blocks(model, windows):
    """What enters the first block, [n, 1, T, d], and the other arguments of a block."""
    caught, arguments = [], {}

    def catch(_module, inputs, named):
        caught.append(inputs[0])
        arguments.update(named)
        raise Caught

    handle = model.model.layers[0].register_forward_pre_hook(catch, with_kwargs=True)
    for ids in windows:
        try:
            model(input_ids=ids, use_cache=False)
        except Caught:
            pass
    handle.remove()
    return torch.stack(caught), arguments


def sparsegpt(model, windows, sparsity, pattern):
    inputs, arguments = inputs_of_blocks(model, windows)
    outputs = torch.zeros_like(inputs)
    for block in model.model.layers:
        layers = [m for m in block.modules() if isinstance(m, torch.nn.Linear)]
        hessians = [Hessian(layer) for layer in layers]
        handles = [l.register_forward_hook(h.add) for l, h in zip(layers, hessians)]
        for j in range(len(inputs)):
            outputs[j] = block(inputs[j], **arguments)
        for handle in handles:
            handle.remove()
        for layer, hessian in zip(layers, hessians):
            prune(layer, hessian, sparsity, pattern)
        for j in range(len(inputs)):
            outputs[j] = block(inputs[j], **arguments)
        inputs, outputs = outputs, inputs


def peak_rss_bytes():
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="Hugging Face folder or GGUF file")
    parser.add_argument("--dataset", required=True, help="WikiText .raw file to measure")
    parser.add_argument("--calibrate", required=True, help="WikiText .raw file to calibrate on")
    parser.add_argument("--sparsity", type=float, default=0.5, help="fraction dropped")
    parser.add_argument("--pattern", help="n:m in place of a fraction, such as 2:4")
    parser.add_argument("--calibrate-windows", type=int, default=16)
    parser.add_argument("--calibrate-window-tokens", type=int, default=512)
    parser.add_argument("--windows", type=int, default=4, help="text windows to measure")
    parser.add_argument("--window-tokens", type=int, default=1024)
    parser.add_argument("--threads", type=int, help="PyTorch's own choice when left out")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main():
    args = parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    pattern = tuple(map(int, args.pattern.split(":"))) if args.pattern else None
    tokenizer, model = load(args.model)
    encode = lambda path: tokenizer(read_raw(path))["input_ids"]
    calibration = windows_of(
        encode(args.calibrate), args.calibrate_window_tokens, args.calibrate_windows
    )
    windows = windows_of(encode(args.dataset), args.window_tokens, args.windows)

    with torch.inference_mode():
        start = time.perf_counter()
        sparsegpt(model, calibration, args.sparsity, pattern)
        seconds = time.perf_counter() - start
        peak = peak_rss_bytes()
        nlls = [window_nll(model, window) for window in windows]

    layers = [m for m in model.model.layers.modules() if isinstance(m, torch.nn.Linear)]
    zeros = sum((layer.weight == 0).sum().item() for layer in layers)
    result = {
        "seconds": seconds,
        "peak_rss_bytes": peak,
        "perplexity": math.exp(math.fsum(nlls) / (len(windows) * (args.window_tokens - 1))),
        "zeros": zeros / sum(layer.weight.numel() for layer in layers),
        "sparsity": args.sparsity if pattern is None else None,
        "pattern": args.pattern,
        "calibration_windows": len(calibration),
        "calibration_tokens": len(calibration) * args.calibrate_window_tokens,
        "windows": len(windows),
        "threads": torch.get_num_threads(),
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
