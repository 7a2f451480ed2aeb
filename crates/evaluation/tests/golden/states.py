"""Makes states.json: what docs/SPEC.md section 5 (the state of Mamba-2) gives in plain PyTorch.

    pip install -r ../../../models/tests/golden/requirements.txt
    python states.py

Models: the Mamba-2 and Zamba2 folders of crates/models/tests/golden, by transformers, but every mixer
runs the code below: the recurrence of the specification, one token after the other. Unmasked it must give
what transformers' own mixers give. Texts are seeded ids; all ids stand in the file.

What is decided here where several readings are possible:
  - a cut channel is neither written nor read: B' and C' are zero in it, after convolution and SiLU;
  - `ghost` of a window is the sum of its tokens' scores |C'_t|*|H_t| (sections 1 and 5); the root of the
    sum of their squares, as the formula for a calibration text has it, would be another reading, and the
    script prints how often it would keep other channels (a single token is the same in both);
  - `ghost-factored` takes the mean of sum_k sum_p H^2; `state-weight` takes rows of the weight, not its bias;
  - `state-taylor` = |sum_t C'_t * d(mean NLL of the token's own window)/dC'_t| of the dense model;
  - mode `write`: a window is scored as if its tokens wrote every channel, from the state that the windows
    before it left; then it runs from that state with B' and C' masked. `previous-window` reads the scores
    that the window before was given in this way; the first window reads its first token's. Mode `read`:
    the state and the scores are those of the unmasked recurrence;
  - Zamba2's time steps are not clipped, Mamba-2's as config.json says (see ../../../models/tests/golden).

Expected values are those of the float64 model. At every cut, static or not, the last kept and the first
dropped score must differ by more than `MARGIN` (relative): windows where they do not are passed over, and
a calibration text where they do not stops the script. The float32 model must agree within `ROUNDING`.
"""

import math
import time
import types

import torch
import torch.nn.functional as F
import transformers
from transformers import AutoModelForCausalLM

import make
from gradients import write

# The seeds of the calibration texts, such that recalibration keeps other channels than one-shot somewhere.
MODELS = {
    "mamba2": 727,
    "mamba2-one-group": 722,
    "mamba2-head-groups": 720,
    "zamba2": 725,
    "zamba2-two": 725,
}
SPARSITIES = [0.5, 0.75]
WINDOW = 4
MARGIN = 1e-4
ROUNDING = 2e-6
# 22 tokens are more than a chunk of the models' scans, and leave a short last window of 2.
WINDOW_IDS, WINDOWS, CANDIDATES, CALIBRATION_WINDOWS, SEED = 22, 8, 40, 12, 720


def kept_mask(scores, sparsity):
    """Of scores [rows, G*N]: the mask of what survives, and the smallest gap of every row."""
    keep = max(1, math.floor((1.0 - sparsity) * scores.shape[-1] + 0.5))
    ordered, order = torch.sort(scores, dim=-1, descending=True, stable=True)  # ties: lowest index first
    mask = torch.zeros_like(scores, dtype=torch.bool).scatter_(-1, order[:, :keep], True)
    last, first = ordered[:, keep - 1], ordered[:, keep]
    return mask, (last - first) / torch.maximum(last.abs(), first.abs())


class Static:
    """One mask [G*N] a site, or None where everything is kept."""

    def __init__(self, masks):
        self.masks = masks

    def run(self, site, mixer, tokens):
        mask = self.masks[site]
        if mask is None:
            mask = torch.ones(mixer.n_groups * mixer.ssm_state_size, dtype=torch.bool)
        mask = mask.expand(tokens.rows, -1)
        state, outputs = tokens.start(), []
        for t in range(tokens.length):
            state = tokens.step(state, t, mask)
            outputs.append(tokens.read(state, t, mask))
        return torch.stack(outputs, dim=1)


