"""Functions of scipy.signal and scipy.signal.windows."""

from __future__ import annotations

import numpy as np
from scipy import signal
from scipy.signal import windows

from .measure import Chapter, normal, positive, spaced, uniform

entry = Chapter("scipy.signal")


def poles(xp, re, im):
    """Conjugate pairs of complex numbers."""
    z = re + 1j * im
    return xp.concat([z, xp.conj(z)])


def unordered(z):
    """Sums of powers: the same for any order of the numbers."""
    return z.sum(), (z * z).sum(), (z * z * z).sum()


def low_pass(n=3):
    """Coefficients of a stable filter: its numerator, its denominator."""
    return signal.butter(n, 0.4)


def numerator(rng):
    return low_pass()[0]


def denominator(rng):
    return 1.2 * low_pass()[1]  # SciPy decides whether the first coefficient is 1


def sections(xp, b, a):
    """Second-order sections from numerators and denominators; the latter start with 1."""
    return xp.concat([b, xp.ones((2, 1)), a], axis=1)


def numerators(rng):
    return signal.butter(4, 0.4, output="sos")[:, :3]


def denominators(rng):
    return signal.butter(4, 0.4, output="sos")[:, 4:]


PAIR = uniform(0.1, 0.5, 2)

# --- convolution --------------------------------------------------------------------------------

entry("convolve", lambda xp, x, y: signal.convolve(x, y, method="fft"), normal(9), normal(4))
entry("correlate", lambda xp, x, y: signal.correlate(x, y, method="fft"), normal(9), normal(4))
entry("fftconvolve", lambda xp, x, y: signal.fftconvolve(x, y, axes=1), normal(2, 9), normal(2, 4))
entry("oaconvolve", lambda xp, x, y: signal.oaconvolve(x, y), normal(60), normal(5))
entry("convolve2d", lambda xp, x, y: signal.convolve2d(x, y), normal(5, 4), normal(2, 3))
entry("correlate2d", lambda xp, x, y: signal.correlate2d(x, y), normal(5, 4), normal(2, 3))
entry("deconvolve", lambda xp, x, y: signal.deconvolve(x, y), normal(7), positive(3))
entry(
    "sepfir2d",
    lambda xp, x: signal.sepfir2d(x, xp.ones(3), xp.ones(3)),
    normal(5, 6),
    arguments="input",
)
entry("upfirdn", lambda xp, h, x: signal.upfirdn(h, x, up=2), normal(3), normal(9))

# --- filtering ----------------------------------------------------------------------------------

