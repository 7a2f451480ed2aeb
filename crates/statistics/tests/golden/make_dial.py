"""Makes dial.json: reference values for isotonic regression, Page's trend and the monotone test.

    pip install scipy==1.17.1
    python make_dial.py > dial.json

Isotonic fits are scipy's, and so is Page's test where nothing ties. With ties scipy keeps the
variance of untied ranks; here it is the variance over every order of the ranks that were found. The
monotone test is written a second time, over every possible resample in place of drawn ones.
"""

import itertools
import json
import math

import numpy as np
from scipy import stats
from scipy.optimize import isotonic_regression


def fit(values):
    return isotonic_regression(values).x


def squared_distance(values):
    return float(np.sum((values - fit(values)) ** 2))


def fall(values):
    return float(np.max(np.maximum.accumulate(values) - values))


def null_centre(fitted, deviations, blocks):
    """The fit without rises up to sqrt(ln blocks) of their bootstrap standard errors."""
    edges = [0, *(np.flatnonzero(np.diff(fitted) > 0) + 1), len(fitted)]
    pools = list(itertools.pairwise(edges))
    centre, height = np.zeros(len(fitted)), 0.0
    for (start, end), (next_start, next_end) in itertools.pairwise(pools):
        rise = fitted[next_start] - fitted[start]
        noise = (deviations[:, next_start:next_end].mean(axis=1)
                 - deviations[:, start:end].mean(axis=1))
        if rise > math.sqrt(math.log(blocks)) * math.sqrt(np.mean(noise**2)):
            height += rise
        centre[next_start:next_end] = height
    return centre


def monotone(losses, targets, block):
    """`losses` has a row a window and a column a level."""
    n = len(losses)
    levels = losses.sum(axis=0) / targets.sum()
    starts = np.array(list(itertools.product(range(n), repeat=math.ceil(n / block))))
    drawn = (starts[:, :, None] + np.arange(block)).reshape(len(starts), -1)[:, :n] % n
    means = losses[drawn].sum(axis=1) / targets[drawn].sum(axis=1)[:, None]
    blocks = n / block
    deviations = math.sqrt(blocks / (blocks - 1)) * (means - levels)
    fitted = fit(levels)
    # Fitted values of one pool are equal but for roundings in scipy.
    fitted = np.where(np.isclose(fitted[:, None], fitted[None], rtol=0, atol=1e-12), fitted, np.inf)
    fitted = fitted.min(axis=1)
    centre = null_centre(fitted, deviations, blocks)
    distance = squared_distance(levels)
    as_far = [squared_distance(centre + deviation) >= distance - 1e-15 for deviation in deviations]
    falls = [fall(levels + deviation) for deviation in deviations]
    return {"losses_nats": losses.T.tolist(), "n_targets": targets.tolist(), "block": block,
            "levels": levels.tolist(), "fitted": fitted.tolist(), "distance": distance,
            "p": float(np.mean(as_far)), "fall": fall(levels),
            "fall_upper": float(np.quantile(falls, 0.95))}


def page(losses):
    """`losses` has a row a window and a column a level."""
    levels = losses.shape[1]
    ranks = np.apply_along_axis(stats.rankdata, 1, losses)
    l = float((ranks * np.arange(1, levels + 1)).sum())
    if all(len(set(row)) == levels for row in losses.tolist()):
        found = stats.page_trend_test(losses, method="asymptotic")
        assert found.statistic == l
        return l, float(found.pvalue)
    mean = variance = 0.0
    for row in ranks:
        orders = [float(np.dot(order, np.arange(1, levels + 1)))
                  for order in itertools.permutations(row)]
        mean += np.mean(orders)
        variance += np.var(orders)
    return l, float(stats.norm.sf((l - mean) / math.sqrt(variance))) if variance > 0 else 1.0


def main():
    golden = {"versions": {"numpy": np.__version__, "scipy": __import__("scipy").__version__}}
    rng = np.random.default_rng(5)

    golden["isotonic"] = []
    for values in [[2.5], [1.0, 2.0, 2.0, 3.0], [3.0, 2.0, 1.0], [1.0, 1.0, 1.0],
                   [1.0, 3.0, 2.0, 2.0, 5.0, 4.0], (rng.normal(0.0, 1.0, 11)).tolist(),
                   (np.arange(60) / 30 + rng.normal(0.0, 1.0, 60)).tolist(),
                   (rng.integers(0, 4, 40) / 4).tolist(), (-np.arange(20.0)).tolist()]:
        golden["isotonic"].append({"values": values, "fit": fit(values).tolist()})

    golden["page"] = []
    for windows, levels, slope in [(2, 3, 0.0), (5, 4, 0.5), (20, 11, 0.05), (40, 11, 0.0),
                                   (40, 11, -0.3), (4, 11, 2.0)]:
        losses = slope * np.arange(levels) + rng.normal(0.0, 1.0, (windows, levels))
        tied = np.round(losses[:, :6])
        for rows in [losses, tied, np.ones((windows, 3))]:
            l, p = page(rows)
            golden["page"].append({"losses_nats": rows.T.tolist(), "l": l, "p": p})

    golden["monotone"] = []
    for windows, block, slope, dip, noise in [
            (5, 1, 0.0, 0.0, 40.0), (5, 1, 0.05, 0.0, 20.0), (6, 1, 0.03, 0.06, 20.0),
            (6, 1, 0.05, 0.07, 20.0), (8, 2, 0.0, 0.0, 30.0), (8, 2, 0.1, 0.12, 20.0),
            (6, 1, -0.04, 0.0, 20.0)]:
        targets = rng.integers(500, 1024, windows)
        steps = rng.normal(0.0, noise, (windows, 5)).cumsum(axis=1)
        truth = 3.0 + slope * np.arange(5) - dip * (np.arange(5) == 3)
        losses = targets[:, None] * truth + steps
        golden["monotone"].append(monotone(losses, targets, block))

    print(json.dumps(golden, indent=1))


if __name__ == "__main__":
    main()
