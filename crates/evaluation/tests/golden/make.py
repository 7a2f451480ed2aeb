"""Makes expected.json: what a plain PyTorch implementation of docs/SPEC.md gets on the golden models.

    pip install -r ../../../models/tests/golden/requirements.txt
    python make.py

Texts: text.raw and calibration.raw (made up, in the shape of WikiText's raw files) and lambada.jsonl
(made up; some last words are what the random models happen to predict). Models: the `llama` and `opt`
folders of crates/models/tests/golden, in float32 with eager attention, by transformers.

What is decided here where several readings are possible:
  - every window is run whole, its last id included, and hooks see all its tokens; of a LAMBADA sequence
    the last id is predicted and not run, as the harness has it (harness.py);
  - per-token scores are float32, their sums over a window or the calibration text float64; `wanda` is
    sqrt(sum of h^2) * l1; `impact` rounds the l2 norm to float32 first; `reversed` is minus the sum;
  - `prompt` takes one set from the sequence's first min(P, T) tokens and uses it for all its tokens;
  - calibration is the dense model on all whole ppl-16 windows of calibration.raw;
  - a LAMBADA sequence is the last max_positions + 1 ids of the text, special tokens counted.

A kept set hangs on the order of float32 numbers, so a row where two scores about the cut differ by less
than `doubtful_margin` (relative) may come out otherwise elsewhere: such rows are listed in `doubtful`, as are those in which an
entry of h is zero in float32 and not in float64 (a ReLU at a rounding from its edge). The script runs
everything again with the models in float64 and prints by how much the other rows move.
"""

import json
import math
import pathlib

import tokenizers
import torch
import transformers
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

HERE = pathlib.Path(__file__).resolve().parent
MODELS = HERE.parents[2] / "models" / "tests" / "golden"
SITES = {"llama": "mlp.down_proj", "opt": ".fc2"}
WINDOW_TOKENS = 16
WINDOW_LIMIT = 8
PROMPT_TOKENS = 5
DOUBTFUL_MARGIN = 1e-5
SCORES = ["magnitude", "weight", "impact", "energy", "wanda", "reversed"]
SPARSITIES = [0.5, 0.9]


def significant(value, digits=10):
    return float(f"{value:.{digits}g}")


def read_raw(path):
    with open(path, encoding="utf-8", newline="\n") as file:
        return "\n\n".join("" if line == " \n" else line for line in file)


def cut(ids):
    count = len(ids) // WINDOW_TOKENS
    return [ids[j * WINDOW_TOKENS : (j + 1) * WINDOW_TOKENS] for j in range(count)]


def split_last_word(text):
    """Context and target: the target starts with the white space before the last word."""
    context = text[: text.rindex(" ")].rstrip()
    return context, text[len(context) :]


class Site:
    """One down projection: its weight norms and its width."""

    def __init__(self, weight):
        columns = weight.detach().double()
        self.l1 = columns.abs().sum(dim=0)
        self.l2 = columns.square().sum(dim=0).sqrt()
        self.width = columns.shape[1]

    def kept_count(self, sparsity):
        return max(1, math.floor((1.0 - sparsity) * self.width + 0.5))

    def scores(self, name, h):
        """Float64 scores [F] of the tokens h [t, F]."""
        if name == "magnitude":
            return h.abs().double().sum(dim=0)
        if name == "reversed":
            return -h.abs().double().sum(dim=0)
        if name == "weight":
            return self.l2
        if name == "impact":
            return (h.abs() * self.l2.to(h.dtype)).double().sum(dim=0)
        if name == "energy":
            return (h * h).double().sum(dim=0)
        if name == "wanda":
            return (h * h).double().sum(dim=0).sqrt() * self.l1
        raise ValueError(f"unknown score {name}")

    def kept_set(self, scores, sparsity):
        """Boolean mask [F] and the relative distance between the last kept and the first dropped score."""
        keep = self.kept_count(sparsity)
        order = torch.sort(scores, descending=True, stable=True).indices  # ties: lowest index first
        mask = torch.zeros(self.width, dtype=torch.bool)
        mask[order[:keep]] = True
        last, first = scores[order[keep - 1]].item(), scores[order[keep]].item()
        if last == first == 0.0:
            return mask, math.inf  # exact zeros of the ReLU: the order is by index
        return mask, (last - first) / max(abs(last), abs(first))


