"""Makes ratio.json: reference values for the test of a perplexity ratio and its power.

    pip install scipy==1.17.1 statsmodels==0.15.0
    python make_ratio.py > ratio.json

The test is scipy's permutation test over every assignment of signs; sample sizes and detectable
ratios come from statsmodels' normal approximation of one sample.
"""

import json
import math

import numpy as np
from scipy import optimize, stats
from statsmodels.stats.power import normal_power


def test_of_ratio(baseline, treated, targets, threshold):
    differences = treated - baseline
    excess = differences - targets * math.log(threshold)
    found = stats.permutation_test((excess,), np.mean, permutation_type="samples", vectorized=True,
                                   n_resamples=2 ** len(excess))
    log_ratio = differences.sum() / targets.sum()
    residuals = differences - targets * log_ratio
    return {"baseline_nats": baseline.tolist(), "treated_nats": treated.tolist(),
            "n_targets": targets.tolist(), "threshold": threshold,
            "ratio": math.exp(log_ratio), "excess_nats": log_ratio - math.log(threshold),
            "p": float(found.pvalue),
            "spread_nats": float(np.std(residuals, ddof=1) / targets.mean())}


def least_windows(alpha):
    """All assignments of signs: two of 2^n are as far out as all of one sign."""
    return next(n for n in range(1, 100) if 2 / 2**n <= alpha)


def minimum_detectable(windows, spread, alpha, power):
    if windows < least_windows(alpha):
        return None

    def gap(log_ratio):
        found = normal_power(log_ratio, windows, alpha / 2, alternative="larger", sigma=spread)
        return found - power

    return math.exp(optimize.brentq(gap, 0.0, 20.0 * spread, xtol=1e-15, rtol=1e-14))


def main():
    golden = {"versions": {"numpy": np.__version__, "scipy": __import__("scipy").__version__,
                           "statsmodels": __import__("statsmodels").__version__}}
    rng = np.random.default_rng(13)

    golden["ratio_test"] = []
    for windows, mean, spread in [(2, 0.1, 0.05), (4, 4.7, 0.2), (8, 0.02, 0.05), (16, 0.01, 0.03),
                                  (18, 0.01, 0.03), (12, 0.0, 0.0)]:
        targets = rng.integers(500, 1024, windows)
        baseline = targets * rng.normal(3.0, 0.4, windows)
        treated = baseline + targets * rng.normal(mean, spread, windows)
        for threshold in [1.0, 1.02, 100.0]:
            golden["ratio_test"].append(test_of_ratio(baseline, treated, targets, threshold))

    golden["minimum_detectable_ratio"] = [
        {"windows": windows, "spread_nats": spread, "alpha": alpha, "power": power,
         "ratio": minimum_detectable(windows, spread, alpha, power)}
        for windows in [1, 5, 6, 40, 298] for spread in [0.01, 0.3]
        for alpha, power in [(0.05, 0.8), (0.01, 0.9), (0.05, 0.5)]]

    print(json.dumps(golden, indent=1))


if __name__ == "__main__":
    main()
