"""Functions of scipy.stats."""

from __future__ import annotations

import numpy as np
from scipy import stats

from .measure import Chapter, names, normal, positive, spaced, uniform

entry = Chapter("scipy.stats")


def test(result):
    """What a hypothesis test gives."""
    return result.statistic, result.pvalue


# --- summaries ----------------------------------------------------------------------------------

entry("gmean", lambda xp, a, w: stats.gmean(a, axis=1, weights=w), positive(3, 5), positive(3, 5))
entry("hmean", lambda xp, a, w: stats.hmean(a, axis=1, weights=w), positive(3, 5), positive(3, 5))
entry(
    "pmean", lambda xp, a, w: stats.pmean(a, 1.5, axis=1, weights=w), positive(3, 5), positive(3, 5)
)
entry("gstd", lambda xp, a: stats.gstd(a, axis=1), positive(3, 5))
entry("gzscore", lambda xp, a: stats.gzscore(a, axis=1), positive(3, 5))
entry("zscore", lambda xp, a: stats.zscore(a, axis=1, ddof=1), normal(3, 5))
entry("zmap", lambda xp, a, b: stats.zmap(a, b, axis=1), normal(3, 5), normal(3, 6))
entry("moment", lambda xp, a: stats.moment(a, order=3, axis=1), normal(3, 6))
entry("skew", lambda xp, a: stats.skew(a, axis=1, bias=False), normal(3, 6))
entry("kurtosis", lambda xp, a: stats.kurtosis(a, axis=1, bias=False), normal(3, 6))
entry("kstat", lambda xp, a: stats.kstat(a, 4, axis=1), normal(3, 7))
entry("kstatvar", lambda xp, a: stats.kstatvar(a, 2, axis=1), normal(3, 7))
entry("lmoment", lambda xp, a: stats.lmoment(a, axis=0), spaced(9))
entry("variation", lambda xp, a: stats.variation(a, axis=1, ddof=1), positive(3, 5))
entry("sem", lambda xp, a: stats.sem(a, axis=1), normal(3, 5))
entry(
    "describe",
    lambda xp, a: [
        getattr(stats.describe(a, axis=0), k)
        for k in ("minmax", "mean", "variance", "skewness", "kurtosis")
    ],
    spaced(9),
    arguments="a",
)
entry("tmean", lambda xp, a: stats.tmean(a, (-0.8, 0.8)), spaced(8))
entry("tvar", lambda xp, a: stats.tvar(a, (-0.8, 0.8)), spaced(8))
entry("tstd", lambda xp, a: stats.tstd(a, (-0.8, 0.8)), spaced(8))
entry("tsem", lambda xp, a: stats.tsem(a, (-0.8, 0.8)), spaced(8))
entry("tmin", lambda xp, a: stats.tmin(a, -0.6), spaced(8))
entry("tmax", lambda xp, a: stats.tmax(a, 0.6), spaced(8))
entry("trim_mean", lambda xp, a: stats.trim_mean(a, 0.2), spaced(9))
entry("iqr", lambda xp, a: stats.iqr(a), spaced(9))
entry(
    "median_abs_deviation",
    lambda xp, a: stats.median_abs_deviation(a),
    lambda rng: np.array([0.05, 0.9, -1.3, 2.1, -0.4, 3.7, 1.4]),
)
entry("quantile", lambda xp, x, p: stats.quantile(x, p), spaced(9), uniform(0.2, 0.25, 1))
entry("scoreatpercentile", lambda xp, a: stats.scoreatpercentile(a, 30), spaced(9), arguments="a")
entry("expectile", lambda xp, a: stats.expectile(a, 0.3), spaced(9))
entry("trim1", lambda xp, a: stats.trim1(a, 0.2), spaced(9))
entry("sigmaclip", lambda xp, a: stats.sigmaclip(a, 1.2, 1.2).clipped, spaced(9), arguments="a")
entry("circmean", lambda xp, a: stats.circmean(a), uniform(0.5, 2.0, 6), arguments="samples")
entry("circvar", lambda xp, a: stats.circvar(a), uniform(0.5, 2.0, 6), arguments="samples")
entry("circstd", lambda xp, a: stats.circstd(a), uniform(0.5, 2.0, 6), arguments="samples")
entry(
    "directional_stats",
    lambda xp, a: (
        stats.directional_stats(a).mean_direction,
        stats.directional_stats(a).mean_resultant_length,
    ),
    positive(5, 3),
)
entry("entropy", lambda xp, p, q: stats.entropy(p, q, axis=1), positive(3, 5), positive(3, 5))
entry(
    "differential_entropy",
    lambda xp, x: stats.differential_entropy(x, method="vasicek"),
    spaced(12),
)
entry("boxcox_llf", lambda xp, x: stats.boxcox_llf(0.4, x), positive(8), arguments="data")
entry(
    "yeojohnson_llf", lambda xp, lmb, x: stats.yeojohnson_llf(lmb, x), uniform(0.4, 0.6), normal(8)
)
entry("boxcox", lambda xp, x: stats.boxcox(x, 0.4), positive(8), arguments="x")
entry("yeojohnson", lambda xp, x: stats.yeojohnson(x, 0.4), positive(8), arguments="x")
entry(
    "false_discovery_control", lambda xp, p: stats.false_discovery_control(p), spaced(6, 0.05, 0.9)
)
entry(
    "combine_pvalues",
    lambda xp, p: test(stats.combine_pvalues(p, "stouffer")),
    uniform(0.1, 0.9, 5),
    arguments="pvalues",
)
entry(
    "wasserstein_distance", lambda xp, a, b: stats.wasserstein_distance(a, b), spaced(6), spaced(5)
)
entry("energy_distance", lambda xp, a, b: stats.energy_distance(a, b), spaced(6), spaced(5))
entry("obrientransform", lambda xp, a, b: stats.obrientransform(a, b)[0], normal(6), normal(6))
entry(
    "order_statistic",
    lambda xp, x: stats.order_statistic(stats.Normal(), r=2, n=5).pdf(x),
    normal(4),
    arguments="x",
)