class Windowed:
    """Sets chosen by `ghost` for every `window` tokens; `gaps` collects the smallest gap of every row."""

    def __init__(self, sparsity, window, rule, mode, summed="norms"):
        self.sparsity, self.window, self.rule, self.mode = sparsity, window, rule, mode
        self.summed, self.gaps, self.masks = summed, [], []

    def run(self, site, mixer, tokens):
        everything = torch.ones(tokens.rows, mixer.n_groups * mixer.ssm_state_size, dtype=torch.bool)
        state, outputs, squares = tokens.start(), [], []
        for start in range(0, tokens.length, self.window):
            rows = range(start, min(start + self.window, tokens.length))
            trial = state
            for t in rows:
                trial = tokens.step(trial, t, everything)
                squares.append(tokens.energy(trial) * tokens.c[:, t].square())
            if self.rule == "window-mean":
                source = squares[rows.start : rows.stop]
            elif self.rule == "first-token" or start == 0:
                source = [squares[start]]
            elif self.rule == "previous-window":
                source = squares[start - self.window : start]
            else:
                raise ValueError(f"unknown rule {self.rule}")
            if self.summed == "squares":
                scores = torch.stack(source).sum(0).sqrt()
            else:
                scores = torch.stack(source).sqrt().sum(0)
            mask, gaps = kept_mask(scores.double(), self.sparsity)
            self.gaps.append(gaps)
            self.masks.append(mask)
            for t in rows:
                state = tokens.step(state, t, mask if self.mode == "write" else everything)
                outputs.append(tokens.read(state, t, mask))
        return torch.stack(outputs, dim=1)


