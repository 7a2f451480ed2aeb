"""What the make.py scripts of the Mamba folders share: the plain recurrence, and checks against it.

The recurrence is written out in float64, as the original code defines it: head h reads the B and C of
group h // (heads / groups), dt = clamp(softplus(raw + bias)), and the gated norm takes its mean square
over each group's own channels. transformers must agree with it, or the script stops.
"""

import math

import torch
import torch.nn.functional as F

import golden

TOLERANCE = 5e-5


def fill_mixers(model, generator, dt_mean, dt_std):
    """Decays between about 0.2 and 4 a unit of time, D about 1, dt biases about `dt_mean`."""
    with torch.no_grad():
        for mixer in mixers(model):
            heads = mixer.num_heads
            fast = torch.rand(heads, generator=generator)
            mixer.A_log.copy_(math.log(0.2) + fast * math.log(4.0 / 0.2))
            mixer.D.copy_(1.0 + 0.5 * torch.randn(heads, generator=generator))
            mixer.dt_bias.copy_(dt_mean + dt_std * torch.randn(heads, generator=generator))


def mixers(model):
    """All mixers, in the order of the forward pass."""
    return [module for module in model.modules() if hasattr(module, "A_log")]


def split(mixer, projected):
    """The gate, x, B, C after convolution and SiLU, and the raw dt, in float64."""
    inner, groups, state = mixer.intermediate_size, mixer.n_groups, mixer.ssm_state_size
    gate, mixed, raw = projected.double().split([inner, mixer.conv_dim, mixer.num_heads], dim=-1)
    bias = None if mixer.conv1d.bias is None else mixer.conv1d.bias.double()
    before = F.pad(mixed.T, (mixer.conv_kernel_size - 1, 0))
    mixed = F.silu(F.conv1d(before, mixer.conv1d.weight.double(), bias, groups=mixer.conv_dim)).T
    x, b, c = mixed.split([inner, groups * state, groups * state], dim=-1)
    length = len(projected)
    shape = (length, groups, state)
    return gate, x.reshape(length, -1, mixer.head_dim), b.reshape(shape), c.reshape(shape), raw


def time_steps(mixer, raw):
    """softplus(raw + bias) before it is clipped, [N, heads]."""
    return F.softplus(raw + mixer.dt_bias.double())


def recurrence(mixer, projected):
    """y [N, heads * head_dim], the last state [heads, head_dim, d_state], and the gated norm of y."""
    gate, x, b, c, raw = split(mixer, projected)
    low, high = mixer.time_step_limit
    dt = time_steps(mixer, raw).clamp(low, high)
    a = -mixer.A_log.double().exp()
    group_of = torch.arange(mixer.num_heads) // (mixer.num_heads // mixer.n_groups)
    state = torch.zeros(mixer.num_heads, mixer.head_dim, mixer.ssm_state_size, dtype=torch.float64)
    rows = []
    for t in range(len(projected)):
        write = (dt[t, :, None] * x[t])[:, :, None] * b[t, group_of][:, None, :]
        state = torch.exp(dt[t] * a)[:, None, None] * state + write
        read = (state * c[t, group_of][:, None, :]).sum(-1)
        rows.append((read + mixer.D.double()[:, None] * x[t]).reshape(-1))
    y = torch.stack(rows)
    gated = (y * F.silu(gate)).reshape(len(y), mixer.n_groups, -1)
    gated = gated * torch.rsqrt(gated.square().mean(-1, keepdim=True) + mixer.norm.variance_epsilon)
    return y, state, gated.reshape(y.shape) * mixer.norm.weight.double()


def cache_name(output):
    """What an output, and the model, call the past: transformers 5.24 has one name for all families."""
    return next(name for name in ("cache", "cache_params", "past_key_values") if name in output)


def observe(model, ids):
    """`scan` and `state` of every mixer as transformers computes them; both must be the recurrence's."""
    seen, handles = {}, []
    for mixer in mixers(model):
        projected, entered, left = seen[mixer] = [], [], []
        for module, keep in ((mixer.in_proj, projected), (mixer.norm, left)):
            handles.append(
                module.register_forward_hook(
                    lambda _module, _inputs, output, keep=keep: keep.append(golden.rows(output, len(ids)))
                )
            )
        handles.append(
            mixer.norm.register_forward_pre_hook(
                lambda _module, inputs, keep=entered: keep.append(golden.rows(inputs, len(ids)))
            )
        )
    with torch.inference_mode():
        output = model(input_ids=ids[None], use_cache=True)
    for handle in handles:
        handle.remove()
    cache = output[cache_name(output)]

    scans, states = [], []
    with torch.inference_mode():
        for mixer, ((projected,), (entered,), (left,)) in seen.items():
            state = cache.get_recurrent_state(mixer.layer_idx, state_idx=0)[0]
            y, last, gated = recurrence(mixer, projected)
            for name, ours, theirs in (("y", y, entered), ("state", last, state), ("norm", gated, left)):
                difference = (ours - theirs.double()).abs().max().item()
                assert difference < TOLERANCE, f"{name} of layer {mixer.layer_idx}: {difference:.1e}"
            scans.append(entered)
            states.append(state.clone())
    return {"scan": scans, "state": states}


def say_time_steps(model, name, ids, low, high):
    """Prints which share of the time steps lies below `low` and above `high` before clipping."""
    raw, handles = [], []
    for mixer in mixers(model):
        handles.append(
            mixer.in_proj.register_forward_hook(
                lambda _module, _inputs, output, mixer=mixer: raw.append(
                    time_steps(mixer, split(mixer, golden.rows(output, len(ids)))[-1])
                )
            )
        )
    golden.forward(model, None, ids)
    for handle in handles:
        handle.remove()
    dt = torch.cat(raw)
    print(
        f"{name}: dt from {dt.min():.2e} to {dt.max():.2e}; below {low}: {(dt < low).double().mean():.3f}, "
        f"above {high}: {(dt > high).double().mean():.3f}"
    )
    return dt


def say_decoding(model, name, ids):
    """Prints how far the logits of one token at a time lie from those of the whole sequence."""
    whole, _, _ = golden.forward(model, None, ids)
    past, steps = {}, []
    with torch.inference_mode():
        for token in ids:
            output = model(input_ids=token[None, None], use_cache=True, **past)
            past = {cache_name(output): output[cache_name(output)]}
            steps.append(output.logits[0, 0])
    print(f"{name}: one token at a time differs by {(torch.stack(steps) - whole).abs().max():.2e}")