class Model:
    def __init__(self, name, dtype):
        folder = MODELS / name
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager"
        )
        self.model = self.model.to(dtype).eval()
        self.max_positions = self.model.config.max_position_embeddings
        modules = [m for n, m in self.model.named_modules() if n.endswith(SITES[name])]
        self.sites = [Site(module.weight) for module in modules]
        for index, module in enumerate(modules):
            module.register_forward_pre_hook(
                lambda _module, inputs, index=index: (self.at_site(index, inputs[0]),)
            )
        self.choose = None
        self.seen = []

    def at_site(self, index, hidden):
        shape = hidden.shape
        h = hidden.reshape(-1, shape[-1])
        if self.choose is None:
            mask = torch.ones_like(h, dtype=torch.bool)
        else:
            mask = self.choose(index, h)
        self.seen.append((h, mask))
        return torch.where(mask, h, torch.zeros_like(h)).reshape(shape)

    def run(self, ids, choose=None):
        """Float64 log-softmax [T, vocab] and, per site, h and its mask [T, F]."""
        self.choose, self.seen = choose, []
        with torch.inference_mode():
            logits = self.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
        return torch.log_softmax(logits.double(), dim=-1), self.seen

    def calibration_scores(self, windows):
        """Score name -> one float64 vector per site, over all tokens of the dense windows."""
        hidden = [[] for _ in self.sites]
        for ids in windows:
            for index, (h, _) in enumerate(self.run(ids)[1]):
                hidden[index].append(h)
        return {
            score: [s.scores(score, torch.cat(h)) for s, h in zip(self.sites, hidden)]
            for score in SCORES
        }


def chooser(model, cell, calibration, margins):
    """The function that picks the mask of a site's hidden h [T, F] for a whole sequence."""
    policy, rule, score, sparsity = (cell[k] for k in ("policy", "rule", "score", "sparsity"))
    if policy == "dense":
        return None

    def choose(index, h):
        site = model.sites[index]
        tokens = h.shape[0]

        def kept(scores):
            mask, margin = site.kept_set(scores, sparsity)
            margins.append(margin)
            return mask

        if policy == "static" or rule == "calibration":
            return kept(calibration[score][index]).expand(tokens, -1)
        if rule == "prompt":
            return kept(site.scores(score, h[: cell["prompt_tokens"]])).expand(tokens, -1)
        window = 1 if policy == "dynamic" else cell["window"]
        mask = torch.empty_like(h, dtype=torch.bool)
        for start in range(0, tokens, window):
            end = min(start + window, tokens)
            if policy == "dynamic" or rule == "window-mean":
                source = h[start:end]
            elif rule == "first-token" or start == 0:
                source = h[start : start + 1]
            elif rule == "previous-window":
                source = h[start - window : start]
            else:
                raise ValueError(f"unknown rule {rule}")
            mask[start:end] = kept(site.scores(score, source))
        return mask

    return choose


def shares(seen):
    """Reached sparsity, natural sparsity and kept energy over all sites and tokens of a sequence."""
    entries = sum(h.numel() for h, _ in seen)
    kept = sum(mask.sum().item() for _, mask in seen)
    zeros = sum((h == 0).sum().item() for h, _ in seen)
    energy = sum(h.double().square().sum().item() for h, _ in seen)
    held = sum(h.double().square()[mask].sum().item() for h, mask in seen)
    return 1.0 - kept / entries, zeros / entries, held / energy


def treatments():
    """Every (policy, score, sparsity, window, rule, prompt_tokens) that is measured."""

    def treatment(policy, score=None, sparsity=0.0, window=None, rule=None):
        prompt = PROMPT_TOKENS if rule == "prompt" else None
        return dict(
            policy=policy,
            score=score,
            sparsity=sparsity,
            window=window,
            rule=rule,
            prompt_tokens=prompt,
        )

    yield treatment("dense")
    for sparsity in SPARSITIES:
        for score in SCORES:
            yield treatment("dynamic", score, sparsity)
            yield treatment("static", score, sparsity)
            yield treatment("window", score, sparsity, 4, "window-mean")
        for rule in ["first-token", "previous-window", "prompt", "calibration"]:
            yield treatment("window", "magnitude", sparsity, 4, rule)
        for rule in ["window-mean", "first-token", "previous-window"]:
            yield treatment("window", "magnitude", sparsity, 16, rule)
    for rule in ["first-token", "previous-window", "prompt", "calibration"]:
        yield treatment("window", "wanda", 0.5, 4, rule)