class Tokens:
    """What drives the recurrence of one mixer for some sequences of one length."""

    def __init__(self, mixer, projected):
        self.mixer = mixer
        self.rows, self.length, _ = projected.shape
        inner, mixed = mixer.intermediate_size, mixer.n_groups * mixer.ssm_state_size
        self.gate, xbc, raw = projected.split([inner, inner + 2 * mixed, mixer.num_heads], dim=-1)
        before = F.pad(xbc.transpose(1, 2), (mixer.conv_kernel_size - 1, 0))
        weight = mixer.conv1d.weight  # one filter a channel
        xbc = F.silu(F.conv1d(before, weight, mixer.conv1d.bias, groups=len(weight)).transpose(1, 2))
        x, self.b, self.c = xbc.split([inner, mixed, mixed], dim=-1)
        self.x = x.reshape(self.rows, self.length, mixer.num_heads, mixer.head_dim)
        self.dt = F.softplus(raw + mixer.dt_bias).clamp(*mixer.time_step_limit)
        self.a = -mixer.A_log.exp()

    def of_heads(self, values):
        """[rows, G*N], as every head of its group sees it: [rows, heads, 1, N]."""
        mixer = self.mixer
        grouped = values.reshape(self.rows, mixer.n_groups, 1, mixer.ssm_state_size)
        heads = grouped.expand(-1, -1, mixer.num_heads // mixer.n_groups, -1)
        return heads.reshape(self.rows, mixer.num_heads, 1, mixer.ssm_state_size)

    def start(self):
        mixer = self.mixer
        return self.x.new_zeros(self.rows, mixer.num_heads, mixer.head_dim, mixer.ssm_state_size)

    def step(self, state, t, written):
        dt = self.dt[:, t, :, None, None]
        write = dt * self.x[:, t, :, :, None] * self.of_heads(self.b[:, t] * written)
        return torch.exp(dt * self.a[:, None, None]) * state + write

    def read(self, state, t, read):
        y = (self.of_heads(self.c[:, t] * read) * state).sum(-1)
        return (y + self.mixer.D[:, None] * self.x[:, t]).reshape(self.rows, -1)

    def energy(self, state):
        """Sum over the heads of a group and their entries: [rows, G*N]."""
        mixer = self.mixer
        of_heads = state.square().sum(2)
        grouped = of_heads.reshape(self.rows, mixer.n_groups, -1, mixer.ssm_state_size)
        return grouped.sum(2).reshape(self.rows, -1)


class Model:
    def __init__(self, name, dtype):
        self.model = AutoModelForCausalLM.from_pretrained(
            make.MODELS / name, dtype=torch.float32, attn_implementation="eager"
        )
        self.model = self.model.to(dtype).eval()
        self.mixers = [module for module in self.model.modules() if hasattr(module, "A_log")]
        if name.startswith("zamba2"):
            for mixer in self.mixers:
                mixer.time_step_limit = (0.0, math.inf)
        self.dense = Static([None] * len(self.mixers))
        self.policy, self.tokens = self.dense, {}

    def patch(self):
        for site, mixer in enumerate(self.mixers):
            mixer.forward = types.MethodType(
                lambda mixer, hidden_states, site=site, **_: self.mix(site, mixer, hidden_states), mixer
            )
        return self

    def mix(self, site, mixer, hidden_states):
        tokens = self.tokens[site] = Tokens(mixer, mixer.in_proj(hidden_states))
        if tokens.c.requires_grad:
            tokens.c.retain_grad()
        return mixer.out_proj(mixer.norm(self.policy.run(site, mixer, tokens), tokens.gate))

    def nll(self, ids):
        """Summed over the targets of each row of ids [rows, T]."""
        logits = self.model(input_ids=ids, use_cache=False).logits.double()
        return F.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none").sum(-1)

    def evaluate(self, ids, policy):
        self.policy = policy
        with torch.no_grad():
            return self.nll(ids).tolist()

    def moments(self, ids, masks, site):
        """Means over all tokens at a site: H^2*C'^2 and H^2 (over heads and entries), and C'^2."""
        self.evaluate(ids, Static(masks))
        tokens = self.tokens[site]
        everything = torch.ones(tokens.rows, tokens.c.shape[-1], dtype=torch.bool)
        state, energies = tokens.start(), []
        for t in range(tokens.length):
            state = tokens.step(state, t, everything)
            energies.append(tokens.energy(state))
        energy, read = torch.stack(energies, dim=1).double(), tokens.c.double().square()
        return [values.mean(dim=(0, 1)) for values in (energy * read, energy, read)]

    def scores(self, score, ids, masks):
        """Scores [G*N] of the first site that has no mask yet, on activations that passed the masks."""
        site = masks.index(None)
        mixer = self.mixers[site]
        inner, mixed = mixer.intermediate_size, mixer.n_groups * mixer.ssm_state_size
        if score == "state-weight":
            rows = mixer.in_proj.weight.detach().double()[2 * inner : 2 * inner + 2 * mixed].norm(dim=1)
            return rows[:mixed] * rows[mixed:]
        product, energy, read = self.moments(ids, masks, site)
        return product.sqrt() if score == "ghost" else energy * read

    def taylor(self, ids):
        """`state-taylor` [G*N] of every site."""
        self.policy = self.dense
        (self.nll(ids) / (ids.shape[1] - 1)).sum().backward()
        tokens = [self.tokens[site] for site in range(len(self.mixers))]
        scores = [(t.c.double() * t.c.grad.double()).detach().sum(dim=(0, 1)).abs() for t in tokens]
        self.model.zero_grad()
        return scores

    def static(self, score, sparsity, recalibrated, ids):
        """One mask a site and the smallest gap. One-shot: every site on the dense model's activations."""
        sites, chosen, smallest = len(self.mixers), [], math.inf
        taylor = self.taylor(ids) if score == "state-taylor" else None
        for site in range(sites):
            if taylor is not None:
                scores = taylor[site]
            elif recalibrated:
                scores = self.scores(score, ids, chosen + [None] * (sites - site))
            else:
                everything = [torch.ones_like(mask) for mask in chosen]
                scores = self.scores(score, ids, everything + [None] * (sites - site))
            mask, gap = kept_mask(scores[None], sparsity)
            chosen.append(mask[0])
            smallest = min(smallest, gap.item())
        return chosen, smallest


def static_cells():
    for sparsity in SPARSITIES:
        for score in ["ghost", "ghost-factored", "state-weight", "state-taylor"]:
            yield dict(policy="static", score=score, sparsity=sparsity, recalibrated=False)
        for score in ["ghost", "ghost-factored"]:
            yield dict(policy="static", score=score, sparsity=sparsity, recalibrated=True)


def windowed_cells():
    for sparsity in SPARSITIES:
        for mode in ["read", "write"]:
            cell = dict(score="ghost", sparsity=sparsity, mode=mode)
            yield dict(policy="dynamic", **cell, window=1, rule="window-mean")
            for rule in ["window-mean", "first-token", "previous-window"]:
                yield dict(policy="window", **cell, window=WINDOW, rule=rule)


def windowed(cell, **options):
    return Windowed(cell["sparsity"], cell["window"], cell["rule"], cell["mode"], **options)


def sure_windows(model, ids):
    """The first WINDOWS rows of ids where no cell's cut hangs on less than MARGIN, and how many were tried."""
    gaps = []
    for cell in windowed_cells():
        policy = windowed(cell)
        model.evaluate(ids, policy)
        gaps += policy.gaps
    smallest = torch.stack(gaps).min(dim=0).values
    sure = (smallest > MARGIN).nonzero().flatten()[:WINDOWS]
    assert len(sure) == WINDOWS, "too few windows are sure"
    return ids[sure], sure[-1].item() + 1, smallest[sure].min().item()


def other_reading(model, windows):
    """How many sets of longer windows differ if the squares of tokens are summed, and of how many."""
    differ = total = 0
    for cell in windowed_cells():
        if cell["rule"] == "first-token" or cell["window"] == 1:
            continue
        ours, other = windowed(cell), windowed(cell, summed="squares")
        model.evaluate(windows, ours)
        model.evaluate(windows, other)
        pairs = zip(ours.masks, other.masks, strict=True)
        differ += sum((a != b).any(dim=-1).sum().item() for a, b in pairs)
        total += sum(len(mask) for mask in ours.masks)
    return differ, total


def recalibration_changes(cells):
    """In how many cells sequential recalibration keeps other channels than one-shot scores do."""

    def sets(recalibrated):
        chosen = [cell for cell in cells if cell.get("recalibrated") is recalibrated]
        return {(cell["score"], cell["sparsity"]): cell["sets"] for cell in chosen}

    one_shot = sets(False)
    return sum(one_shot[key] != kept for key, kept in sets(True).items())


def cells_of(name):
    start = time.time()
    plain = Model(name, torch.float32)
    model, rounded = Model(name, torch.float64).patch(), Model(name, torch.float32).patch()
    vocab = model.model.config.vocab_size

    def text(windows, seed):
        generator = torch.Generator().manual_seed(seed)
        return torch.randint(0, vocab, (windows, WINDOW_IDS), generator=generator)

    calibration = text(CALIBRATION_WINDOWS, MODELS[name])
    windows, tried, smallest = sure_windows(model, text(CANDIDATES, SEED))
    cells, moved = [], 0.0

    def add(cell, policy, again):
        nonlocal moved
        values, theirs = model.evaluate(windows, policy), rounded.evaluate(windows, again)
        moved = max(moved, *(abs(a - b) / (1 + b) for a, b in zip(theirs, values, strict=True)))
        cells.append(cell | dict(nll_nats=[make.significant(v) for v in values]))

    with torch.no_grad():
        reference = plain.nll(windows).tolist()
    dense = model.evaluate(windows, model.dense)
    off = max(abs(a - b) / (1 + b) for a, b in zip(reference, dense, strict=True))
    assert off < ROUNDING, f"{name}: the recurrence differs from transformers by {off:.1e}"
    for cell in static_cells():
        settings = cell["score"], cell["sparsity"], cell["recalibrated"], calibration
        masks, gap = model.static(*settings)
        assert gap > MARGIN, f"{name} {cell}: the cut hangs on {gap:.1e}"
        smallest = min(smallest, gap)
        again, _ = rounded.static(*settings)
        assert all(map(torch.equal, masks, again)), f"{name} {cell}: the sets hang on rounding"
        sets = [mask.nonzero().flatten().tolist() for mask in masks]
        add(cell | dict(sets=sets), Static(masks), Static(masks))
    for cell in windowed_cells():
        add(cell, windowed(cell), windowed(cell))
    assert moved < ROUNDING, f"{name}: float32 moves a value by {moved:.1e}"
    changed = recalibration_changes(cells)
    assert changed > 0, f"{name}: recalibration changes nothing"
    differ, total = other_reading(model, windows)
    print(
        f"{name}: {len(model.mixers)} sites, {len(cells)} cells of {len(windows)} windows ({tried} tried); "
        f"dense differs from transformers by {off:.1e}; smallest gap {smallest:.1e}; float32 moves a value "
        f"by {moved:.1e} (relative, plus 1); recalibration changes {changed} cells; the other reading of a "
        f"window's `ghost` {differ} of {total} sets; {time.time() - start:.1f} s"
    )
    facts = dict(windows=windows.tolist(), calibration=calibration.tolist())
    return facts | dict(dense_nll_nats=[make.significant(v) for v in dense]), cells


def main():
    print(f"torch {torch.__version__}, transformers {transformers.__version__}")
    torch.set_num_threads(1)  # the models are too small to share
    write(make.HERE / "states.json", {name: cells_of(name) for name in MODELS})


if __name__ == "__main__":
    transformers.utils.logging.disable_progress_bar()
    main()