entry("lfilter", lambda xp, b, a, x: signal.lfilter(b, a, x), numerator, denominator, normal(9))
entry("lfilter_zi", lambda xp, b, a: signal.lfilter_zi(b, a), numerator, denominator)
entry("lfiltic", lambda xp, b, a, y: signal.lfiltic(b, a, y), numerator, denominator, normal(3))
entry("filtfilt", lambda xp, b, a, x: signal.filtfilt(b, a, x), numerator, denominator, normal(20))
entry(
    "sosfilt",
    lambda xp, b, a, x: signal.sosfilt(sections(xp, b, a), x),
    numerators,
    denominators,
    normal(9),
)
entry(
    "sosfilt_zi", lambda xp, b, a: signal.sosfilt_zi(sections(xp, b, a)), numerators, denominators
)
entry(
    "sosfiltfilt",
    lambda xp, b, a, x: signal.sosfiltfilt(sections(xp, b, a), x),
    numerators,
    denominators,
    normal(30),
)
entry("savgol_filter", lambda xp, x: signal.savgol_filter(x, 5, 2), normal(9))
entry(
    "savgol_coeffs",
    lambda xp, d: signal.savgol_coeffs(5, 2, deriv=1, delta=d, xp=xp),
    positive(),
    arguments="delta",
)
entry("detrend", lambda xp, x: signal.detrend(x, axis=1), normal(2, 9))
entry("hilbert", lambda xp, x: signal.hilbert(x), normal(9))
entry("hilbert2", lambda xp, x: signal.hilbert2(x), normal(4, 5))
entry("envelope", lambda xp, x: signal.envelope(x, (1, None)), normal(12))
entry("resample", lambda xp, x: signal.resample(x, 13), normal(9))
entry("resample_poly", lambda xp, x: signal.resample_poly(x, 3, 2), normal(9))
entry("decimate", lambda xp, x: signal.decimate(x, 2), normal(40))
entry("medfilt", lambda xp, x: signal.medfilt(x, 3), spaced(9), arguments="volume")
entry("medfilt2d", lambda xp, x: signal.medfilt2d(x, 3), normal(5, 5), arguments="input")
entry("order_filter", lambda xp, x: signal.order_filter(x, xp.ones(3), 1), spaced(9), arguments="a")
entry("wiener", lambda xp, x: signal.wiener(x, 3, 0.1), normal(9), arguments="im")
entry("cspline1d", lambda xp, x: signal.cspline1d(x), normal(9))
entry("qspline1d", lambda xp, x: signal.qspline1d(x), normal(9))
entry("cspline2d", lambda xp, x: signal.cspline2d(x), normal(30, 30), arguments="signal")
entry("spline_filter", lambda xp, x: signal.spline_filter(x), normal(30, 30), arguments="Iin")
entry(
    "cspline1d_eval", lambda xp, c, x: signal.cspline1d_eval(c, x), normal(9), uniform(1.1, 6.9, 5)
)
entry(
    "qspline1d_eval", lambda xp, c, x: signal.qspline1d_eval(c, x), normal(9), uniform(1.1, 6.9, 5)
)
entry("gauss_spline", lambda xp, x: signal.gauss_spline(x, 3), normal(6), arguments="x")
entry(
    "vectorstrength", lambda xp, t, p: signal.vectorstrength(t, p), positive(7), uniform(0.8, 1.2)
)
entry("czt", lambda xp, x: signal.czt(x), normal(8))
entry("zoom_fft", lambda xp, x: signal.zoom_fft(x, xp.asarray([0.2, 0.6])), normal(8))

# --- spectra ------------------------------------------------------------------------------------

entry("periodogram", lambda xp, x: signal.periodogram(x)[1], normal(16))
entry("welch", lambda xp, x: signal.welch(x, nperseg=8)[1], normal(24))
entry("csd", lambda xp, x, y: signal.csd(x, y, nperseg=8)[1], normal(24), normal(24))
entry("coherence", lambda xp, x, y: signal.coherence(x, y, nperseg=8)[1], normal(24), normal(24))
entry("stft", lambda xp, x: signal.stft(x, nperseg=8)[2], normal(24))
entry(
    "istft",
    lambda xp, x, y: signal.istft(x + 1j * y, nperseg=8)[1],
    normal(5, 7),
    normal(5, 7),
    arguments="Zxx",
)
entry("spectrogram", lambda xp, x: signal.spectrogram(x, nperseg=8)[2], normal(24))
entry(
    "lombscargle",
    lambda xp, x: signal.lombscargle(xp.linspace(0.0, 3.0, 8), x, xp.linspace(1.0, 2.0, 3)),
    normal(8),
    arguments="y",
)
entry(
    "ShortTimeFFT.stft",
    lambda xp, x: signal.ShortTimeFFT(np.hanning(8), 4, 1.0).stft(x),
    normal(24),
    arguments="x",
)

# --- responses ----------------------------------------------------------------------------------

W = np.linspace(0.1, 2.5, 5)

