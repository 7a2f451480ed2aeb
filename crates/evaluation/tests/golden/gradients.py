"""Makes gradients.json: static FFN cells of the scores that need gradients, in plain PyTorch.

    pip install -r ../../../models/tests/golden/requirements.txt
    python gradients.py

Models: folders of crates/models/tests/golden, by transformers, with eager attention. Texts: `llama` and
`opt` have tokenizers and read text.raw and calibration.raw as make.py does; the others get seeded ids. All
ids stand in the file.

What is decided here where several readings are possible:
  - g is the gradient of the mean NLL of the token's own window (over its T - 1 targets) with regard to h;
    the last token of a window has one too, which is zero; where ids are seeded, every second
    calibration window is short, so that a mean is told from a sum;
  - `taylor` = |sum g*h| and `fisher` = sum (g*h)^2 over all tokens of all calibration windows, products and
    sums in float64; gradients are those of the dense model;
  - the uses of one shared block are summed over before the absolute value, and share one set: what is
    dropped from shared weights is dropped at every depth.

Expected values are those of the float64 model. Every kept set must be the float32 model's too, and the last
kept and the first dropped score must differ by more than `MARGIN` (relative), or the script stops.
"""

import json
import math
import time

import torch
import torch.nn.functional as F
import transformers
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

import make

SITES = {
    "llama": "mlp.down_proj",
    "opt": ".fc2",
    "llama-relu": "mlp.down_proj",
    "gemma3": "mlp.down_proj",
    "zamba2": "feed_forward.down_proj",
}
SPARSITIES = [0.5, 0.9]
MARGIN = 1e-4
# Of models without a tokenizer: ids a window (of a short one), windows, calibration windows, seed.
WINDOW_IDS, SHORT, WINDOWS, CALIBRATION_WINDOWS, SEED = 24, 7, 6, 16, 700


def kept_set(scores, sparsity):
    """The indices that survive, and the relative gap between the last kept and the first dropped score."""
    keep = max(1, math.floor((1.0 - sparsity) * len(scores) + 0.5))
    order = torch.sort(scores, descending=True, stable=True).indices  # ties: lowest index first
    last, first = scores[order[keep - 1]].item(), scores[order[keep]].item()
    gap = math.inf if last == first == 0.0 else (last - first) / max(abs(last), abs(first))
    return sorted(order[:keep].tolist()), gap


def nll(logits, ids):
    """Summed over the targets, from float64 log-softmax."""
    return F.cross_entropy(logits[:-1].double(), torch.tensor(ids[1:]), reduction="sum")


class Model:
    """A model whose down projections show what they read, and read only what is kept."""

    def __init__(self, name, dtype):
        self.model = AutoModelForCausalLM.from_pretrained(
            make.MODELS / name, dtype=torch.float32, attn_implementation="eager"
        )
        self.model = self.model.to(dtype).eval()
        self.sets, self.seen, self.blocks = None, [], []
        for end, module in self.model.named_modules():
            if end.endswith(SITES[name]):
                module.register_forward_pre_hook(self.at_site)

    def at_site(self, module, inputs):
        """Sites are counted in the order in which a forward pass comes by."""
        (h,) = inputs
        if h.requires_grad:
            h.retain_grad()
        site = len(self.seen)
        self.seen.append(h)
        self.blocks.append(module.weight.data_ptr())
        if self.sets is None:
            return (h,)
        mask = torch.zeros(h.shape[-1], dtype=torch.bool)
        mask[self.sets[site]] = True
        return (torch.where(mask, h, torch.zeros_like(h)),)

    def run(self, ids):
        self.seen, self.blocks = [], []
        return self.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]

    def evaluate(self, windows, sets=None):
        self.sets = sets
        with torch.no_grad():
            rows = [nll(self.run(ids), ids).item() for ids in windows]
        self.sets = None
        return rows

    def scores(self, windows):
        """Score name -> one float64 vector for each block of weights; and the block of every site."""
        sums = {}
        for ids in windows:
            (nll(self.run(ids), ids) / (len(ids) - 1)).backward()
            for h, block in zip(self.seen, self.blocks):
                product = (h.double() * h.grad.double()).detach().reshape(-1, h.shape[-1])
                taylor, fisher = sums.get(block, (0.0, 0.0))
                sums[block] = (taylor + product.sum(0), fisher + product.square().sum(0))
            self.model.zero_grad()
        order = list(dict.fromkeys(self.blocks))
        scores = {
            "taylor": [sums[block][0].abs() for block in order],
            "fisher": [sums[block][1] for block in order],
        }
        return scores, [order.index(block) for block in self.blocks]


