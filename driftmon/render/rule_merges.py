"""Recording rules that merge any number of pods exactly, from the counts of each window's bins.

Law: counts add, so the fleet's counts are the sum over pods, and every divergence is computed from that sum as a
daemon computes it from its own: never as a mean of the pods' values, because KL is convex.

A value is there or it is right: pods are added only where they compare with the same reference (an equal digest
and an equal P); a bin that is missing on either side, or an empty window, leaves the value out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from driftmon.render.rule_text import Group, Recording
from driftmon.stats.poisson import poisson_moments
from driftmon.stats.special import ndtri

FLEET: Final = "cluster, namespace, job"
STREAM: Final = f"{FLEET}, stream"
INSTANCE: Final = f"{STREAM}, instance"
REFERENCE: Final = f"{STREAM}, reference"
FEATURE: Final = f"{REFERENCE}, feature"
WINDOW: Final = f"{FEATURE}, window"
BIN: Final = f"{FEATURE}, bin"
WINDOW_BIN: Final = f"{WINDOW}, bin"

# Between these ln l the Poisson moments are taken as straight: m errs by 0.02 at most, of some 1 per bin.
KNOTS: Final = (-12.0, -8.0, -6.0, -5.0, -4.0, -3.0, -2.25, -1.5, -0.75, 0.0, 0.75, 1.5, 2.25, 3.0, 5.0)
QUANTILE: Final = float(ndtri(0.99))

Q: Final = "bin:driftmon_live_bin_ratio:merged"
P: Final = "bin:driftmon_reference_bin_ratio:merged"
COUNTS: Final = "bin:driftmon_window_bin_observations:sum"
N: Final = "feature:driftmon_window_observations:merged"
HARMONIC: Final = "feature:driftmon_harmonic_observations:merged"
EFFECTIVE: Final = "feature:driftmon_effective_observations:merged"
PSEUDOCOUNT: Final = "stream:driftmon_smoothing_pseudocount:max"
BINS: Final = "feature:driftmon_bins:count"
MEAN: Final = "feature:driftmon_kl_noise_mean_nats:merged"
FLOOR: Final = "feature:driftmon_kl_noise_floor_nats:merged"
RAW: Final = "feature:driftmon_kl_divergence_unsmoothed_nats:merged"
KL: Final = "feature:driftmon_kl_divergence_nats:merged"
DEBIASED: Final = "feature:driftmon_kl_divergence_debiased_nats:merged"


def group() -> Group:
    """All of it, in the order in which one rule needs another."""
    return Group("driftmon-merge", [*_sums(), *_shares(), *_divergences(), *_noise()])


def _with_reference(metric: str) -> str:
    return f"{metric}\n  * on ({INSTANCE}) group_left (reference) driftmon_reference_info"


def _sums() -> Iterator[Recording]:
    yield Recording(
        COUNTS,
        f"sum by ({WINDOW_BIN}) (\n  {_with_reference('driftmon_window_bin_observations')}\n)",
        why="The law: counts add. Pods with another reference are never added (DriftmonMixedReferences tells).",
    )
    for side in ("max", "min"):
        yield Recording(
            f"bin:driftmon_reference_bin_ratio:{side}",
            f"{side} by ({BIN}) (\n  {_with_reference('driftmon_reference_bin_ratio')}\n)",
            why="P is equal in all pods by construction: avg would round. Where max and min differ nothing is merged."
            if side == "max"
            else "",
        )
    yield Recording(
        "feature:driftmon_reference_observations:max",
        f"max by ({FEATURE}) (\n  {_with_reference('driftmon_reference_observations')}\n)",
    )
    yield Recording(PSEUDOCOUNT, f"max by ({REFERENCE}) (\n  {_with_reference('driftmon_smoothing_pseudocount')}\n)")
    yield Recording(
        BINS,
        f"count by ({FEATURE}) (bin:driftmon_reference_bin_ratio:max)\n"
        f"unless on ({FEATURE}) (bin:driftmon_reference_bin_ratio:max > bin:driftmon_reference_bin_ratio:min)",
        why="K, special bins included, where all pods have the same P.",
    )


def _shares() -> Iterator[Recording]:
    matched = f"count by ({WINDOW}) ({COUNTS} and on ({BIN}) bin:driftmon_reference_bin_ratio:max)"
    yield Recording(
        N,
        f"sum by ({WINDOW}) ({COUNTS}) > 0\n"
        f"and on ({WINDOW}) (count by ({WINDOW}) ({COUNTS}) == on ({FEATURE}) group_left () {BINS})\n"
        f"and on ({WINDOW}) ({matched} == on ({FEATURE}) group_left () {BINS})",
        why="Nothing for an empty window, and nothing where a bin is missing: it would drop out of the sums below,\n"
        "and KL without one of its terms may even be negative.",
    )
    yield Recording(
        Q,
        f"({COUNTS} + on ({REFERENCE}) group_left () {PSEUDOCOUNT})\n"
        f"/ on ({WINDOW}) group_left ()\n"
        f"({N} + on ({FEATURE}) group_left () ({BINS} * on ({REFERENCE}) group_left () {PSEUDOCOUNT}))",
        why="q = (c + a) / (N + a K), as the daemon smooths; so no bin is 0 and every term below is finite.",
    )
    yield Recording(
        P,
        f"(0 * {Q}) + on ({BIN}) group_left () bin:driftmon_reference_bin_ratio:max",
        why="p, once per window, so that p and q have the same labels.",
    )


def _divergences() -> Iterator[Recording]:
    contribution = "bin:driftmon_kl_contribution_nats:merged"
    yield Recording(contribution, f"{Q} * ln({Q} / {P})", why="Which bin did it: the terms of KL(Q||P), signed.")
    yield Recording(KL, f"sum by ({WINDOW}) ({contribution})", {"direction": "q_p"})
    yield Recording(KL, f"sum by ({WINDOW}) ({P} * ln({P} / {Q}))", {"direction": "p_q"})
    cross = "feature:driftmon_cross_entropy_nats:merged"
    yield Recording(cross, f"-sum by ({WINDOW}) ({Q} * ln({P}))", {"direction": "q_p"})
    yield Recording(cross, f"-sum by ({WINDOW}) ({P} * ln({Q}))", {"direction": "p_q"})
    entropy = "feature:driftmon_entropy_nats:merged"
    yield Recording(entropy, f"-sum by ({WINDOW}) ({P} * ln({P}))", {"distribution": "reference"})
    yield Recording(entropy, f"-sum by ({WINDOW}) ({Q} * ln({Q}))", {"distribution": "live"})
    yield Recording(
        "feature:driftmon_js_divergence_nats:merged",
        f"sum by ({WINDOW}) (\n  {P} * ln(2 * {P} / ({P} + {Q}))\n  + {Q} * ln(2 * {Q} / ({P} + {Q}))\n) / 2",
    )
    yield Recording(
        "feature:driftmon_psi_nats:merged", f"sum without (direction) ({KL})", why="PSI is KL both ways, added."
    )


def _noise() -> Iterator[Recording]:
    share = f"((({COUNTS} > 0) / on ({WINDOW}) group_left () {N}) / on ({WINDOW_BIN}) group_left () {P})"
    yield Recording(
        RAW,
        f"sum by ({WINDOW}) (\n  (({COUNTS} > 0) / on ({WINDOW}) group_left () {N})\n  * ln{share}\n)",
        why="KL of the unsmoothed q against p: what the noise is about. 0 ln 0 is 0: empty bins are left out.",
    )
    yield Recording(
        EFFECTIVE,
        f"sum by ({WINDOW}) (\n  {_with_reference('driftmon_effective_observations')}\n)\nand on ({WINDOW}) {N}\n"
        f"or {N}",
        why="Dependent and decayed observations count for less; known with `metrics: {set: full}`.",
    )
    worth = "feature:driftmon_reference_observations:effective"
    phi = f"max by ({FEATURE}) (\n  {_with_reference('driftmon_overdispersion_ratio')}\n)"
    observed = "feature:driftmon_reference_observations:max"
    yield Recording(worth, f"{observed} / on ({FEATURE}) {phi}\nor {observed}")
    yield Recording(
        HARMONIC,
        f"1 / (1 / {EFFECTIVE} + on ({FEATURE}) group_left () (1 / {worth}))",
        why="N_h: both sides are samples.",
    )
    ln = "bin:driftmon_expected_observations:ln"
    yield Recording(ln, f"ln({P} * on ({WINDOW}) group_left () {HARMONIC})")
    moments = poisson_moments(np.exp(np.array(KNOTS)))
    mu, variance = "feature:driftmon_kl_noise_mu:merged", "feature:driftmon_kl_noise_variance:merged"
    yield Recording(
        mu,
        f"sum by ({WINDOW}) (\n{_interpolated(ln, moments[0])}\n) - 1 > 0",
        why="mu = sum of m(N_h p) - 1 and its variance: the moments of 2 N_h KL when nothing has drifted, each bin's\n"
        "count taken as Poisson (K - 1 and 2 (K - 1) in well filled bins). A table of m and v, straight between knots.",
    )
    yield Recording(
        variance,
        f"sum by ({WINDOW}) (\n{_interpolated(ln, moments[1])}\n) * {mu} / ({mu} + 1)",
    )
    yield Recording(MEAN, f"{mu} / (2 * {HARMONIC})")
    ninth = f"({variance} / (9 * {mu} ^ 2))"
    yield Recording(
        FLOOR,
        f"{MEAN} * (1 - {ninth} + {QUANTILE:.6f} * sqrt({ninth})) ^ 3",
        why="The 99 % quantile of a gamma with this mean and variance, by Wilson and Hilferty.",
    )
    yield Recording(DEBIASED, f"{RAW} - {MEAN}")


def _interpolated(ln: str, values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> str:
    """A function of ln l that is straight between the knots and flat outside."""
    terms = [f"{values[0]:.5f}"]
    for left, right, step in zip(KNOTS, KNOTS[1:], np.diff(values).tolist(), strict=False):
        terms.append(f"{step / (right - left):+.5f} * (clamp({ln}, {left:g}, {right:g}) - {_signed(left)})")
    return "\n".join(f"  {term}" for term in terms)


def _signed(value: float) -> str:
    return f"({value:g})" if value < 0 else f"{value:g}"
