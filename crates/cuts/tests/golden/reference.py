"""Every cut of weights, bits and layers in plain PyTorch, written from docs/SPEC.md and the papers.

It is the slow and obvious form: one column at a time, one stable sort for each kept set, sums in float64.
What the specification leaves open is decided here and said in README.md.
"""

import copy
import math

import torch

DAMPING = 0.01  # of the mean diagonal of H, as in GPTQ and SparseGPT
BLOCK = 128  # columns for which SparseGPT chooses one mask
RIDGE = 1e-4  # of the mean diagonal of the centred XtX


# --- kept sets ---------------------------------------------------------------------------------------


def kept_count(total, share):
    """max(1, round((1 - share) * total)), half away from zero."""
    return max(1, math.floor((1.0 - share) * total + 0.5))


def keep_largest(scores, count):
    """True at the `count` largest of a vector; equal scores go to the lowest index."""
    order = torch.sort(scores, descending=True, stable=True).indices
    keep = torch.zeros(len(scores), dtype=torch.bool)
    keep[order[:count]] = True
    return keep


def keep_pooled(scores, share):
    """[out, in] -> mask, all entries of the matrix compete; indices count along the rows."""
    flat = scores.reshape(-1)
    return keep_largest(flat, kept_count(len(flat), share)).reshape(scores.shape)


def keep_rows(scores, share):
    """[out, in] -> mask, the entries of one row compete."""
    return torch.stack([keep_largest(row, kept_count(len(row), share)) for row in scores])


def keep_pattern(scores, pattern):
    """[out, in] -> mask, of every m consecutive inputs of a row the n of largest score stay."""
    n, m = pattern
    assert scores.shape[1] % m == 0, f"{scores.shape[1]} inputs are not a multiple of {m}"
    groups = scores.reshape(scores.shape[0], -1, m)
    order = torch.sort(groups, dim=-1, descending=True, stable=True).indices
    keep = torch.zeros_like(groups, dtype=torch.bool).scatter_(-1, order[..., :n], True)
    return keep.reshape(scores.shape)


# --- weights: sizes and calibrated scores -------------------------------------------------------------


def weight_scores(method, weight, gram, sequences):
    """The scores [out, in] of `magnitude…`, `wanda`, `obd`; `gram` is XtX of the map's inputs."""
    weight = weight.double()
    if method.startswith("magnitude"):
        return weight.abs()
    if method == "wanda":
        return weight.abs() * gram.diagonal().sqrt()
    assert method == "obd", method
    return 2.0 / sequences * gram.diagonal() * weight.square()


def mask_of(method, scores, sparsity, pattern):
    if pattern is not None:
        return keep_pattern(scores, pattern)
    by_row = method in ("magnitude-rows", "wanda")
    return keep_rows(scores, sparsity) if by_row else keep_pooled(scores, sparsity)


# --- bits ---------------------------------------------------------------------------------------------


def grid_of(weights, bits):
    """Scale and zero point of each row of [out, g]."""
    low = weights.amin(1).clamp(max=0.0)
    high = weights.amax(1).clamp(min=0.0)
    empty = (low == 0.0) & (high == 0.0)
    low = torch.where(empty, -torch.ones_like(low), low)
    high = torch.where(empty, torch.ones_like(high), high)
    scale = (high - low) / (2**bits - 1)
    return scale, torch.round(-low / scale)


def rounded(weights, grid, bits):
    """One column [out] on the grid; torch.round takes halves to the even number."""
    scale, zero = grid
    return scale * (torch.clamp(torch.round(weights / scale) + zero, 0, 2**bits - 1) - zero)


def round_to_nearest(weight, bits, group):
    weight = weight.double().clone()
    for first in range(0, weight.shape[1], group):
        columns = weight[:, first : first + group]
        grid = grid_of(columns, bits)
        for j in range(columns.shape[1]):
            columns[:, j] = rounded(columns[:, j], grid, bits)
    return weight


# --- the sweep of SparseGPT and GPTQ -------------------------------------------------------------------


def inverse_factor(gram, sequences):
    """U, upper triangular with UtU = H^-1, and which inputs were always zero."""
    hessian = 2.0 / sequences * gram.double()
    dead = hessian.diagonal() == 0.0
    hessian.diagonal()[dead] = 1.0
    hessian.diagonal().add_(DAMPING * hessian.diagonal().mean())
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(hessian))
    return torch.linalg.cholesky(inverse, upper=True), dead