def measure(model, cell, windows, items, calibration):
    """Rows of the three protocols for one treatment."""

    def rows(sequences, values):
        """Runs every sequence once; one dictionary of columns for each function of `values`."""
        tables = [{} for _ in values]
        for sequence in sequences:
            margins = []
            logprobs, seen = model.run(sequence["run"], chooser(model, cell, calibration, margins))
            reached, natural, kept = shares(seen)
            common = dict(reached_sparsity=reached, natural_sparsity=natural, kept_energy=kept)
            common["margin"] = min(margins, default=math.inf)
            for table, value in zip(tables, values):
                for name, number in (value(sequence, logprobs) | common).items():
                    table.setdefault(name, []).append(number)
        return tables

    def target_logprobs(sequence, logprobs, count):
        ids = sequence["ids"]
        positions = range(len(ids) - count, len(ids))
        total = sum(logprobs[p - 1, ids[p]].item() for p in positions)
        correct = all(logprobs[p - 1].argmax().item() == ids[p] for p in positions)
        return dict(correct=int(correct), logprob_nats=total)

    def window_nll(sequence, logprobs):
        ids = sequence["ids"]
        return dict(nll_nats=-sum(logprobs[p - 1, ids[p]].item() for p in range(1, len(ids))))

    (perplexity,) = rows([dict(ids=ids, run=ids) for ids in windows], [window_nll])
    whole_word, last_token = rows(
        items,
        [
            lambda s, logprobs: target_logprobs(s, logprobs, s["n_target_tokens"]),
            lambda s, logprobs: target_logprobs(s, logprobs, 1),
        ],
    )
    return {
        f"ppl-{WINDOW_TOKENS}": perplexity,
        "lambada-openai": whole_word,
        "lambada-last-token": last_token,
    }


def lambada_items(model):
    items = []
    for line in (HERE / "lambada.jsonl").read_text(encoding="utf-8").splitlines():
        text = json.loads(line)["text"]
        context, target = split_last_word(text)
        before = model.tokenizer.encode(context).ids
        after = model.tokenizer.encode(context + target).ids[len(before) :]
        ids = (before + after)[-(model.max_positions + 1) :]
        items.append(dict(ids=ids, run=ids[:-1], n_target_tokens=len(after)))
    return items


def compare(name, treatment, protocol, rows, exact):
    """Largest differences of the sure rows between the float32 and the float64 model."""
    worst = dict(value=0.0, kept_energy=0.0, flips=0)
    values = "nll_nats" if "nll_nats" in rows else "logprob_nats"
    for row, margin in enumerate(rows["margin"]):
        gap = abs(rows[values][row] - exact[values][row])
        if margin < DOUBTFUL_MARGIN:
            worst["flips"] += gap > 1e-4
            continue
        worst["value"] = max(worst["value"], gap)
        worst["kept_energy"] = max(
            worst["kept_energy"], abs(rows["kept_energy"][row] - exact["kept_energy"][row])
        )
        if "correct" in rows and rows["correct"][row] != exact["correct"][row]:
            raise SystemExit(f"{name} {protocol} {treatment} row {row}: `correct` hangs on rounding")
    return worst


