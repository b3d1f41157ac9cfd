"""Schedules beside PyTorch's, their parts, states and errors."""

import json
import math

import numpy as np
import pytest

from dezero.core import Parameter, Variable
from dezero.layers import Layer
from dezero.optimizers import (
    SGD,
    Adam,
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MomentumSGD,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    Schedule,
    SequentialLR,
    StepLR,
)

STEPS = 40


class Pair(Layer):
    def __init__(self):
        super().__init__()
        self.a, self.b = Parameter(np.ones(1)), Parameter(np.ones(1))


def optimizers(make=SGD, **options):
    """An optimizer with a group whose rate is its own."""
    pair = Pair()
    optimizer = make(0.3, **options).setup(pair)
    optimizer.add_group(pair.b, **{optimizer.rate: 0.07})
    return optimizer


PAIRS = {
    "LambdaLR": (LambdaLR, "LambdaLR", (lambda t: 0.9**t + 1 / (1 + t),)),
    "StepLR": (StepLR, "StepLR", (7, 0.3)),
    "MultiStepLR": (MultiStepLR, "MultiStepLR", ([3, 9, 9, 20], 0.5)),
    "ConstantLR": (ConstantLR, "ConstantLR", (0.25, 6)),
    "LinearLR": (LinearLR, "LinearLR", (0.2, 0.9, 11)),
    "LinearLR, defaults": (LinearLR, "LinearLR", ()),
    "ExponentialLR": (ExponentialLR, "ExponentialLR", (0.93,)),
    "PolynomialLR": (PolynomialLR, "PolynomialLR", (17, 2.5)),
    "CosineAnnealingLR": (CosineAnnealingLR, "CosineAnnealingLR", (11, 0.02)),
    "CosineAnnealingWarmRestarts": (
        CosineAnnealingWarmRestarts,
        "CosineAnnealingWarmRestarts",
        (5, 1, 0.01),
    ),
    "CosineAnnealingWarmRestarts, longer each time": (
        CosineAnnealingWarmRestarts,
        "CosineAnnealingWarmRestarts",
        (4, 2),
    ),
}


def theirs(torch, **options):
    one, two = (torch.zeros(1, requires_grad=True) for _ in range(2))
    groups = [{"params": [one]}, {"params": [two], "lr": 0.07}]
    return torch.optim.SGD(groups, lr=0.3, **options)


def assert_same_rates(schedule, optimizer, other, steps, step=lambda i: ()):
    for i in range(steps):
        want = [group["lr"] for group in other.optimizer.param_groups]
        assert schedule.rates == pytest.approx(want, rel=1e-9, abs=1e-12), i
        assert [optimizer.lr, optimizer.groups[0].lr] == schedule.rates
        other.optimizer.step()
        schedule.step(*step(i))
        other.step(*step(i))


@pytest.mark.parametrize("name", PAIRS)
def test_beside_pytorch(name):
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    ours, other, arguments = PAIRS[name]
    optimizer = optimizers()
    its = getattr(torch.optim.lr_scheduler, other)(theirs(torch), *arguments)
    assert_same_rates(ours(optimizer, *arguments), optimizer, its, STEPS)


@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("three", [False, True])
def test_one_cycle_beside_pytorch(strategy, three):
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    optimizer = optimizers(MomentumSGD, momentum=0.9)
    options = {"pct_start": 0.35, "anneal_strategy": strategy, "three_phase": three}
    schedule = OneCycleLR(optimizer, [0.5, 0.2], STEPS, **options)
    other = torch.optim.lr_scheduler.OneCycleLR(
        theirs(torch, momentum=0.9), [0.5, 0.2], STEPS, **options
    )
    for i in range(STEPS):
        group = other.optimizer.param_groups[0]
        assert optimizer.momentum == pytest.approx(group["momentum"], rel=1e-12), i
        assert schedule.rates[1] == pytest.approx(other.optimizer.param_groups[1]["lr"], rel=1e-9)
        assert optimizer.lr == pytest.approx(group["lr"], rel=1e-9), i
        if i < STEPS - 1:
            other.optimizer.step()
            schedule.step()
            other.step()
    before = schedule.state_dict()
    with pytest.raises(ValueError, match="OneCycleLR: step 40, but the cycle has 40 steps"):
        schedule.step()
    assert schedule.state_dict() == before


