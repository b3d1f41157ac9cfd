"""Estimators, kernels and metrics of scikit-learn, with ``array_api_dispatch``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import sklearn
from sklearn import (
    calibration,
    cluster,
    decomposition,
    discriminant_analysis,
    gaussian_process,
    kernel_approximation,
    kernel_ridge,
    linear_model,
    metrics,
    mixture,
    model_selection,
    naive_bayes,
    neighbors,
    neural_network,
    pipeline,
    preprocessing,
    random_projection,
    svm,
    utils,
)
from sklearn.metrics import pairwise
from sklearn.utils import _array_api, extmath

from .measure import Chapter, normal, positive, spaced


class Dispatched(Chapter):
    """scikit-learn takes arrays by their namespace only where it is told to."""

    def __call__(self, name: str, call: Callable[..., Any], *arrays: Any, **facts: Any) -> None:
        @functools.wraps(call)
        def dispatched(*args: Any) -> Any:
            with sklearn.config_context(array_api_dispatch=True):
                return call(*args)

        super().__call__(name, dispatched, *arrays, **facts)


entry = Dispatched("sklearn")

LABELS = np.arange(12) % 3
PAIR = np.arange(12) % 2


def samples(rng: np.random.Generator) -> np.ndarray:
    """Points in three groups, by `LABELS`, that are not far from each other."""
    centres = np.array([[0.0, 1.0, 0.5, -0.5], [1.0, 0.0, -0.5, 0.5], [-1.0, -0.5, 0.0, 1.0]])
    return centres[LABELS] + 0.8 * rng.standard_normal((12, 4))


def apart(rows: int, columns: int, low: float, high: float) -> Callable[..., np.ndarray]:
    return lambda rng: spaced(rows * columns, low, high)(rng).reshape(rows, columns)


def staggered(offset: float) -> Callable[..., Callable[[np.random.Generator], np.ndarray]]:
    """Points of which no coordinate comes near that of points with another offset."""

    def points(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
        def draw(rng: np.random.Generator) -> np.ndarray:
            return 0.4 * (rng.integers(-3, 4, shape) + offset + rng.uniform(-0.2, 0.2, shape))

        return draw

    return points


def probabilities(rows: int, columns: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.dirichlet(np.full(columns, 5.0), rows)


def moved(estimator: Any, x: Any) -> Any:
    """An estimator that was fitted on NumPy arrays, for arrays like ``x``."""
    space, _, device = _array_api.get_namespace_and_device(x)
    return _array_api.move_estimator_to(estimator, space, device)


def given(name: str, make: Callable[[], Any], y: Any, *methods: str) -> None:
    """Methods of an estimator that was fitted on NumPy arrays."""

    @functools.cache
    def model() -> Any:
        return make().fit(samples(np.random.default_rng(1)), y)

    for method in methods:
        entry(
            name,
            lambda xp, z, method=method: getattr(moved(model(), z), method)(z),
            normal(3, 4),
            arguments=f"Z: {method}(Z), moved here after fit",
        )


# --- kernels and distances ----------------------------------------------------------------------


def kernel(name: str, x: Callable[..., Any], y: Any = None, **options: Any) -> None:
    function = getattr(pairwise, name)
    entry(
        f"metrics.pairwise.{name}",
        lambda xp, x, y: function(x, y, **options),
        x(5, 3),
        (y or x)(4, 3),
        arguments="X, Y" + "".join(f", {name}={value!r}" for name, value in options.items()),
    )


kernel("linear_kernel", normal)
kernel("polynomial_kernel", normal, degree=3)
kernel("sigmoid_kernel", normal)
kernel("rbf_kernel", normal, gamma=0.4)
kernel("laplacian_kernel", staggered(0.0), staggered(0.5))
kernel("cosine_similarity", normal)
kernel("additive_chi2_kernel", positive)
kernel("chi2_kernel", positive)
kernel("euclidean_distances", normal)
kernel("manhattan_distances", staggered(0.0), staggered(0.5))
kernel("cosine_distances", normal)
kernel("pairwise_distances", normal, metric="l2")
kernel("pairwise_kernels", normal, metric="rbf")
for name in ("euclidean", "manhattan", "cosine"):
    entry(
        f"metrics.pairwise.paired_{name}_distances",
        lambda xp, x, y, name=name: getattr(pairwise, f"paired_{name}_distances")(x, y),
        staggered(0.0)(5, 3),
        staggered(0.5)(5, 3),
        arguments="X, Y",
    )
entry(
    "metrics.pairwise.paired_distances",
    lambda xp, x, y: pairwise.paired_distances(x, y, metric="cosine"),
    normal(5, 3),
    normal(5, 3),
    arguments="X, Y",
)
entry(
    "metrics.pairwise.euclidean_distances",
    lambda xp, x: pairwise.euclidean_distances(x),
    normal(5, 3),
    arguments="X",
)
entry(
    "metrics.pairwise_distances_argmin_min",
    lambda xp, x, y: metrics.pairwise_distances_argmin_min(x, y)[1],
    normal(5, 3),
    normal(4, 3),
    arguments="X, Y",
)

# --- metrics of regression ----------------------------------------------------------------------


def regression(name: str, kind: Callable[..., Any] = normal, **options: Any) -> None:
    """Once as a number, once with a result for each output, where there are several."""
    function = getattr(metrics, name)
    entry(
        f"metrics.{name}",
        lambda xp, y_true, y_pred, w: function(y_true, y_pred, sample_weight=w, **options),
        kind(9),
        kind(9),
        positive(9),
        arguments="y_true, y_pred, sample_weight",
    )


def outputs(name: str, kind: Callable[..., Any] = normal, **options: Any) -> None:
    function = getattr(metrics, name)
    entry(
        f"metrics.{name}",
        lambda xp, y_true, y_pred, w: function(
            y_true, y_pred, sample_weight=w, multioutput="raw_values", **options
        ),
        kind(9, 2),
        kind(9, 2),
        positive(9),
        arguments="y_true, y_pred, sample_weight, multioutput='raw_values'",
    )


for name in (
    "mean_absolute_error",
    "mean_squared_error",
    "root_mean_squared_error",
    "mean_absolute_percentage_error",
    "mean_pinball_loss",
    "median_absolute_error",
    "r2_score",
    "explained_variance_score",
    "d2_pinball_score",
    "d2_absolute_error_score",
):
    outputs(name)
    regression(name)
for name in ("mean_squared_log_error", "root_mean_squared_log_error"):
    outputs(name, positive)
    regression(name, positive)
regression("mean_poisson_deviance", positive)
regression("mean_gamma_deviance", positive)
regression("mean_tweedie_deviance", positive, power=1.5)
regression("d2_tweedie_score", positive, power=1.5)
entry(
    "metrics.max_error",
    lambda xp, y_true, y_pred: metrics.max_error(y_true, y_pred),
    normal(9),
    normal(9),
)

# --- metrics of classification ------------------------------------------------------------------

entry(
    "metrics.log_loss",
    lambda xp, p: metrics.log_loss(xp.asarray(LABELS), p),
    probabilities(12, 3),
    arguments="y_proba",
)
entry(
    "metrics.d2_log_loss_score",
    lambda xp, p: metrics.d2_log_loss_score(xp.asarray(LABELS), p),
    probabilities(12, 3),
    arguments="y_proba",
)
entry(
    "metrics.brier_score_loss",
    lambda xp, p: metrics.brier_score_loss(xp.asarray(LABELS), p),
    probabilities(12, 3),
    arguments="y_proba",
)
entry(
    "metrics.d2_brier_score",
    lambda xp, p: metrics.d2_brier_score(xp.asarray(LABELS), p),
    probabilities(12, 3),
    arguments="y_proba",
)
for name in ("accuracy_score", "zero_one_loss", "hamming_loss", "balanced_accuracy_score"):
    function = getattr(metrics, name)
    entry(
        f"metrics.{name}",
        lambda xp, w, f=function: f(
            xp.asarray(LABELS), xp.asarray(LABELS[::-1].copy()), sample_weight=w
        ),
        positive(12),
        arguments="sample_weight",
    )
for name in ("precision_score", "recall_score", "f1_score", "jaccard_score"):
    function = getattr(metrics, name)
    entry(
        f"metrics.{name}",
        lambda xp, w, f=function: f(
            xp.asarray(LABELS),
            xp.asarray(np.r_[LABELS[:6], LABELS[5::-1]]),
            average=None,
            sample_weight=w,
        ),
        positive(12),
        arguments="sample_weight, average=None",
    )
entry(
    "metrics.fbeta_score",
    lambda xp, w: metrics.fbeta_score(
        xp.asarray(LABELS),
        xp.asarray(np.r_[LABELS[:6], LABELS[5::-1]]),
        beta=0.5,
        average=None,
        sample_weight=w,
    ),
    positive(12),
    arguments="sample_weight, average=None",
)
entry(
    "metrics.confusion_matrix",
    lambda xp, w: metrics.confusion_matrix(
        xp.asarray(LABELS), xp.asarray(np.r_[LABELS[:6], LABELS[5::-1]]), sample_weight=w
    ),
    positive(12),
    arguments="sample_weight",
)
entry(
    "metrics.multilabel_confusion_matrix",
    lambda xp, w: metrics.multilabel_confusion_matrix(
        xp.asarray(LABELS), xp.asarray(np.r_[LABELS[:6], LABELS[5::-1]]), sample_weight=w
    ),
    positive(12),
    arguments="sample_weight",
)
entry(
    "metrics.cohen_kappa_score",
    lambda xp, w: metrics.cohen_kappa_score(
        xp.asarray(LABELS), xp.asarray(np.r_[LABELS[:6], LABELS[5::-1]]), sample_weight=w
    ),
    positive(12),
    arguments="sample_weight",
)
for name in ("roc_curve", "det_curve", "precision_recall_curve"):
    function = getattr(metrics, name)
    entry(
        f"metrics.{name}",
        lambda xp, w, f=function: f(
            xp.asarray(PAIR),
            xp.asarray(np.cos(np.arange(12.0))),
            sample_weight=w,
            drop_intermediate=False,
        )[:2],
        positive(12),
        arguments="sample_weight, drop_intermediate=False",
    )
entry(
    "metrics.auc",
    lambda xp, x, y: metrics.auc(xp.sort(x), y),
    positive(6),
    positive(6),
    arguments="x, y",
)
entry(
    "metrics.roc_auc_score",
    lambda xp, w: metrics.roc_auc_score(
        xp.asarray(PAIR), xp.asarray(np.cos(np.arange(12.0))), sample_weight=w
    ),
    positive(12),
    arguments="sample_weight",
)
entry(
    "metrics.average_precision_score",
    lambda xp, w: metrics.average_precision_score(
        xp.asarray(PAIR), xp.asarray(np.cos(np.arange(12.0))), sample_weight=w
    ),
    positive(12),
    arguments="sample_weight",
)

# --- metrics of clusters ------------------------------------------------------------------------

entry(
    "metrics.calinski_harabasz_score",
    lambda xp, x: metrics.calinski_harabasz_score(x, xp.asarray(LABELS)),
    samples,
    arguments="X",
)
entry(
    "metrics.davies_bouldin_score",
    lambda xp, x: metrics.davies_bouldin_score(x, xp.asarray(LABELS)),
    samples,
    arguments="X",
)

# --- preprocessing ------------------------------------------------------------------------------


def scaler(name: str, make: Callable[[], Any], inverse: bool = True) -> None:
    kind = apart(6, 3, -2.0, 2.0)
    entry(
        f"preprocessing.{name}",
        lambda xp, x: make().fit_transform(x),
        kind,
        arguments="X: fit_transform(X)",
    )
    entry(
        f"preprocessing.{name}",
        lambda xp, x, z: make().fit(x).transform(z),
        kind,
        apart(4, 3, -1.0, 1.0),
        arguments="X, Z: fit(X).transform(Z)",
    )
    if inverse:
        entry(
            f"preprocessing.{name}",
            lambda xp, x, z: make().fit(x).inverse_transform(z),
            kind,
            normal(4, 3),
            arguments="X, Z: fit(X).inverse_transform(Z)",
        )


scaler("StandardScaler", preprocessing.StandardScaler)
scaler("MinMaxScaler", preprocessing.MinMaxScaler)
scaler("MaxAbsScaler", preprocessing.MaxAbsScaler)
scaler("PolynomialFeatures", lambda: preprocessing.PolynomialFeatures(3), inverse=False)
scaler("Normalizer", preprocessing.Normalizer, inverse=False)
scaler(
    "FunctionTransformer",
    lambda: preprocessing.FunctionTransformer(lambda v: v**3 + v),
    inverse=False,
)
entry(
    "preprocessing.StandardScaler",
    lambda xp, x: preprocessing.StandardScaler().fit_transform(
        x, sample_weight=xp.asarray(np.arange(1.0, 7.0))
    ),
    normal(6, 3),
    arguments="X: fit_transform(X, sample_weight=...)",
)
entry(
    "preprocessing.StandardScaler",
    lambda xp, x, z: preprocessing.StandardScaler().partial_fit(x).partial_fit(z).transform(x),
    normal(6, 3),
    normal(5, 3),
    arguments="X, Z: partial_fit(X).partial_fit(Z).transform(X)",
)
for norm in ("l1", "max"):
    entry(
        "preprocessing.Normalizer",
        lambda xp, x, norm=norm: preprocessing.Normalizer(norm).fit_transform(x),
        normal(5, 3),
        arguments=f"X: fit_transform(X), norm={norm!r}",
    )
entry(
    "preprocessing.KernelCenterer",
    lambda xp, x, z: preprocessing.KernelCenterer().fit(x @ x.T).transform(z @ x.T),
    normal(5, 3),
    normal(4, 3),
    arguments="X, Z: fit(X @ X.T).transform(Z @ X.T)",
)
entry("preprocessing.normalize", lambda xp, x: preprocessing.normalize(x), normal(5, 3))
entry(
    "preprocessing.minmax_scale",
    lambda xp, x: preprocessing.minmax_scale(x),
    apart(5, 3, -1.0, 1.0),
)
entry(
    "preprocessing.maxabs_scale",
    lambda xp, x: preprocessing.maxabs_scale(x),
    apart(5, 3, -1.0, 1.0),
)
entry(
    "preprocessing.add_dummy_feature",
    lambda xp, x: preprocessing.add_dummy_feature(x),
    normal(5, 3),
)

# --- decomposition ------------------------------------------------------------------------------


def component(what: str, take: Callable[[Any, Any], Any], **options: Any) -> None:
    said = "".join(f", {name}={value!r}" for name, value in options.items())
    entry(
        "decomposition.PCA",
        lambda xp, x: take(decomposition.PCA(2, **{"svd_solver": "full", **options}).fit(x), x),
        samples,
        arguments=f"X: {what}{said}",
    )


component("fit(X).transform(X)", lambda pca, x: pca.transform(x))
component("fit(X).transform(X)", lambda pca, x: pca.transform(x), svd_solver="covariance_eigh")
component(
    "fit(X).transform(X)",
    lambda pca, x: pca.transform(x),
    svd_solver="randomized",
    power_iteration_normalizer="QR",
    random_state=0,
)
component("fit(X).transform(X)", lambda pca, x: pca.transform(x), whiten=True)
component("fit(X).inverse_transform(...)", lambda pca, x: pca.inverse_transform(pca.transform(x)))
component("fit(X).components_", lambda pca, x: pca.components_)
component("fit(X).explained_variance_ratio_", lambda pca, x: pca.explained_variance_ratio_)
component("fit(X).score_samples(X)", lambda pca, x: pca.score_samples(x))
component("fit(X).get_covariance()", lambda pca, x: pca.get_covariance())
component("fit(X).get_precision()", lambda pca, x: pca.get_precision())
entry(
    "decomposition.TruncatedSVD",
    lambda xp, x: decomposition.TruncatedSVD(2, random_state=0).fit_transform(x),
    samples,
    arguments="X: fit_transform(X)",
)
given("decomposition.IncrementalPCA", lambda: decomposition.IncrementalPCA(2), None, "transform")
given(
    "decomposition.KernelPCA", lambda: decomposition.KernelPCA(2, kernel="rbf"), None, "transform"
)
given("decomposition.FactorAnalysis", lambda: decomposition.FactorAnalysis(2), None, "transform")
given(
    "decomposition.FastICA",
    lambda: decomposition.FastICA(2, random_state=0, whiten="unit-variance"),
    None,
    "transform",
)
given("cluster.KMeans", lambda: cluster.KMeans(2, random_state=0), None, "transform")
given(
    "neighbors.NeighborhoodComponentsAnalysis",
    lambda: neighbors.NeighborhoodComponentsAnalysis(2, random_state=0),
    LABELS,
    "transform",
)
given("preprocessing.RobustScaler", preprocessing.RobustScaler, None, "transform")
given("preprocessing.PowerTransformer", preprocessing.PowerTransformer, None, "transform")
given("preprocessing.SplineTransformer", preprocessing.SplineTransformer, None, "transform")
entry(
    "random_projection.GaussianRandomProjection",
    lambda xp, x: random_projection.GaussianRandomProjection(2, random_state=0).fit_transform(x),
    samples,
    arguments="X: fit_transform(X)",
)
entry(
    "kernel_approximation.AdditiveChi2Sampler",
    lambda xp, x: kernel_approximation.AdditiveChi2Sampler().fit_transform(x),
    positive(4, 3),
    arguments="X: fit_transform(X)",
)
given(
    "kernel_approximation.RBFSampler",
    lambda: kernel_approximation.RBFSampler(random_state=0),
    None,
    "transform",
)
entry(
    "kernel_approximation.Nystroem",
    lambda xp, x: kernel_approximation.Nystroem(
        gamma=0.3, n_components=5, random_state=0
    ).fit_transform(x),
    samples,
    arguments="X: fit_transform(X)",
)

# --- linear models ------------------------------------------------------------------------------


def fitted(name: str, make: Callable[[], Any], take: str, y: np.ndarray | None = None) -> None:
    """An estimator that is fitted on Variables, to values or to classes."""
    if y is None:
        entry(
            name,
            lambda xp, x, t, z: getattr(make().fit(x, t), take)(z),
            samples,
            normal(12),
            normal(3, 4),
            arguments=f"X, y, Z: fit(X, y).{take}(Z)",
        )
    else:
        entry(
            name,
            lambda xp, x, z: getattr(make().fit(x, xp.asarray(y)), take)(z),
            samples,
            normal(3, 4),
            arguments=f"X, Z: fit(X, y).{take}(Z)",
        )


fitted("linear_model.Ridge", lambda: linear_model.Ridge(0.7, solver="svd"), "predict")
fitted("linear_model.RidgeCV", lambda: linear_model.RidgeCV((0.1, 1.0)), "predict")
fitted(
    "linear_model.RidgeClassifier",
    lambda: linear_model.RidgeClassifier(0.7, solver="svd"),
    "decision_function",
    LABELS,
)
fitted(
    "linear_model.RidgeClassifierCV",
    lambda: linear_model.RidgeClassifierCV((0.1, 1.0)),
    "decision_function",
    LABELS,
)
entry(
    "linear_model.Ridge",
    lambda xp, x, y, w: linear_model.Ridge(0.7, solver="svd").fit(x, y, sample_weight=w).coef_,
    samples,
    normal(12, 2),
    positive(12),
    arguments="X, y, sample_weight: fit(X, y, sample_weight).coef_",
)
PROBABLE = ("predict_proba", "predict_log_proba")
given(
    "linear_model.LogisticRegression",
    linear_model.LogisticRegression,
    LABELS,
    "decision_function",
    *PROBABLE,
)
fitted(
    "linear_model.LogisticRegression",
    linear_model.LogisticRegression,
    "decision_function",
    LABELS,
)
for kind in (
    linear_model.LinearRegression,
    linear_model.Lasso,
    linear_model.ElasticNet,
    linear_model.HuberRegressor,
    linear_model.BayesianRidge,
    kernel_ridge.KernelRidge,
    svm.LinearSVR,
    svm.SVR,
    gaussian_process.GaussianProcessRegressor,
):
    module = kind.__module__.split(".")[1]
    given(f"{module}.{kind.__name__}", kind, np.sin(np.arange(12.0)), "predict")
given(
    "neural_network.MLPRegressor",
    lambda: neural_network.MLPRegressor(activation="tanh", max_iter=20, random_state=0),
    np.sin(np.arange(12.0)),
    "predict",
)
for kind in (linear_model.SGDClassifier, svm.LinearSVC, svm.SVC):
    module = kind.__module__.split(".")[1]
    given(
        f"{module}.{kind.__name__}",
        lambda kind=kind: kind(random_state=0),
        LABELS,
        "decision_function",
    )
given("linear_model.PoissonRegressor", linear_model.PoissonRegressor, LABELS, "predict")
given("linear_model.GammaRegressor", linear_model.GammaRegressor, 1 + LABELS, "predict")
given("linear_model.TweedieRegressor", linear_model.TweedieRegressor, LABELS, "predict")

# --- other models -------------------------------------------------------------------------------

for name in ("transform", "decision_function", *PROBABLE):
    fitted(
        "discriminant_analysis.LinearDiscriminantAnalysis",
        discriminant_analysis.LinearDiscriminantAnalysis,
        name,
        LABELS,
    )
given(
    "discriminant_analysis.QuadraticDiscriminantAnalysis",
    lambda: discriminant_analysis.QuadraticDiscriminantAnalysis(reg_param=0.1),
    PAIR,
    "decision_function",
)
for name in (*PROBABLE, "predict_joint_log_proba"):
    fitted("naive_bayes.GaussianNB", naive_bayes.GaussianNB, name, LABELS)


def mixed(x: Any, method: str, kind: str) -> Any:
    """Four steps of expectation and maximization, and then a method."""
    model = mixture.GaussianMixture(
        2,
        covariance_type=kind,
        init_params="random_from_data",
        random_state=0,
        max_iter=4,
        tol=0.0,
        reg_covar=0.5,
    )
    return getattr(model.fit(x), method)(x)


for kind in ("full", "tied", "diag", "spherical"):
    entry(
        "mixture.GaussianMixture",
        lambda xp, x, kind=kind: mixed(x, "score_samples", kind),
        samples,
        arguments=f"X: fit(X).score_samples(X), covariance_type={kind!r}",
        step=1e-4,
    )
entry(
    "mixture.GaussianMixture",
    lambda xp, x: mixed(x, "predict_proba", "full"),
    samples,
    arguments="X: fit(X).predict_proba(X)",
    step=1e-4,
)
given(
    "mixture.GaussianMixture",
    lambda: mixture.GaussianMixture(2, init_params="random_from_data", random_state=0),
    None,
    "score_samples",
)


@functools.cache
def calibrated(xp: Any) -> Any:
    model = calibration.CalibratedClassifierCV(
        discriminant_analysis.LinearDiscriminantAnalysis(),
        method="temperature",
        cv=3,
        ensemble=False,
    )
    return model.fit(xp.asarray(samples(np.random.default_rng(1))), xp.asarray(LABELS))


entry(
    "calibration.CalibratedClassifierCV",
    lambda xp, z: calibrated(xp).predict_proba(z),
    normal(3, 4),
    arguments="Z: fit(X, y).predict_proba(Z)",
)
entry(
    "pipeline.Pipeline",
    lambda xp, x, y, z: (
        pipeline.make_pipeline(
            preprocessing.StandardScaler(),
            decomposition.PCA(3, svd_solver="full"),
            linear_model.Ridge(solver="svd"),
        )
        .fit(x, y)
        .predict(z)
    ),
    samples,
    normal(12),
    normal(3, 4),
    arguments="X, y, Z: fit(X, y).predict(Z), of StandardScaler, PCA and Ridge",
)
entry(
    "pipeline.FeatureUnion",
    lambda xp, x: pipeline.make_union(
        preprocessing.StandardScaler(), preprocessing.PolynomialFeatures(2)
    ).fit_transform(x),
    samples,
    arguments="X: fit_transform(X), of StandardScaler and PolynomialFeatures",
)

# --- utilities ----------------------------------------------------------------------------------

entry("utils.extmath.softmax", lambda xp, x: extmath.softmax(x), normal(3, 4))
entry("utils.extmath.row_norms", lambda xp, x: extmath.row_norms(x), normal(3, 4))
entry(
    "utils.extmath.safe_sparse_dot",
    lambda xp, a, b: extmath.safe_sparse_dot(a, b),
    normal(3, 4),
    normal(4, 2),
)
entry(
    "utils.extmath.randomized_svd",
    lambda xp, x: [
        f(p)
        for f, p in zip(
            (abs, xp.asarray, abs),
            extmath.randomized_svd(x, 3, random_state=0, power_iteration_normalizer="QR"),
            strict=True,
        )
    ],
    samples,
    arguments="M",
)
entry(
    "utils.extmath.svd_flip",
    lambda xp, u, v: extmath.svd_flip(u, v),
    apart(4, 3, -1.0, 1.0),
    apart(3, 3, -1.0, 1.0),
    arguments="u, v",
)
entry(
    "model_selection.train_test_split",
    lambda xp, x, y: model_selection.train_test_split(x, y, random_state=0),
    normal(6, 2),
    normal(6),
)
entry(
    "model_selection.cross_val_predict",
    lambda xp, x, y: model_selection.cross_val_predict(
        linear_model.Ridge(solver="svd"), x, y, cv=3
    ),
    samples,
    normal(12),
    arguments="X, y, of Ridge",
)
entry("utils.shuffle", lambda xp, x: utils.shuffle(x, random_state=0), normal(5, 2))
entry("utils.resample", lambda xp, x: utils.resample(x, random_state=0), normal(5, 2))