entry("freqz", lambda xp, b, a: signal.freqz(b, a, worN=xp.asarray(W))[1], numerator, denominator)
entry("freqs", lambda xp, b, a: signal.freqs(b, a, worN=xp.asarray(W))[1], positive(2), positive(3))
entry(
    "freqz_sos",
    lambda xp, b, a: signal.freqz_sos(sections(xp, b, a), worN=xp.asarray(W))[1],
    numerators,
    denominators,
)
entry(
    "sosfreqz",
    lambda xp, b, a: signal.sosfreqz(sections(xp, b, a), worN=xp.asarray(W))[1],
    numerators,
    denominators,
)
entry(
    "freqz_zpk",
    lambda xp, z, re, im, k: signal.freqz_zpk(z, poles(xp, re, im), k, worN=xp.asarray(W))[1],
    normal(2),
    PAIR,
    PAIR,
    positive(),
)
entry(
    "freqs_zpk",
    lambda xp, z, re, im, k: signal.freqs_zpk(z, poles(xp, -re, im), k, worN=xp.asarray(W))[1],
    normal(2),
    PAIR,
    PAIR,
    positive(),
)
entry(
    "group_delay",
    lambda xp, b, a: signal.group_delay((b, a), w=xp.asarray(W))[1],
    positive(3),
    denominator,
)
entry("bode", lambda xp, b, a: signal.bode((b, a), w=xp.asarray(W))[1:], positive(2), positive(3))
entry(
    "freqresp",
    lambda xp, b, a: signal.freqresp((b, a), w=xp.asarray(W))[1],
    positive(2),
    positive(3),
)
entry(
    "dfreqresp",
    lambda xp, b, a: signal.dfreqresp((b, a, 0.1), w=xp.asarray(W))[1],
    positive(2),
    positive(3),
)
entry(
    "step",
    lambda xp, b, a: signal.step((b, a), T=xp.linspace(0.0, 2.0, 5))[1],
    positive(2),
    positive(3),
)
entry(
    "impulse",
    lambda xp, b, a: signal.impulse((b, a), T=xp.linspace(0.0, 2.0, 5))[1],
    positive(2),
    positive(3),
)
entry(
    "lsim",
    lambda xp, u: signal.lsim(
        (xp.asarray([1.0]), xp.asarray([1.0, 2.0])), u, xp.linspace(0.0, 2.0, 5)
    )[1],
    normal(5),
    arguments="U",
)
entry(
    "dlsim",
    lambda xp, u: signal.dlsim((xp.asarray([1.0]), xp.asarray([1.0, 0.5]), 0.1), u)[1],
    normal(5),
    arguments="u",
)

# --- design: cut-offs, ripples, coefficients -----------------------------------------------------