def sweep(weight, gram, sequences, sparsity=None, pattern=None, bits=None, group=None, lazy=False):
    """Columns left to right; what a column loses is spread over the columns to its right.

    `lazy` puts off the columns right of a block of 128 to one product, as the published code does: the
    same numbers but for rounding, and much faster.
    """
    factor, dead = inverse_factor(gram, sequences)
    weight = weight.double().clone()
    weight[:, dead] = 0.0
    zero = weight == 0.0  # stays zero: what is spread on it is spread on
    keep = ~zero
    assert not lazy or bits is None or BLOCK % group == 0
    for first in range(0, weight.shape[1], BLOCK):
        last = min(first + BLOCK, weight.shape[1])
        columns = slice(first, last)
        if sparsity is not None:
            scores = sweep_scores(weight, factor, zero, columns)
            keep[:, columns] = keep_pooled(scores, sparsity) & ~zero[:, columns]
        end = last if lazy else weight.shape[1]
        errors = []
        for j in range(first, last):
            if pattern is not None and j % pattern[1] == 0:
                chosen = slice(j, j + pattern[1])
                scores = sweep_scores(weight, factor, zero, chosen)
                keep[:, chosen] = keep_pattern(scores, pattern) & ~zero[:, chosen]
            if bits is not None and j % group == 0:
                grid = grid_of(torch.where(zero, 0.0, weight)[:, j : j + group], bits)
            column = weight[:, j].clone()
            left = column if bits is None else rounded(column, grid, bits)
            left = left.masked_fill(~keep[:, j], 0.0)
            error = (column - left) / factor[j, j]
            weight[:, j + 1 : end] -= error[:, None] * factor[j, j + 1 : end]
            weight[:, j] = left
            errors.append(error)
        if lazy:
            weight[:, last:] -= torch.stack(errors, 1) @ factor[columns, last:]
    return weight


def sweep_scores(weight, factor, zero, columns):
    """W^2 / U_jj^2; what an earlier step dropped comes last."""
    scores = weight[:, columns].square() / factor.diagonal()[columns].square()
    return scores.masked_fill(zero[:, columns], -1.0)


# --- low rank -----------------------------------------------------------------------------------------


def low_rank(method, weight, gram, rank):
    """The best W' of rank r for |W - W'|, or for |(W - W')X|: with L = chol(XXt) that is the truncated
    SVD of WL times L^-1, and as that only projects the outputs it is Ur Urt W, with no inverse."""
    weight = weight.double()
    left = weight if method == "svd" else weight @ torch.linalg.cholesky(gram + tiny(gram))
    basis = torch.linalg.svd(left).U[:, :rank]
    return basis @ (basis.T @ weight)


def tiny(gram):
    """Only lets the factorisation of a singular XXt succeed; far below float32."""
    return 1e-12 * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)


# --- the order of calibration --------------------------------------------------------------------------

BLOCKS = ("model.layers", "model.decoder.layers", "backbone.layers")


def blocks_of(model):
    """(checkpoint name, module) of every block, first layer first."""
    name = next(name for name in BLOCKS if name in dict(model.named_modules()))
    return [(f"{name}.{i}", block) for i, block in enumerate(model.get_submodule(name))]


def maps_of(name, block):
    """(checkpoint name, module) of every linear map of a block, in the order of registration."""
    modules = block.named_modules(prefix=name)
    return [(f"{path}.weight", m) for path, m in modules if isinstance(m, torch.nn.Linear)]


def entering(model, windows):
    """The streams [T, d] that enter the first block, and the other arguments of every block."""
    streams, arguments, handles = [], {}, []
    for index, (_, block) in enumerate(blocks_of(model)):

        def hook(_module, inputs, others, index=index):
            others = dict(others)
            stream = inputs[0] if inputs else others.pop("hidden_states")
            others.pop("hidden_states", None)
            arguments[index] = (inputs[1:], others)
            if index == 0:
                streams.append(stream.clone())

        handles.append(block.register_forward_pre_hook(hook, with_kwargs=True))
    with torch.no_grad():
        for window in windows:
            model(input_ids=window[None], use_cache=False)
    for handle in handles:
        handle.remove()
    return streams, arguments


def through(block, stream, arguments):
    """The stream [1, T, d] that leaves a block."""
    positional, named = arguments
    with torch.no_grad():
        return block(stream, *positional, **named)


def grams(maps, run):
    """XtX in float64 of the inputs of each map while `run` runs; maps that share an input share one."""
    sums, before, handles = {}, [None, None], []

    def hook(name):
        def add(_module, inputs):
            if inputs[0] is not before[0]:
                rows = inputs[0].reshape(-1, inputs[0].shape[-1]).double()
                before[:] = inputs[0], rows.T @ rows
            sums[name] = sums.get(name, 0.0) + before[1]

        return add

    for name, module in maps:
        handles.append(module.register_forward_pre_hook(hook(name)))
    run()
    for handle in handles:
        handle.remove()
    return sums


