"""Functions of scipy.special."""

from __future__ import annotations

from scipy import special

from .measure import Chapter, names, normal, positive, uniform

entry = Chapter("scipy.special")


def elementwise(name, *operands, **facts):
    """An entry for a function of numbers; operands are pairs for a domain, numbers are constants.

    Operands in a list are constant arrays.
    """
    free = [i for i, x in enumerate(operands) if isinstance(x, tuple)]
    function = getattr(special, name)

    def call(xp, *arrays):
        arguments = list(operands)
        for i, x in zip(free, arrays, strict=True):
            arguments[i] = x
        for i, x in enumerate(arguments):
            if isinstance(x, (int, float)):
                arguments[i] = xp.asarray(x)
        return function(*arguments)

    entry(name, call, *(uniform(*operands[i], 5) for i in free), **facts)


WHOLE = (-2.0, 2.0)
ABOVE = (0.5, 3.0)
UNIT = (0.1, 0.9)

AROUND_ZERO = names("""
cosdg cosm1 cotdg erf erfc erfcx exp10 exp2 expit exprel i0 i0e i1 i1e j0 j1 log_ndtr ndtr sinc
sindg tandg expm1 erfi dawsn softplus log_expit
""")
OF_POSITIVE = names("""
cbrt digamma entr exp1 expi gamma gammaln k0 k0e k1 k1e log1p loggamma psi rgamma spence y0 y1
""")
OF_FRACTIONS = names("ellipk ellipkm1 erfinv logit ndtri ellipe erfcinv")

for name in AROUND_ZERO:
    elementwise(name, WHOLE)
for name in OF_POSITIVE:
    elementwise(name, ABOVE)
for name in OF_FRACTIONS:
    elementwise(name, UNIT)
