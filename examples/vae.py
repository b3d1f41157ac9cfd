"""A variational autoencoder on handwritten digits, which lays them out in a plane.

The encoder gives each digit a normal distribution in the plane, the decoder makes a digit of each
point. Both are trained on the evidence lower bound (Kingma and Welling, 2013,
https://arxiv.org/abs/1312.6114): how well a digit comes back from a point drawn from its
distribution, less how far that distribution is from the standard normal one.

    python examples/vae.py [--epochs 150] [--seed 0] [--out runs/vae]

About ten seconds. It leaves a sheet of digits from all over the plane, the plane with the digits of
the test set in it, and the curves of the bound.
"""

import argparse
from pathlib import Path
from statistics import NormalDist

import numpy as np

import dezero
from dezero import functions as F
from dezero import layers as L
from dezero.data import DataLoader, Digits
from dezero.models import MLP, Model
from dezero.optimizers import Adam
from dezero.viz import plot_curves, plot_decision, plot_images


class VAE(Model):
    """An encoder to the plane, and a decoder; it gives the bound, negative, for pixels (N, 64)."""

    def __init__(self, hidden=256):
        super().__init__()
        self.hidden = L.Linear(hidden)
        self.mean, self.log_variance = L.Linear(2), L.Linear(2)
        self.decoder = MLP((hidden, 64), activation=F.relu)

    def encode(self, x):
        """Mean and logarithm of the variance, for each digit."""
        h = F.relu(self.hidden(x))
        return self.mean(h), self.log_variance(h)

    def decode(self, z):
        """Digits, with pixels from 0 to 1."""
        return F.sigmoid(self.decoder(z))

    def forward(self, x):
        mean, log_variance = self.encode(x)
        noise = dezero.random.normal(mean.shape).astype(np.float32)
        scores = self.decoder(mean + F.exp(0.5 * log_variance) * noise)
        lost = F.binary_cross_entropy_with_logits(scores, x, reduction="sum")
        apart = 0.5 * F.sum(mean**2 + F.exp(log_variance) - log_variance - 1)
        return (lost + apart) / len(x)


def main(argv=None):
    """Train, draw, and return the figures."""
    options = read_options(argv)
    dezero.seed(options.seed)
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    train, test = Digits.split(options.seed)
    batches = DataLoader(train, 64)
    model = VAE()
    optimizer = Adam(0.002).setup(model)

    rows = []
    for epoch in range(1, options.epochs + 1):
        total = 0.0
        for x, _ in batches:
            loss = model(x)
            model.cleargrads()
            loss.backward()
            optimizer.update()
            total += loss.item() * len(x) / len(train)
        with dezero.no_grad():
            valid = model(test.data).item()
        rows.append({"epoch": epoch, "loss": total, "valid_loss": valid})
        if epoch % 10 == 0 or epoch == options.epochs:
            print(f"epoch {epoch}: {total:.2f} nats a digit, {valid:.2f} of the test set")

    with dezero.no_grad():
        # Points that cut the standard normal distribution into parts of the same probability.
        xs, ys = ([NormalDist().inv_cdf((i + 0.5) / n) for i in range(n)] for n in (10, 6))
        grid = np.array([(x, y) for y in ys[::-1] for x in xs], np.float32)
        sheet = model.decode(grid).data.reshape(-1, 8, 8)
        places = model.encode(test.data)[0].data
        centres = model.encode(train.data)[0].data
    plot_images(folder / "sheet.png", sheet, title="digits from all over the plane")
    nearest = nearest_label(centres, train.label)
    right = float(np.mean(nearest(places) == test.label))
    title = f"by their neighbours {right:.0%} are read right"
    plot_decision(folder / "plane.png", nearest, places, test.label, steps=100, title=title)
    plot_curves(folder / "curves.png", rows)
    print(f"of the test set {right:.1%} are read right by their neighbours in the plane")
    return {"bound": rows[-1]["valid_loss"], "right": right, "rows": rows, "sheet": sheet}


def nearest_label(centres, labels):
    """A function that gives each point the commonest label of its seven nearest neighbours."""

    def classify(points):
        squares = (points**2).sum(axis=1)[:, None] + (centres**2).sum(axis=1)
        near = np.argpartition(squares - 2 * points @ centres.T, 7, axis=1)[:, :7]
        return np.eye(10)[labels[near]].sum(axis=1).argmax(axis=1)

    return classify


def read_options(argv):
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="runs/vae")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