entry("butter", lambda xp, w: signal.butter(3, w), uniform(0.3, 0.5), arguments="Wn")
entry("bessel", lambda xp, w: signal.bessel(3, w), uniform(0.3, 0.5), arguments="Wn")
entry("cheby1", lambda xp, r, w: signal.cheby1(3, r, w), positive(), uniform(0.3, 0.5))
entry("cheby2", lambda xp, r, w: signal.cheby2(3, r, w), uniform(20, 30), uniform(0.3, 0.5))
entry(
    "ellip",
    lambda xp, r, s, w: signal.ellip(3, r, s, w),
    positive(),
    uniform(30, 40),
    uniform(0.3, 0.5),
)
entry(
    "iirfilter",
    lambda xp, w: signal.iirfilter(2, w, btype="band"),
    lambda rng: np.array([0.2, 0.5]),
    arguments="Wn",
)
entry(
    "iirdesign",
    lambda xp, w: signal.iirdesign(w, 0.5, 1.0, 20.0),
    uniform(0.2, 0.3),
    arguments="wp",
)
entry("iirnotch", lambda xp, w, q: signal.iirnotch(w, q, xp=xp), uniform(0.3, 0.5), uniform(5, 10))
entry("iirpeak", lambda xp, w, q: signal.iirpeak(w, q, xp=xp), uniform(0.3, 0.5), uniform(5, 10))
entry("iircomb", lambda xp, q: signal.iircomb(0.25, q, xp=xp), uniform(5, 10), arguments="Q")
entry(
    "gammatone",
    lambda xp, f: signal.gammatone(f, "fir", numtaps=8, fs=16.0, xp=xp)[0],
    uniform(3, 5),
    arguments="freq",
)
entry("firwin", lambda xp, c: signal.firwin(7, c), uniform(0.3, 0.5), arguments="cutoff")
entry(
    "firwin2",
    lambda xp, g: signal.firwin2(9, xp.asarray([0.0, 0.4, 1.0]), g),
    positive(3),
    arguments="gain",
)
entry(
    "firls",
    lambda xp, d: signal.firls(7, xp.asarray([0.0, 0.3, 0.5, 1.0]), d),
    positive(4),
    arguments="desired",
)
entry(
    "remez",
    lambda xp, d: signal.remez(7, xp.asarray([0.0, 0.15, 0.25, 0.5]), d),
    lambda rng: np.array([1.0, 0.2]),
    arguments="desired",
)
entry(
    "minimum_phase",
    lambda xp, h: signal.minimum_phase(h, half=False),
    lambda rng: signal.firwin(9, 0.4) + 0.1 * np.eye(9)[4] + 0.005 * rng.uniform(size=9),
    arguments="h",
    step=1e-5,
    tolerance=1e-5,
)
entry("normalize", lambda xp, b, a: signal.normalize(b, a), positive(3), positive(4))
entry("bilinear", lambda xp, b, a: signal.bilinear(b, a, fs=2.0), positive(2), positive(3))
entry(
    "bilinear_zpk",
    lambda xp, z, re, im, k: signal.bilinear_zpk(z, poles(xp, -re, im), k, 2.0),
    normal(2),
    PAIR,
    PAIR,
    positive(),
)
entry("lp2lp", lambda xp, b, a: signal.lp2lp(b, a, 1.3), positive(2), positive(3), arguments="b, a")
entry("lp2hp", lambda xp, b, a: signal.lp2hp(b, a, 1.3), positive(2), positive(3), arguments="b, a")
entry(
    "lp2bp",
    lambda xp, b, a: signal.lp2bp(b, a, 1.3, 0.4),
    positive(2),
    positive(3),
    arguments="b, a",
)
entry(
    "lp2bs",
    lambda xp, b, a: signal.lp2bs(b, a, 1.3, 0.4),
    positive(2),
    positive(3),
    arguments="b, a",
)
entry(
    "lp2lp_zpk",
    lambda xp, z, re, im, k: signal.lp2lp_zpk(z, poles(xp, -re, im), k, 1.3),
    normal(2),
    PAIR,
    PAIR,
    positive(),
    arguments="z, p, k",
)
entry(
    "lp2hp_zpk",
    lambda xp, z, re, im, k: signal.lp2hp_zpk(z, poles(xp, -re, im), k, 1.3),
    normal(2),
    PAIR,
    PAIR,
    positive(),
    arguments="z, p, k",
)
entry(
    "lp2bp_zpk",
    lambda xp, z, re, im, k: signal.lp2bp_zpk(z, poles(xp, -re, im), k, 1.3, 0.3),
    normal(2),
    PAIR,
    PAIR,
    positive(),
    arguments="z, p, k",
)
entry(
    "lp2bs_zpk",
    lambda xp, z, re, im, k: signal.lp2bs_zpk(z, poles(xp, -re, im), k, 1.3, 0.3),
    normal(2),
    PAIR,
    PAIR,
    positive(),
    arguments="z, p, k",
)
entry(
    "zpk2tf",
    lambda xp, z, re, im, k: signal.zpk2tf(z, poles(xp, re, im), k),
    normal(2),
    PAIR,
    PAIR,
    positive(),
)
entry(
    "zpk2sos",
    lambda xp, z, re, im, k: signal.zpk2sos(z, poles(xp, re, im), k),
    lambda rng: rng.uniform(-0.9, -0.3, 4),
    PAIR,
    PAIR,
    positive(),
)
entry("sos2tf", lambda xp, b, a: signal.sos2tf(sections(xp, b, a)), numerators, denominators)
entry(
    "sos2zpk",
    lambda xp, b, a: unordered(signal.sos2zpk(sections(xp, b, a))[1]),
    numerators,
    denominators,
)
entry("tf2zpk", lambda xp, b, a: unordered(signal.tf2zpk(b, a)[1]), positive(2), denominator)
entry(
    "tf2sos",
    lambda xp, b, a: signal.tf2sos(b, a),
    lambda rng: low_pass(2)[0] + 0.1 * rng.uniform(size=3),
    lambda rng: low_pass(2)[1],
)
entry("tf2ss", lambda xp, b, a: signal.tf2ss(b, a), positive(3), positive(3))
entry("zpk2ss", lambda xp, z, p, k: signal.zpk2ss(z, p, k), normal(1), normal(2), positive())
entry(
    "ss2tf",
    lambda xp, a, b, c, d: signal.ss2tf(a, b, c, d),
    normal(2, 2),
    normal(2, 1),
    normal(1, 2),
    normal(1, 1),
)
entry(
    "ss2zpk",
    lambda xp, a, b, c: signal.ss2zpk(a, b, c, xp.zeros((1, 1)))[2],
    normal(2, 2),
    normal(2, 1),
    normal(1, 2),
    arguments="A, B, C",
)
entry(
    "abcd_normalize",
    lambda xp, a, b, c, d: signal.abcd_normalize(a, b, c, d),
    normal(2, 2),
    normal(2, 1),
    normal(1, 2),
    normal(1, 1),
)
entry(
    "cont2discrete",
    lambda xp, a, b, c, d: signal.cont2discrete((a, b, c, d), 0.1)[:2],
    normal(2, 2),
    normal(2, 1),
    normal(1, 2),
    normal(1, 1),
)
entry(
    "place_poles",
    lambda xp, a, b: signal.place_poles(a, b, xp.asarray([-1.0, -2.0])).gain_matrix,
    normal(2, 2),
    normal(2, 1),
    arguments="A, B",
)
entry(
    "residue",
    lambda xp, b, a: signal.residue(b, a)[:2],
    positive(2),
    lambda rng: np.poly([-1.0, -2.0, -3.5]),
)
entry(
    "residuez",
    lambda xp, b, a: signal.residuez(b, a)[:2],
    positive(2),
    lambda rng: np.poly([0.5, -0.2, 0.9]),
)
entry("invres", lambda xp, r, p: signal.invres(r, p, xp.asarray([0.0]))[0], positive(3), spaced(3))

