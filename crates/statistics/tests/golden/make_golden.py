"""Makes golden.json: reference values for the `statistics` crate.

    pip install scipy==1.17.1 statsmodels==0.15.0
    python make_golden.py > golden.json

Where scipy or statsmodels has the quantity it is used; where they have not (Newcombe's paired
interval, the paired minimum detectable difference, exact bootstrap distributions) the formula is
written out here a second time, from the paper, and checked against the published examples.
"""

import itertools
import json
import math
import types

import numpy as np
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint, proportions_ztest


def wilson(successes, trials, level):
    lower, upper = proportion_confint(successes, trials, alpha=1 - level, method="wilson")
    return float(lower), float(upper)


def newcombe(both, first, second, neither, level):
    """Newcombe 1998, Statistics in Medicine 17, 2635-2650, method 10."""
    n = both + first + second + neither
    p1, p2 = (both + first) / n, (both + second) / n
    l1, u1 = wilson(both + first, n, level)
    l2, u2 = wilson(both + second, n, level)
    product = (both + first) * (second + neither) * (both + second) * (first + neither)
    phi = 0.0
    if product:
        numerator = both * neither - first * second
        if numerator > 0:
            numerator = max(numerator - n / 2, 0)
        phi = numerator / math.sqrt(product)
    down = math.sqrt((p1 - l1) ** 2 - 2 * phi * (p1 - l1) * (u2 - p2) + (u2 - p2) ** 2)
    up = math.sqrt((u1 - p1) ** 2 - 2 * phi * (u1 - p1) * (p2 - l2) + (p2 - l2) ** 2)
    return max(p1 - p2 - down, -1.0), p1 - p2, min(p1 - p2 + up, 1.0)


def minimum_detectable(n, psi, alpha, power):
    """Connor 1987, Biometrics 43, 207-211, solved for the difference."""
    za, zb = stats.norm.ppf(1 - alpha / 2), stats.norm.ppf(power)

    def gap(delta):
        return n * delta**2 - (za * math.sqrt(psi) + zb * math.sqrt(max(psi - delta**2, 0))) ** 2

    if psi == 0 or gap(psi) < 0:
        return None
    return float(optimize.brentq(gap, 1e-12, psi, xtol=1e-15, rtol=1e-14))


def exact_bootstrap(nll, targets, block, level):
    """Quantiles of the whole bootstrap distribution, by visiting every possible resample."""
    n = len(nll)
    starts = np.array(list(itertools.product(range(n), repeat=math.ceil(n / block))))
    drawn = (starts[:, :, None] + np.arange(block)).reshape(len(starts), -1)[:, :n] % n
    means = np.asarray(nll)[drawn].sum(axis=1) / np.asarray(targets)[drawn].sum(axis=1)
    tail = (1 - level) / 2
    lower, upper = np.quantile(means, [tail, 1 - tail])
    return math.exp(lower), math.exp(sum(nll) / sum(targets)), math.exp(upper)


def every_resample(nll, targets, block):
    """The means that `exact_bootstrap` takes quantiles of."""
    n = len(nll)
    starts = np.array(list(itertools.product(range(n), repeat=math.ceil(n / block))))
    drawn = (starts[:, :, None] + np.arange(block)).reshape(len(starts), -1)[:, :n] % n
    return np.asarray(nll)[drawn].sum(axis=1) / np.asarray(targets)[drawn].sum(axis=1)


def bca(replicates, nll, targets, level):
    """scipy's BCa limits of Σ nll / Σ targets, paired, from replicates that are given to it."""
    def ratio(nll, targets, axis=-1):
        return np.sum(nll, axis=axis) / np.sum(targets, axis=axis)

    given = types.SimpleNamespace(bootstrap_distribution=np.asarray(replicates))
    limits = stats.bootstrap((nll, targets), ratio, paired=True, vectorized=True, n_resamples=0,
                             bootstrap_result=given, confidence_level=level,
                             method="BCa").confidence_interval
    return float(limits.low), float(limits.high)


