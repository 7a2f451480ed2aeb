"""The peers of `cargo xtask speed`: transformers, and llama.cpp by llama-cpp-python.

    python speed.py transformers MODEL --threads 2
    python speed.py llama.cpp FILE.gguf --threads 2

One model in a process of its own that waits for lines on standard input and answers each with a line of
JSON, as this project's own processes do. The first line is an object with `ids` and `tokens` (`prefill`,
`prompt`, `decode`); then `"prefill"` reads a prompt in one go and takes the logits behind it, `"decode"` reads
tokens one by one behind a prompt, each with all its logits. Nothing is tuned: float32, `from_pretrained` and
its cache; `Llama` with a batch of the prompt.
"""

import argparse
import json
import math
import sys
import time


def core_seconds():
    return time.process_time()


def peak_rss_bytes():
    for line in open("/proc/self/status", encoding="utf-8"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def reset_peak():
    with open("/proc/self/clear_refs", "w", encoding="utf-8") as file:
        file.write("5")


def mean_nll(rows, targets):
    """Mean of -log softmax(row)[target], rows as lists or arrays of logits."""
    import numpy

    total = 0.0
    for row, target in zip(rows, targets, strict=True):
        row = numpy.asarray(row, dtype=numpy.float64)
        largest = row.max()
        total += largest + math.log(numpy.exp(row - largest).sum()) - row[target]
    return total / len(targets)


class Transformers:
    """What a researcher would ordinarily write."""

    def __init__(self, args):
        import torch
        import transformers

        transformers.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        torch.set_num_threads(args.threads)
        self.torch = torch
        model = transformers.AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32)
        self.model = model.eval()
        self.about = f"transformers {transformers.__version__}, torch {torch.__version__}"
        self.parameters = sum(p.numel() for p in model.parameters())

    def start(self):
        self.past = None

    def feed(self, ids):
        """Logits behind the last of some ids that go on with what was fed before."""
        with self.torch.inference_mode():
            out = self.model(
                input_ids=self.torch.tensor([ids]), use_cache=True, logits_to_keep=1, **self.cache()
            )
        self.past = out
        return out.logits[0, -1]

    def cache(self):
        """The past, which recurrent models keep under another name."""
        if self.past is None:
            return {}
        if hasattr(self.past, "cache_params"):
            return {"cache_params": self.past.cache_params}
        return {"past_key_values": self.past.past_key_values}

    def cache_bytes(self):
        past = getattr(self.past, "past_key_values", None) or getattr(self.past, "cache_params", None)
        seen, total = set(), 0
        for layer in getattr(past, "layers", []):
            for tensor in vars(layer).values():
                if isinstance(tensor, self.torch.Tensor) and tensor.data_ptr() not in seen:
                    seen.add(tensor.data_ptr())
                    total += tensor.numel() * tensor.element_size()
        return total or None


class LlamaCpp:
    def __init__(self, args):
        import llama_cpp

        self.llama = llama_cpp.Llama(
            args.model, n_ctx=args.positions, n_batch=args.positions, n_ubatch=args.positions,
            n_threads=args.threads, n_threads_batch=args.threads, verbose=False,
        )
        self.about = f"llama-cpp-python {llama_cpp.__version__}"
        self.parameters = llama_cpp.llama_model_n_params(self.llama.model)

    def start(self):
        self.llama.reset()
        self.llama._ctx.kv_cache_clear()

    def feed(self, ids):
        import numpy

        self.llama.eval(ids)
        logits = self.llama._ctx.get_logits_ith(-1)
        return numpy.ctypeslib.as_array(logits, shape=(self.llama.n_vocab(),)).copy()

    def cache_bytes(self):
        return None


def timed(engine, ask, ids, tokens):
    engine.start()
    if ask == "prefill":
        first, pieces = tokens["prefill"], [ids[: tokens["prefill"]]]
    else:
        first = tokens["prompt"] + 1
        engine.feed(ids[: tokens["prompt"]])
        pieces = [[token] for token in ids[tokens["prompt"] : tokens["prompt"] + tokens["decode"]]]
    on_cores, started = core_seconds(), time.perf_counter()
    rows = [engine.feed(piece) for piece in pieces]
    seconds, on_cores = time.perf_counter() - started, core_seconds() - on_cores
    return {
        "tokens": sum(len(piece) for piece in pieces),
        "seconds": seconds,
        "core_seconds": on_cores,
        "nll_nats": mean_nll(rows, ids[first : first + len(rows)]),
        "cache_bytes": engine.cache_bytes(),
        "peak_rss_bytes": peak_rss_bytes(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("engine", choices=["transformers", "llama.cpp"])
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--positions", type=int, default=1024)
    args = parser.parse_args()
    engine = {"transformers": Transformers, "llama.cpp": LlamaCpp}[args.engine](args)
    print(json.dumps({"parameters": engine.parameters, "about": engine.about}), flush=True)
    reset_peak()
    given = json.loads(sys.stdin.readline())
    for line in sys.stdin:
        print(json.dumps(timed(engine, json.loads(line), given["ids"], given["tokens"])), flush=True)


if __name__ == "__main__":
    main()