# --- waves --------------------------------------------------------------------------------------

entry("chirp", lambda xp, t: signal.chirp(t, 1.0, 1.0, 3.0), uniform(0, 1, 6), arguments="t")
entry("gausspulse", lambda xp, t: signal.gausspulse(t, fc=2.0), uniform(-1, 1, 6), arguments="t")
entry("sawtooth", lambda xp, t: signal.sawtooth(t), uniform(0.5, 5, 6), arguments="t")
entry(
    "sweep_poly",
    lambda xp, t: signal.sweep_poly(t, np.poly1d([1.0, 2.0])),
    uniform(0, 1, 6),
    arguments="t",
)

# --- windows ------------------------------------------------------------------------------------


def window(name, *parameters, **facts):
    """A window of eight samples with Variables for parameters."""
    function = getattr(windows, name)
    entry(f"windows.{name}", lambda xp, *p: function(8, *p, xp=xp), *parameters, **facts)


window("gaussian", positive(), arguments="std")
window("general_gaussian", positive(), uniform(2, 3), arguments="p, sig")
window("kaiser", uniform(3, 5), arguments="beta")
window("kaiser_bessel_derived", uniform(3, 5), arguments="beta")
window("tukey", uniform(0.4, 0.6), arguments="alpha")
window("general_hamming", uniform(0.4, 0.6), arguments="alpha")
entry(
    "windows.general_cosine", lambda xp, a: windows.general_cosine(8, a), positive(3), arguments="a"
)
window("chebwin", uniform(50, 60), arguments="at")
entry(
    "windows.exponential",
    lambda xp, t: windows.exponential(8, tau=t, xp=xp),
    positive(),
    arguments="tau",
)
entry(
    "windows.taylor",
    lambda xp, s: windows.taylor(8, sll=s, xp=xp),
    uniform(25, 35),
    arguments="sll",
)
entry("windows.dpss", lambda xp, w: windows.dpss(8, w), uniform(2, 2.5), arguments="NW")
entry(
    "get_window",
    lambda xp, s: signal.get_window(("gaussian", s), 8, xp=xp),
    positive(),
    arguments="window",
)