def bca_terms(replicates, nll, targets, block):
    """Bias correction and acceleration: Efron & Tibshirani 1993, equations 14.14 and 14.15."""
    nll, targets = np.asarray(nll), np.asarray(targets)
    estimate = nll.sum() / targets.sum()
    keep = [np.arange(len(nll)) // block != group for group in range(math.ceil(len(nll) / block))]
    left_out = np.array([nll[kept].sum() / targets[kept].sum() for kept in keep])
    u = left_out.mean() - left_out
    below = np.mean(replicates < estimate) + np.mean(replicates == estimate) / 2
    return {"estimate": float(estimate), "left_out": left_out.tolist(),
            "bias_correction": float(stats.norm.ppf(below)),
            "acceleration": float((u**3).sum() / 6 / (u**2).sum()**1.5)}


def bca_by_formula(replicates, terms, level):
    """Efron 1987: for blocks, of which scipy knows nothing."""
    z0, a = terms["bias_correction"], terms["acceleration"]
    moved = z0 + stats.norm.ppf([(1 - level) / 2, (1 + level) / 2])
    lower, upper = np.quantile(replicates, stats.norm.cdf(z0 + moved / (1 - a * moved)))
    return float(lower), float(upper)


def main():
    golden = {}
    golden["versions"] = {"numpy": np.__version__, "scipy": __import__("scipy").__version__,
                          "statsmodels": __import__("statsmodels").__version__}

    golden["wilson"] = []
    for successes, trials in [(0, 1), (1, 1), (0, 10), (10, 10), (3, 10), (98, 300), (190, 300),
                              (69, 300), (0, 5153), (5153, 5153), (2577, 5153)]:
        for level in [0.9, 0.95, 0.99]:
            lower, upper = wilson(successes, trials, level)
            golden["wilson"].append({"successes": successes, "trials": trials, "level": level,
                                     "lower": lower, "upper": upper})

    tables = [(36, 12, 2, 0), (14, 5, 0, 22), (1, 1, 7, 12), (20, 0, 0, 30), (50, 0, 0, 0),
              (0, 0, 0, 50), (0, 50, 0, 0), (0, 0, 50, 0), (0, 30, 20, 0), (53, 0, 0, 1),
              (60, 130, 9, 101), (200, 5, 5, 90), (215, 31, 15, 39), (1, 0, 0, 0),
              (1500, 700, 300, 2653)]
    golden["paired"] = []
    for table in tables:
        lower, estimate, upper = newcombe(*table, 0.95)
        both, first, second, neither = table
        p = float(mcnemar([[both, first], [second, neither]], exact=True).pvalue)
        golden["paired"].append({"table": table, "lower": lower, "estimate": estimate,
                                 "upper": upper, "mcnemar_p": p})

    golden["unpaired"] = []
    for x1, n1, x2, n2 in [(190, 300, 69, 300), (212, 300, 109, 300), (205, 300, 205, 300),
                           (211, 300, 211, 300), (246, 300, 230, 300), (3, 10, 7, 12),
                           (0, 10, 5, 9), (10, 10, 9, 9), (0, 10, 0, 9), (1, 1, 0, 1),
                           (2000, 5153, 1900, 5153)]:
        if 0 < x1 + x2 < n1 + n2:
            z, p = proportions_ztest([x1, x2], [n1, n2])
        else:
            z, p = 0.0, 1.0  # statsmodels divides 0 by 0 here
        fisher = stats.fisher_exact([[x1, n1 - x1], [x2, n2 - x2]]).pvalue
        golden["unpaired"].append({"counts": [x1, n1, x2, n2], "z": float(z), "z_p": float(p),
                                   "fisher_p": float(fisher)})

    golden["multiple"] = []
    for values in [[], [0.03], [0.01, 0.04, 0.03, 0.005], [0.5, 0.5, 0.5], [0.0, 1.0, 0.2, 0.2],
                   [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216]]:
        row = {"p": values, "holm": [], "bh": []}
        if values:
            row["holm"] = multipletests(values, method="holm")[1].tolist()
            row["bh"] = multipletests(values, method="fdr_bh")[1].tolist()
        golden["multiple"].append(row)

    golden["bootstrap"] = []
    rng = np.random.default_rng(7)
    for n, block in [(7, 1), (10, 2)]:
        nll = rng.normal(90.0, 40.0, n).tolist()
        targets = rng.integers(500, 1024, n).tolist()
        lower, estimate, upper = exact_bootstrap(nll, targets, block, 0.95)
        golden["bootstrap"].append({"delta_nll_nats": nll, "n_targets": targets, "block": block,
                                    "lower": lower, "estimate": estimate, "upper": upper})

    golden["correlation"] = []
    for n, distinct in [(2, None), (7, None), (30, 5), (50, None)]:
        x = rng.normal(0.0, 1.0, n) if distinct is None else rng.integers(0, distinct, n) / 4
        y = (0.6 * x + rng.normal(0.0, 1.0, n)) if distinct is None else rng.integers(0, distinct, n)
        for scale in ([1e-160, 1.0, 1e200] if n == 7 else [1.0]):
            golden["correlation"].append({
                "first": (scale * x).tolist(), "second": y.tolist(),
                "pearson": float(stats.pearsonr(x, y).statistic),
                "spearman": float(stats.spearmanr(x, y).statistic),
                "ranks": stats.rankdata(x).tolist()})

    golden["mean_bootstrap"] = []
    for n, block in [(7, 1), (10, 2)]:
        values = rng.uniform(-1.0, 1.0, n).tolist()
        lower, estimate, upper = exact_bootstrap(values, [1] * n, block, 0.95)
        golden["mean_bootstrap"].append({"values": values, "block": block,
                                         "lower": math.log(lower), "estimate": math.log(estimate),
                                         "upper": math.log(upper)})

    golden["minimum_detectable"] = [
        {"items": n, "psi": psi, "alpha": 0.05, "power": power,
         "difference": minimum_detectable(n, psi, 0.05, power)}
        for n in [10, 300, 5153] for psi in [0.0, 0.01, 0.2, 1.0] for power in [0.8, 0.9]]

    rng = np.random.default_rng(11)
    golden["bca_same_resamples"] = []
    for nll, targets in [(rng.exponential(90.0, 12), rng.integers(500, 1024, 12)),
                         (-rng.exponential(1.0, 25), np.ones(25, dtype=int)),
                         (rng.integers(0, 5, 16) / 4, np.ones(16, dtype=int))]:
        drawn = rng.integers(0, len(nll), (199, len(nll)))
        replicates = nll[drawn].sum(axis=1) / targets[drawn].sum(axis=1)
        for level in [0.8, 0.95]:
            lower, upper = bca(replicates, nll, targets, level)
            golden["bca_same_resamples"].append({
                "replicates": replicates.tolist(), **bca_terms(replicates, nll, targets, 1),
                "level": level, "lower": lower, "upper": upper})

    golden["bca_bootstrap"] = []
    for n, block in [(7, 1), (10, 2)]:
        nll = rng.exponential(90.0, n)
        targets = rng.integers(500, 1024, n)
        for weights in [targets, np.ones(n, dtype=int)]:
            replicates = every_resample(nll, weights, block)
            terms = bca_terms(replicates, nll, weights, block)
            limits = bca_by_formula(replicates, terms, 0.95)
            if block == 1:
                assert np.allclose(limits, bca(replicates, nll, weights, 0.95), rtol=1e-12)
            golden["bca_bootstrap"].append({
                "delta_nll_nats": nll.tolist(), "n_targets": weights.tolist(), "block": block,
                **terms, "lower": limits[0], "upper": limits[1]})

    golden["sign_flip"] = []
    for differences in [rng.normal(0.0, 1.0, 2), rng.normal(0.6, 1.0, 8), np.zeros(5),
                        rng.integers(-1, 3, 12) / 10, rng.exponential(1.0, 10),
                        rng.normal(0.3, 1.0, 16), np.array([0.1, 0.2, -0.3]),
                        rng.normal(0.25, 1.0, 18), rng.integers(-2, 3, 18) / 10 + 0.1]:
        # As many resamples as there are assignments of signs: scipy visits all of them.
        found = stats.permutation_test((differences,), np.mean, permutation_type="samples",
                                       vectorized=True, n_resamples=2 ** len(differences))
        golden["sign_flip"].append({"differences": differences.tolist(),
                                    "mean": float(found.statistic), "p": float(found.pvalue)})

    print(json.dumps(golden, indent=1))


if __name__ == "__main__":
    main()