def texts(name):
    """Windows that are measured, and calibration windows."""
    folder = make.MODELS / name
    if (folder / "tokenizer.json").is_file():
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        windows, calibration = (
            make.cut(tokenizer.encode(make.read_raw(make.HERE / file)).ids)
            for file in ("text.raw", "calibration.raw")
        )
        return windows[: make.WINDOW_LIMIT], calibration
    vocab = json.loads((folder / "config.json").read_text())["vocab_size"]
    generator = torch.Generator().manual_seed(SEED)
    rows = torch.randint(0, vocab, (WINDOWS + CALIBRATION_WINDOWS, WINDOW_IDS), generator=generator)
    windows, calibration = rows[:WINDOWS].tolist(), rows[WINDOWS:].tolist()
    return windows, [ids[:SHORT] if row % 2 else ids for row, ids in enumerate(calibration)]


def cells_of(name):
    start = time.time()
    windows, calibration = texts(name)
    model, rounded = Model(name, torch.float64), Model(name, torch.float32)
    (scores, blocks), (other, _) = model.scores(calibration), rounded.scores(calibration)
    cells, smallest, moved = [], math.inf, 0.0
    for score in scores:
        for sparsity in SPARSITIES:
            kept = [kept_set(vector, sparsity) for vector in scores[score]]
            again = [kept_set(vector, sparsity)[0] for vector in other[score]]
            gap = min(gap for _, gap in kept)
            smallest = min(smallest, gap)
            assert gap > MARGIN, f"{name} {score} {sparsity}: the cut hangs on {gap:.1e}"
            assert again == [indices for indices, _ in kept], f"{name} {score} {sparsity}: rounding"
            sets = [kept[block][0] for block in blocks]
            values, rounded_values = model.evaluate(windows, sets), rounded.evaluate(windows, sets)
            moved = max(moved, *(abs(a - b) / (1 + b) for a, b in zip(rounded_values, values)))
            cell = dict(score=score, sparsity=sparsity, sets=sets)
            cells.append(cell | dict(nll_nats=[make.significant(v) for v in values]))
    dense = [make.significant(v) for v in model.evaluate(windows)]
    print(
        f"{name}: {len(blocks)} sites, {len(calibration)} calibration windows, {len(cells)} cells of "
        f"{len(windows)} windows; smallest gap {smallest:.1e}; float32 moves a value by {moved:.1e} "
        f"(relative, plus 1); {time.time() - start:.1f} s"
    )
    return dict(windows=windows, calibration=calibration, dense_nll_nats=dense), cells


def write(path, models):
    """JSON with one line a cell, so that a change shows where it is."""
    compact = dict(separators=(",", ":"))
    versions = dict(torch=torch.__version__, transformers=transformers.__version__)
    lines = ["{", f'"versions":{json.dumps(versions, **compact)},', '"models":{']
    for number, (name, (facts, cells)) in enumerate(models.items()):
        lines.append(f'"{name}":{{')
        lines += [f'"{key}":{json.dumps(value, **compact)},' for key, value in facts.items()]
        lines += ['"cells":[', ",\n".join(json.dumps(cell, **compact) for cell in cells)]
        lines.append("]}" + ("," if number + 1 < len(models) else ""))
    path.write_text("\n".join([*lines, "}}"]) + "\n", encoding="utf-8")
    print(f"{path.name}: {path.stat().st_size} bytes")


def main():
    print(f"torch {torch.__version__}, transformers {transformers.__version__}")
    torch.set_num_threads(1)  # the models are too small to share
    write(make.HERE / "gradients.json", {name: cells_of(name) for name in SITES})


if __name__ == "__main__":
    transformers.utils.logging.disable_progress_bar()
    main()