def main():
    print(f"torch {torch.__version__}, transformers {transformers.__version__}")
    torch.set_num_threads(1)  # the models are too small to share
    out = {}
    for name in SITES:
        model, exact = Model(name, torch.float32), Model(name, torch.float64)
        text_ids = model.tokenizer.encode(read_raw(HERE / "text.raw")).ids
        calibration_ids = model.tokenizer.encode(read_raw(HERE / "calibration.raw")).ids
        windows, items = cut(text_ids), lambada_items(model)
        calibration = model.calibration_scores(cut(calibration_ids))
        exact_calibration = exact.calibration_scores(cut(calibration_ids))
        for score, vectors in calibration.items():
            for sparsity in SPARSITIES:
                margins = [s.kept_set(v, sparsity)[1] for s, v in zip(model.sites, vectors)]
                if min(margins) < DOUBTFUL_MARGIN:
                    raise SystemExit(f"{name}: static {score} at {sparsity} hangs on rounding")

        cells, doubtful, flips, worst_value, worst_energy, correct = [], 0, 0, 0.0, 0.0, 0
        for treatment in treatments():
            rows = measure(model, treatment, windows[:WINDOW_LIMIT], items, calibration)
            other = measure(exact, treatment, windows[:WINDOW_LIMIT], items, exact_calibration)
            for protocol, columns in rows.items():
                worst = compare(name, treatment, protocol, columns, other[protocol])
                worst_value = max(worst_value, worst["value"])
                worst_energy = max(worst_energy, worst["kept_energy"])
                flips += worst["flips"]
                margin = columns.pop("margin")
                zeros = zip(columns["natural_sparsity"], other[protocol]["natural_sparsity"])
                near = [
                    row
                    for row, (value, (ours, exactly)) in enumerate(zip(margin, zeros))
                    if value < DOUBTFUL_MARGIN or ours != exactly
                ]
                doubtful += len(near)
                correct += sum(columns.get("correct", []))
                reached = set(columns.pop("reached_sparsity"))
                assert len(reached) == 1, "all sites of a golden model have one width"
                cell = dict(protocol=protocol, **treatment)
                cell["reached_sparsity"] = significant(reached.pop())
                for column in ("nll_nats", "correct", "logprob_nats", "natural_sparsity", "kept_energy"):
                    if column in columns:
                        cell[column] = [
                            v if isinstance(v, int) else significant(v) for v in columns[column]
                        ]
                cell["doubtful"] = near
                cells.append(cell)
        dense = [
            -sum(l[p - 1, ids[p]].item() for p in range(1, len(ids)))
            for ids in windows
            for l in [model.run(ids)[0]]
        ]
        total = sum(len(c["kept_energy"]) for c in cells)
        print(
            f"{name}: {len(text_ids)} ids, {len(windows)} windows, {len(calibration_ids)} calibration ids, "
            f"{len(items)} items, {len(cells)} cells, {total} rows ({doubtful} doubtful, {flips} of them "
            f"move in float64), {correct} correct; sure rows move by at most {worst_value:.1e} nats and "
            f"{worst_energy:.1e} of kept energy"
        )
        out[name] = dict(
            text_ids=len(text_ids),
            calibration_ids=len(calibration_ids),
            first_window_ids=windows[0],
            items=[
                dict(n_tokens=len(i["ids"]), n_target_tokens=i["n_target_tokens"]) for i in items
            ],
            dense_nll_nats_of_all_windows=[significant(v) for v in dense],
            cells=cells,
        )

    versions = dict(
        torch=torch.__version__,
        transformers=transformers.__version__,
        tokenizers=tokenizers.__version__,
    )
    write(out, versions)


def write(models, versions):
    """JSON with one line a cell, so that a change shows where it is."""
    compact = dict(separators=(",", ":"))
    lines = [
        "{",
        '"made_by":"make.py",',
        f'"versions":{json.dumps(versions, **compact)},',
        f'"window_tokens":{WINDOW_TOKENS},',
        f'"window_limit":{WINDOW_LIMIT},',
        f'"doubtful_margin":{DOUBTFUL_MARGIN},',
        '"models":{',
    ]
    for number, (name, model) in enumerate(models.items()):
        cells = model.pop("cells")
        lines.append(f'"{name}":{{')
        lines += [f'"{key}":{json.dumps(value, **compact)},' for key, value in model.items()]
        lines.append('"cells":[')
        lines.append(",\n".join(json.dumps(cell, **compact) for cell in cells))
        lines.append("]}" + ("," if number + 1 < len(models) else ""))
    lines.append("}}")
    path = HERE / "expected.json"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    transformers.utils.logging.disable_progress_bar()
    main()