def test_one_cycle_moves_beta1_or_nothing():
    adam = Adam()
    OneCycleLR(adam, 0.1, 10)
    assert adam.beta1 == 0.95
    adam = Adam()
    OneCycleLR(adam, 0.1, 10, cycle_momentum=False)
    assert adam.beta1 == 0.9
    OneCycleLR(SGD(), 0.1, 10)
    with pytest.raises(ValueError, match="SGD has no momentum"):
        OneCycleLR(SGD(), 0.1, 10, cycle_momentum=True)
    with pytest.raises(ValueError, match="2 numbers in max_lr, expected 1"):
        OneCycleLR(SGD(), [0.1, 0.2], 10)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mode": "max", "factor": 0.5, "patience": 1, "threshold": 0.1},
        {"mode": "min", "patience": 2, "threshold": 0.2, "threshold_mode": "abs", "cooldown": 3},
        {"mode": "max", "patience": 0, "threshold": 0.05, "threshold_mode": "abs"},
        {"factor": 0.1, "patience": 0, "min_lr": 0.01, "eps": 1e-3},
    ],
    ids=str,
)
def test_plateau_beside_pytorch(options):
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    optimizer = optimizers()
    other = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs(torch), **options)
    rng = np.random.default_rng(0)
    metrics = [float(m) for m in np.exp(-np.arange(STEPS) / 6) - 0.2 + 0.3 * rng.random(STEPS)]
    metrics[9] = math.nan
    assert_same_rates(
        ReduceLROnPlateau(optimizer, **options), optimizer, other, STEPS, lambda i: (metrics[i],)
    )


def test_plateau_takes_a_variable_and_wants_a_metric():
    schedule = ReduceLROnPlateau(SGD(1.0), patience=0)
    assert schedule.needs_metric
    schedule.step(Variable(np.array(2.0)))
    schedule.step(Variable(np.array(3.0)))
    assert schedule.rates == [0.1]
    with pytest.raises(TypeError, match="expected a number, such as"):
        schedule.step()


def test_sequence_beside_pytorch():
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    schedulers = torch.optim.lr_scheduler
    other = theirs(torch)
    its = schedulers.SequentialLR(
        other,
        [schedulers.LinearLR(other, 0.1, total_iters=5), schedulers.StepLR(other, 4, 0.5)],
        [5],
    )
    optimizer = optimizers()
    parts = [LinearLR(None, 0.1, total_iters=5), StepLR(None, 4, 0.5)]
    assert_same_rates(SequentialLR(optimizer, parts, [5]), optimizer, its, STEPS)


def test_chain_beside_pytorch():
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    schedulers = torch.optim.lr_scheduler
    other = theirs(torch)
    its = schedulers.ChainedScheduler(
        [schedulers.ConstantLR(other, 0.1, 4), schedulers.ExponentialLR(other, 0.9)]
    )
    its.optimizer = other
    optimizer = optimizers()
    ours = ChainedScheduler(optimizer, [ConstantLR(None, 0.1, 4), ExponentialLR(None, 0.9)])
    assert_same_rates(ours, optimizer, its, STEPS)


def test_a_warm_up_before_anything():
    optimizer = Adam(1.0)
    inner = ChainedScheduler(None, [ExponentialLR(None, 0.5), StepLR(None, 2)])
    schedule = SequentialLR(optimizer, [LinearLR(None, 0.5, total_iters=2), inner], [2])
    rates = [optimizer.alpha]
    for _ in range(4):
        schedule.step()
        rates.append(optimizer.alpha)
    assert rates == pytest.approx([0.5, 0.75, 1.0, 0.5, 0.025])


def test_a_group_without_a_rate_of_its_own_follows():
    pair = Pair()
    optimizer = SGD(1.0).setup(pair)
    group = optimizer.add_group(pair.b, weight_decay=0.1)
    ExponentialLR(optimizer, 0.5).step()
    assert group.lr == 0.5