def walk(model, windows, change):
    """Blocks one after the other: all maps of a block are calibrated on the block as it still is, fed by
    the blocks already cut; then its maps are cut by `change(name, weight, XtX)`; then it runs again."""
    streams, arguments = entering(model, windows)
    for index, (name, block) in enumerate(blocks_of(model)):
        maps = maps_of(name, block)
        sums = grams(maps, lambda: [through(block, s, arguments[index]) for s in streams])
        for path, module in maps:
            cut = change(path, module.weight.detach(), sums[path])
            module.weight.data = cut.float().to(module.weight.dtype)  # as a checkpoint keeps it
        streams = [through(block, s, arguments[index]) for s in streams]


# --- layers -------------------------------------------------------------------------------------------


def streams_of(model, windows):
    """For each window the residual stream [T, d], float64, that enters each layer, and the last one's output."""
    streams, arguments = entering(model, windows)
    lists = [[s[0].double()] for s in streams]
    for index, (_, block) in enumerate(blocks_of(model)):
        streams = [through(block, s, arguments[index]) for s in streams]
        for one, stream in zip(lists, streams):
            one.append(stream[0].double())
    return lists


def cosine(a, b):
    return (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1))


def angular_distances(streams, n):
    """d of every first layer l: mean over windows of arccos(cos(x_l, x_{l+n})) / pi at the last token."""
    count = len(streams[0]) - n
    angle = lambda x, l: torch.arccos(cosine(x[l][-1], x[l + n][-1]).clamp(-1, 1)) / math.pi
    return torch.stack([torch.stack([angle(x, l) for x in streams]).mean() for l in range(count)])


def influences(streams):
    """1 - mean over all tokens of cos(x_l, x_{l+1}), for every layer l."""
    count = len(streams[0]) - 1
    mean = lambda l: torch.cat([cosine(x[l], x[l + 1]) for x in streams]).mean()
    return torch.stack([1.0 - mean(l) for l in range(count)])


def dropped_layers(score, distances, n):
    if score == "angular":
        first = int(torch.sort(distances, stable=True).indices[0])
        return list(range(first, first + n))
    return sorted(torch.sort(distances, stable=True).indices[:n].tolist())


def fit_linear(inputs, updates, rank=None):
    """W [d, d] and b [d] of update = x W + b, by ridge least squares on centred values.

    With a rank: reduced-rank regression, the fitted map on the top right singular directions of the
    fitted (centred) outputs.
    """
    mean_x, mean_y = inputs.mean(0), updates.mean(0)
    x, y = inputs - mean_x, updates - mean_y
    gram = x.T @ x
    penalty = RIDGE * gram.diagonal().mean()
    weight = torch.linalg.solve(gram + penalty * torch.eye(len(gram), dtype=gram.dtype), x.T @ y)
    if rank is not None:
        directions = torch.linalg.svd(x @ weight, full_matrices=False).Vh[:rank].T
        weight = weight @ directions @ directions.T
    return weight, mean_y - mean_x @ weight


def r_squared(inputs, updates, weight, bias):
    """On held-out windows, with their own mean update."""
    residual = updates - (inputs @ weight + bias)
    return 1.0 - residual.square().sum() / (updates - updates.mean(0)).square().sum()


def pairs_of(streams, layer):
    """The inputs and the updates of a layer over all tokens of all windows, each [tokens, d]."""
    inputs = torch.cat([x[layer] for x in streams])
    return inputs, torch.cat([x[layer + 1] for x in streams]) - inputs


class LinearBlock(torch.nn.Module):
    """x + x W + b in the place of a block; W and b are kept in float32, as a checkpoint would."""

    def __init__(self, weight, bias):
        super().__init__()
        self.weight, self.bias = weight.float(), bias.float()

    def forward(self, hidden_states, *_others, **_named):
        kind = hidden_states.dtype
        return hidden_states + hidden_states @ self.weight.to(kind) + self.bias.to(kind)


def without(model, layers):
    """A copy of the model without these layers."""
    model = copy.deepcopy(model)
    name = blocks_of(model)[0][0].rsplit(".", 1)[0]
    parent, last = name.rsplit(".", 1)
    left = [block for i, (_, block) in enumerate(blocks_of(model)) if i not in layers]
    setattr(model.get_submodule(parent), last, torch.nn.ModuleList(left))
    model.config.num_hidden_layers = len(left)
    return model