elementwise("zetac", (1.5, 4.0))
elementwise("betainc", 1.5, 2.5, UNIT, arguments="x")
elementwise("betaincc", 1.5, 2.5, UNIT, arguments="x")
elementwise("betaincinv", 1.5, 2.5, UNIT, arguments="y")
elementwise("beta", ABOVE, ABOVE)
elementwise("betaln", ABOVE, ABOVE)
elementwise("binom", (4.0, 6.0), (1.2, 2.8))
elementwise("poch", ABOVE, ABOVE)
elementwise("boxcox", ABOVE, (0.3, 1.5))
elementwise("boxcox1p", ABOVE, (0.3, 1.5))
elementwise("inv_boxcox", ABOVE, (0.3, 1.5))
elementwise("inv_boxcox1p", ABOVE, (0.3, 1.5))
elementwise("bdtr", 2.0, 5, UNIT, arguments="p")
elementwise("bdtrc", 2.0, 5, UNIT, arguments="p")
elementwise("bdtri", 2.0, 5, UNIT, arguments="y")
elementwise("nbdtr", 2, 3, UNIT, arguments="p")
elementwise("nbdtrc", 2, 3, UNIT, arguments="p")
elementwise("nbdtri", 2, 3, UNIT, arguments="y")
elementwise("pdtr", 2.0, ABOVE, arguments="m")
elementwise("pdtrc", 2.0, ABOVE, arguments="m")
elementwise("pdtri", 2, UNIT, arguments="y")
elementwise("chdtr", 3.0, ABOVE, arguments="x")
elementwise("chdtrc", 3.0, ABOVE, arguments="x")
elementwise("chdtri", 3.0, UNIT, arguments="p")
elementwise("fdtr", 3.0, 4.0, ABOVE, arguments="x")
elementwise("fdtrc", 3.0, 4.0, ABOVE, arguments="x")
elementwise("fdtri", 3.0, 4.0, UNIT, arguments="p")
elementwise("gdtr", ABOVE, 2.0, ABOVE, arguments="a, x")
elementwise("gdtrc", ABOVE, 2.0, ABOVE, arguments="a, x")
elementwise("gammainc", 1.5, ABOVE, arguments="x")
elementwise("gammaincc", 1.5, ABOVE, arguments="x")
elementwise("gammaincinv", 1.5, UNIT, arguments="y")
elementwise("gammainccinv", 1.5, UNIT, arguments="y")
elementwise("stdtr", 4.0, WHOLE, arguments="t")
elementwise("stdtrit", 4.0, UNIT, arguments="p")
elementwise("huber", (0.5, 0.8), (1.0, 2.0))
elementwise("pseudo_huber", ABOVE, WHOLE)
elementwise("hyp1f1", 1.5, 2.5, WHOLE, arguments="x")
elementwise("hyp2f1", 1.5, 2.5, 3.5, (-0.8, 0.8), arguments="z")
elementwise("hyp0f1", 1.5, WHOLE, arguments="z")
elementwise("kl_div", ABOVE, ABOVE)
elementwise("rel_entr", ABOVE, ABOVE)
elementwise("xlogy", WHOLE, ABOVE)
elementwise("xlog1py", WHOLE, ABOVE)
elementwise("radian", WHOLE, WHOLE, WHOLE)
elementwise("expn", 2, ABOVE, arguments="x")
elementwise("yn", 2, ABOVE, arguments="x")
elementwise("lpmv", 1, 2.0, (-0.8, 0.8), arguments="x")
elementwise("polygamma", 2, ABOVE, arguments="x")
elementwise("zeta", 2.5, ABOVE, arguments="q")
elementwise("jv", 1.5, ABOVE, arguments="z")
elementwise("jve", 1.5, ABOVE, arguments="z")
elementwise("yv", 1.5, ABOVE, arguments="z")
elementwise("iv", 1.5, ABOVE, arguments="z")
elementwise("ive", 1.5, ABOVE, arguments="z")
elementwise("kv", 1.5, ABOVE, arguments="z")
elementwise("kve", 1.5, ABOVE, arguments="z")
elementwise("struve", 1.5, ABOVE, arguments="x")
elementwise("ellipeinc", UNIT, UNIT)
elementwise("ellipkinc", UNIT, UNIT)
elementwise("owens_t", WHOLE, WHOLE)
elementwise("voigt_profile", WHOLE, ABOVE, ABOVE)
elementwise("agm", ABOVE, ABOVE)
elementwise("eval_legendre", 3, (-0.8, 0.8), arguments="x")
elementwise("eval_chebyt", 3, (-0.8, 0.8), arguments="x")
elementwise("eval_hermite", 3, WHOLE, arguments="x")
elementwise("eval_laguerre", 3, WHOLE, arguments="x")
elementwise("fresnel", WHOLE)
elementwise("sici", ABOVE)
elementwise("airy", WHOLE)

# Shapes of distributions: their derivatives have no closed form.
elementwise("betainc", ABOVE, ABOVE, 0.4, arguments="a, b")
elementwise("gammainc", ABOVE, 1.5, arguments="a")
elementwise("gammaincc", ABOVE, 1.5, arguments="a")
elementwise("stdtr", ABOVE, 0.7, arguments="df")
elementwise("chdtr", ABOVE, 1.5, arguments="v")
elementwise("zeta", (1.5, 3.0), 1.5, arguments="x")

entry("logsumexp", lambda xp, x, b: special.logsumexp(x, b=b, axis=1), normal(3, 4), positive(3, 4))
entry("softmax", lambda xp, x: special.softmax(x, axis=1), normal(3, 4))
entry("log_softmax", lambda xp, x: special.log_softmax(x, axis=1), normal(3, 4))
entry("multigammaln", lambda xp, a: special.multigammaln(a, 2), uniform(1.5, 4.0, 5), arguments="a")
entry("diric", lambda xp, x: special.diric(x, 5), uniform(0.3, 1.0, 5), arguments="x")
entry("lambertw", lambda xp, x: special.lambertw(x), positive(5), arguments="z")
entry("legendre_p", lambda xp, z: special.legendre_p(3, z), uniform(-0.8, 0.8, 5), arguments="z")
entry("spherical_jn", lambda xp, z: special.spherical_jn(2, z), positive(5), arguments="z")
