"""An LSTM learns a noisy sine curve point by point, and then tells a cosine from its noise.

It reads 30 stretches of the curve side by side, one point at a time, remembers its state, and goes
back through 30 points at most: `SeqDataLoader` and truncated backpropagation through time, as in
the book. The curve that it is tested on is a cosine, which it has not seen. It predicts each next
point from those so far; once they are exact, once with as much noise as in training, through which
it must see the curve: what it predicts should be nearer to it than the noisy points are.

    python examples/sine_lstm.py [--epochs 100] [--seed 0] [--out runs/sine_lstm]

About ten seconds. It leaves a picture of the curve and the predictions, and one of the losses.
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import dezero
from dezero import functions as F
from dezero import layers as L
from dezero.data import SeqDataLoader, SinCurve
from dezero.models import Model
from dezero.optimizers import Adam, ClipGrad
from dezero.viz import plot_curves


class Predictor(Model):
    """An LSTM and a linear layer: from a point to the next one."""

    def __init__(self, hidden_size):
        super().__init__()
        self.rnn = L.LSTM(hidden_size)
        self.fc = L.Linear(1)

    def forward(self, x):
        return self.fc(self.rnn(x))


def main(argv=None):
    """Train, predict, draw, and return the figures."""
    options = read_options(argv)
    dezero.seed(options.seed)
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    batches = SeqDataLoader(SinCurve(train=True), 30)
    model = Predictor(options.hidden)
    optimizer = Adam().setup(model)
    optimizer.add_hook(ClipGrad(1.0))

    rows = []
    for epoch in range(1, options.epochs + 1):
        model.rnn.reset_state()
        loss, total = 0, 0.0
        for i, (x, t) in enumerate(batches, 1):
            loss = loss + F.mean_squared_error(model(x.astype(np.float32)), t.astype(np.float32))
            if i % options.length == 0 or i == len(batches):
                model.cleargrads()
                loss.backward()
                loss.unchain_backward()
                optimizer.update()
                total, loss = total + loss.item(), 0
        rows.append({"epoch": epoch, "loss": total / len(batches)})
        if epoch % 10 == 0 or epoch == options.epochs:
            print(f"epoch {epoch}: mean squared error {rows[-1]['loss']:.5f}")

    curve = SinCurve(train=False).data[:, 0].astype(np.float32)
    noise = 0.1 * dezero.random.uniform(curve.shape).astype(np.float32) - 0.05
    noisy, found = curve + noise, {"rows": rows}
    exact, seen_through = predicted(model, curve), predicted(model, noisy)
    found["error"] = float(np.mean((exact[:-1] - curve[1:]) ** 2))
    found["noisy_error"] = float(np.mean((seen_through[:-1] - curve[1:]) ** 2))
    found["last_error"] = float(np.mean((noisy[:-1] - curve[1:]) ** 2))
    print(f"mean squared error on the exact cosine {found['error']:.6f}, on the noisy one")
    print(f"{found['noisy_error']:.6f}; that of its last noisy point {found['last_error']:.6f}")
    plot(folder / "prediction.png", curve, noisy, seen_through)
    plot_curves(folder / "curves.png", rows)
    return found


def predicted(model, curve):
    """The next point for each point."""
    model.rnn.reset_state()
    with dezero.no_grad():
        return np.concatenate([model(x.reshape(1, 1)).data[0] for x in curve])


def plot(path, curve, noisy, predictions):
    """Draw the curve, its noisy points, and what was predicted of them."""
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(noisy[1:], ".", ms=2, color="silver", label="noisy points")
    axes.plot(curve[1:], color="black", lw=1, label="cosine")
    axes.plot(predictions[:-1], lw=1, label="predicted from the noisy points before")
    axes.legend()
    figure.savefig(path, dpi=120)


def read_options(argv):
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="runs/sine_lstm")
    parser.add_argument("--hidden", type=int, default=100, help="the length of the state")
    parser.add_argument("--length", type=int, default=30, help="points between two cuts")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
