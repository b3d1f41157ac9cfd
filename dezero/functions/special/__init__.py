"""Special functions by the names of ``scipy.special``, with derivatives to any order.

Values come from the library of the arrays: ``scipy.special`` for NumPy (for Dask block by block,
for array-api-strict, a library for tests, on the host), ``cupyx.scipy.special``, ``torch.special``,
``jax.scipy.special``. What a library lacks is made of what it has where that is exact, else it is
an error that names the library and the function.

A gradient of 0 that arrives where a derivative is infinite stays 0. Derivatives by the first
parameters of the incomplete gamma and beta functions, which have no closed form, are integrals to
about 12 digits; a derivative that is not known is an error when it is asked for.

Example:
    >>> import numpy as np
    >>> from dezero import Variable
    >>> from dezero.functions import special
    >>> a, x = Variable(np.array(2.5)), Variable(np.array(1.0))
    >>> special.gammainc(a, x).backward()
    >>> [round(float(v.grad.data), 10) for v in (a, x)]
    [-0.180099607, 0.2767383316]
"""

from ...primitive import ops
from ..activation import sigmoid as expit
from ..elementwise import erf, expm1, log1p
from .bessel import (
    airy,
    i0,
    i0e,
    i1,
    i1e,
    iv,
    ive,
    j0,
    j1,
    jn,
    jv,
    k0,
    k0e,
    k1,
    k1e,
    kn,
    kv,
    kve,
    y0,
    y1,
    yn,
    yv,
)
from .distributions import (
    bdtr,
    bdtrc,
    bdtri,
    chdtr,
    chdtrc,
    chdtri,
    fdtr,
    fdtrc,
    fdtri,
    gdtr,
    gdtrc,
    nbdtr,
    nbdtrc,
    nbdtri,
    pdtr,
    pdtrc,
    pdtri,
    stdtr,
    stdtrit,
)
from .elementary import (
    boxcox,
    boxcox1p,
    cbrt,
    cosdg,
    cosm1,
    cotdg,
    exp2,
    exp10,
    exprel,
    huber,
    inv_boxcox,
    inv_boxcox1p,
    log_expit,
    log_softmax,
    logit,
    logsumexp,
    pseudo_huber,
    radian,
    sinc,
    sindg,
    softmax,
    softplus,
    tandg,
)
from .gamma import (
    beta,
    betainc,
    betaincc,
    betainccinv,
    betaincinv,
    betaln,
    binom,
    digamma,
    gamma,
    gammainc,
    gammaincc,
    gammainccinv,
    gammaincinv,
    gammaln,
    gammasgn,
    loggamma,
    multigammaln,
    poch,
    polygamma,
    psi,
    rgamma,
)
from .integrals import (
    ellipe,
    ellipk,
    ellipkm1,
    exp1,
    expi,
    expn,
    hyp0f1,
    hyp1f1,
    hyp2f1,
    lpmv,
    shichi,
    sici,
    spence,
    wrightomega,
    zeta,
    zetac,
)
from .normal import (
    dawsn,
    entr,
    erfc,
    erfcinv,
    erfcx,
    erfi,
    erfinv,
    fresnel,
    kl_div,
    log_ndtr,
    ndtr,
    ndtri,
    ndtri_exp,
    owens_t,
    rel_entr,
    xlog1py,
    xlogy,
)

__all__ = [
    # errors and normal distribution
    "dawsn", "entr", "erf", "erfc", "erfcinv", "erfcx", "erfi", "erfinv", "fresnel", "kl_div",
    "log_ndtr", "ndtr", "ndtri", "ndtri_exp", "owens_t", "rel_entr",
    # logistic function, powers and logarithms
    "boxcox", "boxcox1p", "cbrt", "cosdg", "cosm1", "cotdg", "exp10", "exp2", "expit", "expm1",
    "exprel", "huber", "inv_boxcox", "inv_boxcox1p", "log1p", "log_expit", "log_softmax", "logit",
    "logsumexp", "pseudo_huber", "radian", "sinc", "sindg", "softmax", "softplus", "tandg",
    "xlog1py", "xlogy",
    # gamma and beta functions
    "beta", "betainc", "betaincc", "betainccinv", "betaincinv", "betaln", "binom", "digamma",
    "gamma", "gammainc", "gammaincc", "gammainccinv", "gammaincinv", "gammaln", "gammasgn",
    "loggamma", "multigammaln", "poch", "polygamma", "psi", "rgamma",
    # distributions
    "bdtr", "bdtrc", "bdtri", "chdtr", "chdtrc", "chdtri", "fdtr", "fdtrc", "fdtri", "gdtr",
    "gdtrc", "nbdtr", "nbdtrc", "nbdtri", "pdtr", "pdtrc", "pdtri", "stdtr", "stdtrit",
    # Bessel functions and others
    "airy", "ellipe", "ellipk", "ellipkm1", "exp1", "expi", "expn", "hyp0f1", "hyp1f1", "hyp2f1",
    "i0", "i0e", "i1", "i1e", "iv", "ive", "j0", "j1", "jn", "jv", "k0", "k0e", "k1", "k1e", "kn",
    "kv", "kve", "lpmv", "shichi", "sici", "spence", "wrightomega", "y0", "y1", "yn", "yv", "zeta",
    "zetac",
]  # fmt: skip

for _name, _function in {
    "erf": erf, "expit": expit, "expm1": expm1, "exprel": exprel, "jn": jn, "log1p": log1p,
    "log_softmax": log_softmax, "logsumexp": logsumexp, "multigammaln": multigammaln, "psi": psi,
    "sinc": sinc, "softmax": softmax,
}.items():  # fmt: skip
    ops["special." + _name] = _function