# --- tests --------------------------------------------------------------------------------------

entry(
    "ttest_1samp",
    lambda xp, a, m: test(stats.ttest_1samp(a, m, axis=1)),
    normal(3, 7),
    normal(3, 1),
)
entry("ttest_ind", lambda xp, a, b: test(stats.ttest_ind(a, b, axis=1)), normal(3, 7), normal(3, 6))
entry("ttest_rel", lambda xp, a, b: test(stats.ttest_rel(a, b, axis=1)), normal(3, 7), normal(3, 7))
entry(
    "ttest_ind_from_stats",
    lambda xp, a, s, b, t: test(
        stats.ttest_ind_from_stats(a, s, xp.asarray(8.0), b, t, xp.asarray(9.0))
    ),
    normal(3),
    positive(3),
    normal(3),
    positive(3),
    arguments="mean1, std1, mean2, std2",
)
entry(
    "f_oneway", lambda xp, a, b, c: test(stats.f_oneway(a, b, c)), normal(6), normal(7), normal(8)
)
entry(
    "alexandergovern",
    lambda xp, a, b, c: test(stats.alexandergovern(a, b, c)),
    normal(6),
    normal(7),
    normal(8),
)
entry(
    "bartlett", lambda xp, a, b, c: test(stats.bartlett(a, b, c)), normal(6), normal(7), normal(8)
)
entry(
    "levene",
    lambda xp, a, b, c: test(stats.levene(a, b, c, center="mean")),
    normal(6),
    normal(7),
    normal(8),
)
entry(
    "chisquare",
    lambda xp, f, e: test(stats.chisquare(f, e, sum_check=False)),
    uniform(5, 9, 5),
    uniform(5, 9, 5),
)
entry(
    "power_divergence",
    lambda xp, f, e: test(stats.power_divergence(f, e * f.sum() / e.sum(), lambda_="cressie-read")),
    uniform(5, 9, 5),
    uniform(5, 9, 5),
)
entry("pearsonr", lambda xp, x, y: test(stats.pearsonr(x, y)), normal(8), normal(8))
entry("jarque_bera", lambda xp, x: test(stats.jarque_bera(x)), normal(12))
entry("skewtest", lambda xp, x: test(stats.skewtest(x)), normal(12))
entry("kurtosistest", lambda xp, x: test(stats.kurtosistest(x)), normal(22))
entry("normaltest", lambda xp, x: test(stats.normaltest(x)), normal(22))
entry(
    "epps_singleton_2samp",
    lambda xp, x, y: test(stats.epps_singleton_2samp(x, y, (0.7, 1.9))),
    normal(9),
    normal(10),
)
entry(
    "ks_1samp",
    lambda xp, x: stats.ks_1samp(x, lambda v: 1 / (1 + xp.exp(-v)), method="asymp").statistic,
    spaced(9),
    arguments="x",
)
entry(
    "cramervonmises",
    lambda xp, x: stats.cramervonmises(x, lambda v: 1 / (1 + xp.exp(-v))).statistic,
    spaced(9),
    arguments="rvs",
)
entry("linregress", lambda xp, x, y: list(stats.linregress(x, y)), normal(8), normal(8))
entry(
    "pointbiserialr",
    lambda xp, y: test(stats.pointbiserialr(xp.asarray(np.arange(6) % 2 == 0), y)),
    normal(6),
    arguments="y",
)
entry("theilslopes", lambda xp, y: stats.theilslopes(y).slope, spaced(7), arguments="y")
entry("siegelslopes", lambda xp, y: stats.siegelslopes(y).slope, spaced(7), arguments="y")
entry("shapiro", lambda xp, x: stats.shapiro(x).statistic, spaced(9))
entry("anderson", lambda xp, x: stats.anderson(x, method="interpolate").statistic, spaced(9))
entry(
    "tukey_hsd",
    lambda xp, a, b, c: stats.tukey_hsd(a, b, c).statistic,
    normal(6),
    normal(6),
    normal(6),
)
entry(
    "bayes_mvs",
    lambda xp, x: [r.statistic for r in stats.bayes_mvs(x)],
    normal(8),
    arguments="data",
)
entry(
    "monte_carlo_test",
    lambda xp, x: (
        stats.monte_carlo_test(
            x,
            lambda size: xp.asarray(np.random.default_rng(0).standard_normal(size)),
            lambda x, axis: xp.mean(x, axis=axis),
            n_resamples=9,
            vectorized=True,
        ).statistic
    ),
    normal(8),
    arguments="data",
)
entry(
    "permutation_test",
    lambda xp, x, y: (
        stats.permutation_test(
            (x, y),
            lambda x, y, axis: xp.mean(x, axis=axis) - xp.mean(y, axis=axis),
            n_resamples=9,
            vectorized=True,
            rng=np.random.default_rng(0),
        ).statistic
    ),
    normal(8),
    normal(7),
    arguments="data",
)
entry(
    "bootstrap",
    lambda xp, x: (
        stats.bootstrap(
            (x,),
            lambda x, axis: xp.mean(x, axis=axis),
            n_resamples=9,
            vectorized=True,
            method="percentile",
            rng=np.random.default_rng(0),
        ).standard_error
    ),
    normal(8),
    arguments="data",
)

