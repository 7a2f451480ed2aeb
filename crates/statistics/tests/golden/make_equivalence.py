"""Makes equivalence.json: reference values for tests of equivalence.

    pip install scipy==1.17.1
    python make_equivalence.py > equivalence.json

Tango's statistic is written a second time with the likelihood maximised numerically in place of the closed
root, its limits are found by scipy's root finder; the exact p-value adds up every trinomial table for a fine
grid of the unknown share; the test of a ratio takes Hall's cubic of the linearised differences and finds its limits by a root finder.
"""

import json
import math

import numpy as np
from scipy import optimize, stats


def likeliest(b, c, n, delta):
    """The share that only the second gets right, given the difference, by maximising the likelihood."""
    low, span = max(0.0, -delta), (1.0 - abs(delta)) / 2.0
    least_first = max(0.0, delta)

    # The likelihood is concave: its slope has one root, or the maximum lies at an end. t is q less its least.
    def slope(t):
        total = -(n - b - c) / (span - t)
        total += b / (least_first + t) if b else 0.0
        return total + (c / (low + t) if c else 0.0)

    first, last = span * 1e-13, span * (1.0 - 1e-13)
    if slope(first) <= 0.0:
        return low
    if slope(last) >= 0.0:
        return low + span
    return low + optimize.brentq(slope, first, last, xtol=1e-17, rtol=1e-15)


def statistic(b, c, n, delta):
    if b - c == n * delta:
        return 0.0
    q = likeliest(b, c, n, delta)
    return (b - c - n * delta) / math.sqrt(n * (2.0 * q + delta - delta * delta))


def tango(table, level):
    a, b, c, d = table
    n = a + b + c + d
    z = stats.norm.ppf((1.0 + level) / 2.0)
    estimate = (b - c) / n
    edge = 1.0 - 1e-6

    def limit(end, target):
        f = lambda delta: statistic(b, c, n, delta) - target
        return optimize.brentq(f, *sorted((estimate, end)), xtol=1e-14)

    return {"table": table, "level": level, "lower": limit(-edge, z), "upper": limit(edge, -z),
            "z": [[delta, statistic(b, c, n, delta)] for delta in (-0.2, -0.02, 0.1)]}


def exact(table, delta):
    a, b, c, d = table
    n = a + b + c + d
    observed = statistic(b, c, n, delta)
    far = [(i, j) for i in range(n + 1) for j in range(n + 1 - i)
           if statistic(i, j, n, delta) >= observed - 1e-9 * max(1.0, abs(observed))]
    i, j = np.array(far).T
    low, high = max(0.0, -delta), (1.0 - delta) / 2.0
    best = 0.0
    for q in low + (high - low) * np.linspace(0.0, 1.0, 4001) ** 2:
        cells = [max(0.0, q + delta), q, max(0.0, 1.0 - 2.0 * q - delta)]
        masses = stats.multinomial.pmf(np.stack([i, j, n - i - j], axis=1), n, cells)
        best = max(best, float(masses.sum()))
    return {"table": table, "difference": delta, "p": best}


def ratio(windows, mean, spread, margin, alpha, rng):
    targets = rng.integers(500, 1024, windows)
    baseline = targets * rng.normal(3.0, 0.4, windows)
    treated = baseline + targets * rng.normal(mean, spread, windows)
    differences = treated - baseline
    delta = differences.sum() / targets.sum()
    # One number a window whose mean is the logarithm of the ratio and whose spread is the linearised one.
    linear = delta + (differences - delta * targets) / targets.mean()
    m, n = math.log1p(margin), windows
    error, skew = stats.sem(linear), stats.skew(linear)

    def hall(t):
        return t + skew * t**2 / (3 * n**0.5) + skew**2 * t**3 / (27 * n) + skew / (6 * n**0.5)

    above = stats.t.sf(hall((delta + m) / error), n - 1)
    below = stats.t.cdf(hall((delta - m) / error), n - 1)
    # The cubic rises everywhere, so a limit is where it reaches the quantile.
    far = stats.t.isf(alpha, n - 1)
    low, high = (delta - error * optimize.brentq(lambda t: hall(t) - h, -1e4, 1e4, xtol=1e-13)
                 for h in (far, -far))
    return {"baseline_nats": baseline.tolist(), "treated_nats": treated.tolist(),
            "n_targets": targets.tolist(), "margin": margin, "alpha": alpha,
            "p": float(max(above, below)), "ratio": math.exp(delta),
            "lower": math.exp(low), "upper": math.exp(high)}


def needed(estimate, spread, margin, alpha, power):
    """By walking up; the power is that of two one-sided z tests."""
    z = stats.norm.ppf(1.0 - alpha)
    n = 1
    while n < 200_000:
        s = spread / math.sqrt(n)
        room = margin - z * s
        if room > 0.0:
            found = stats.norm.cdf((room - estimate) / s) - stats.norm.cdf((-room - estimate) / s)
            if found >= power:
                return n
        n += 1
    return None


def main():
    rng = np.random.default_rng(16)
    golden = {"versions": {"numpy": np.__version__, "scipy": __import__("scipy").__version__}}
    # Tango 1998 takes (43, 0, 1, 0) of two ways of disinfecting lenses.
    tables = [[43, 0, 1, 0], [36, 12, 2, 0], [1, 1, 7, 12], [190, 15, 4, 91], [300, 0, 0, 0],
              [0, 20, 0, 3], [2000, 61, 55, 1000], [5, 3, 3, 5]]
    golden["tango"] = [tango(table, level) for table in tables for level in (0.9, 0.95)]
    golden["exact"] = [exact(table, delta) for table in
                       ([43, 0, 1, 0], [20, 2, 3, 15], [30, 0, 0, 10], [8, 5, 1, 6], [0, 0, 9, 3])
                       for delta in (-0.2, -0.1, -0.02, 0.15)]
    golden["ratio"] = [ratio(n, mean, spread, margin, alpha, rng)
                       for n, mean, spread in [(2, 0.01, 0.02), (8, 0.03, 0.02), (40, -0.01, 0.05)]
                       for margin, alpha in [(0.05, 0.05), (0.1, 0.025)]]
    golden["needed"] = [{"estimate": estimate, "spread": spread, "margin": margin, "alpha": alpha,
                         "power": power, "n": needed(estimate, spread, margin, alpha, power)}
                        for estimate in (0.0, -0.004, 0.015) for spread in (0.05, 0.3)
                        for margin, alpha, power in [(0.02, 0.05, 0.8), (0.03, 0.025, 0.9)]]
    print(json.dumps(golden, indent=1))


if __name__ == "__main__":
    main()