ALL = {name: (lambda o, c=c, a=a: c(o, *a)) for name, (c, _, a) in PAIRS.items()} | {
    "OneCycleLR": lambda o: OneCycleLR(o, 0.5, STEPS),
    "ReduceLROnPlateau": lambda o: ReduceLROnPlateau(o, factor=0.3, patience=1, cooldown=1),
    "SequentialLR": lambda o: SequentialLR(o, [LinearLR(None), StepLR(None, 3)], [4]),
    "ChainedScheduler": lambda o: ChainedScheduler(o, [LinearLR(None), StepLR(None, 3)]),
}


@pytest.mark.parametrize("name", ALL)
def test_state_goes_on_exactly(name):
    rng = np.random.default_rng(1)
    metrics = rng.random(30).tolist()
    one = optimizers(MomentumSGD)
    schedule = ALL[name](one)
    for metric in metrics[:11]:
        schedule.step(metric)
    state = json.loads(json.dumps(schedule.state_dict()))
    kept = [one.lr, one.groups[0].lr, one.momentum]
    for metric in metrics[11:]:
        schedule.step(metric)

    other = optimizers(MomentumSGD)
    other.lr = 5.0  # the state decides
    again = ALL[name](other)
    again.load_state_dict(state)
    assert [other.lr, other.groups[0].lr, other.momentum] == kept
    for metric in metrics[11:]:
        again.step(metric)
    assert again.state_dict() == schedule.state_dict()
    assert [other.lr, other.groups[0].lr, other.momentum] == [
        one.lr,
        one.groups[0].lr,
        one.momentum,
    ]


def test_a_state_that_does_not_fit_changes_nothing():
    schedule = ReduceLROnPlateau(SGD(0.5))
    before = schedule.state_dict()
    with pytest.raises(ValueError, match="does not fit ReduceLROnPlateau") as caught:
        schedule.load_state_dict(
            {"count": "3", "bases": [1.0, 2.0], "rates": [0.1], "best": 1.0, "bad": 1, "old": 2}
        )
    assert [line.strip() for line in str(caught.value).splitlines()[1:]] == [
        "cooling: missing",
        "count: '3', expected a number",
        "bases: [1.0, 2.0], expected 1 numbers",
        "old: unknown",
    ]
    assert schedule.state_dict() == before
    assert schedule.optimizer.lr == 0.5


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: StepLR(SGD(), 0), ValueError, "StepLR: step_size is 0, expected at least 1"),
        (lambda: StepLR(SGD(), 1.5), TypeError, "StepLR: step_size is 1.5, expected an integer"),
        (lambda: StepLR("SGD", 2), TypeError, "StepLR: got <class 'str'>, expected an Optimizer"),
        (lambda: ExponentialLR(SGD(), math.nan), ValueError, "ExponentialLR: gamma is nan"),
        (lambda: CosineAnnealingLR(SGD(), -3), ValueError, "CosineAnnealingLR: T_max is -3"),
        (lambda: ReduceLROnPlateau(SGD(), "less"), ValueError, "mode is 'less', expected 'min'"),
        (lambda: ReduceLROnPlateau(SGD(), factor=1.0), ValueError, "factor is 1, .* below 1"),
        (lambda: OneCycleLR(SGD(), 1.0, 9, anneal_strategy="x"), ValueError, "'cos' or 'linear'"),
        (lambda: StepLR(None, 2).step(), RuntimeError, "StepLR: made without an optimizer"),
        (lambda: SequentialLR(SGD(), [], []), ValueError, "SequentialLR: no schedulers"),
        (
            lambda: SequentialLR(SGD(), [StepLR(None, 1), StepLR(None, 1)], [3, 1]),
            ValueError,
            r"milestones \[3, 1\] for 2 schedulers, expected 1 rising",
        ),
        (
            lambda: ChainedScheduler(SGD(), [StepLR(SGD(), 1)]),
            ValueError,
            "a part of StepLR has an optimizer",
        ),
        (
            lambda: ChainedScheduler(SGD(), [ReduceLROnPlateau(SGD())]),
            TypeError,
            "expected a schedule without metric",
        ),
    ],
)
def test_wrong_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_schedule_of_ones_own():
    class Half(Schedule):
        def value(self, base, t):
            return base / 2**t

    optimizer = Adam(1.0)
    schedule = SequentialLR(optimizer, [Half(None), ConstantLR(None, 1.0)], [2])
    schedule.step()
    assert optimizer.alpha == 0.5