# --- distributions, and contingency tables -------------------------------------------------------

for name in names("pdf logpdf cdf logcdf sf logsf ppf isf"):
    at = uniform(0.2, 0.8, 4)
    entry(
        f"norm.{name}",
        lambda xp, x, m, s, name=name: getattr(stats.norm, name)(x, m, s),
        at,
        normal(4),
        positive(4),
    )
for name, shapes in {
    "t": (4.0,),
    "gamma": (2.0,),
    "beta": (2.0, 3.0),
    "expon": (),
    "laplace": (),
    "logistic": (),
}.items():
    entry(
        f"{name}.logpdf",
        lambda xp, x, name=name, shapes=shapes: getattr(stats, name).logpdf(x, *shapes),
        uniform(0.2, 0.8, 4),
        arguments="x",
    )
entry(
    "multivariate_normal.logpdf",
    lambda xp, x: stats.multivariate_normal.logpdf(x, np.zeros(2), np.eye(2)),
    normal(3, 2),
    arguments="x",
)
entry(
    "gaussian_kde",
    lambda xp, x: stats.gaussian_kde(np.linspace(-1, 1, 7))(x),
    normal(4),
    arguments="points",
)
for name in names("pdf logpdf cdf logcdf ccdf logccdf icdf"):
    entry(
        f"Normal.{name}",
        lambda xp, x, m, s, name=name: getattr(stats.Normal(mu=m, sigma=s), name)(x),
        uniform(0.2, 0.8, 4),
        normal(4),
        positive(4),
    )
entry(
    "Normal.entropy",
    lambda xp, s: stats.Normal(mu=xp.asarray(0.0), sigma=s).entropy(),
    positive(4),
    arguments="sigma",
)
entry(
    "Uniform.logpdf",
    lambda xp, a, b: stats.Uniform(a=a, b=b).logpdf(xp.asarray(0.3)),
    uniform(-1, 0, 4),
    uniform(0.5, 1, 4),
    arguments="a, b",
)
entry("contingency.expected_freq", lambda xp, x: stats.contingency.expected_freq(x), positive(3, 4))
entry("contingency.margins", lambda xp, x: stats.contingency.margins(x), positive(3, 4))
entry(
    "contingency.chi2_contingency",
    lambda xp, x: test(stats.contingency.chi2_contingency(x, correction=False)),
    uniform(5, 9, 3, 4),
    arguments="observed",
)
