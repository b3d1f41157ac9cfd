"""A generative adversarial network on handwritten digits.

A generator makes digits of random numbers, a discriminator tells them from written ones, and each
learns from the other (Goodfellow and others, 2014, https://arxiv.org/abs/1406.2661), both with
convolutions, as in the book. How good the digits are is measured by the nearest written ones:
which digits there are among them, and how far away they are, in comparison with written digits
that the network has not seen.

    python examples/gan.py [--epochs 60] [--seed 0] [--out runs/gan]

About half a minute. It leaves a sheet of digits and the curves of both losses.
"""

import argparse
from pathlib import Path

import numpy as np

import dezero
from dezero import functions as F
from dezero import layers as L
from dezero.data import DataLoader, Digits
from dezero.models import Sequential
from dezero.optimizers import Adam
from dezero.viz import plot_curves, plot_images

SIZE = 16  # random numbers for each digit


def generator():
    """From random numbers (N, SIZE) to digits (N, 1, 8, 8)."""
    return Sequential(
        L.Linear(64 * 2 * 2),
        L.BatchNorm(),
        F.relu,
        lambda x: F.reshape(x, (-1, 64, 2, 2)),
        L.Deconv2d(32, kernel_size=4, stride=2, pad=1),
        L.BatchNorm(),
        F.relu,
        L.Deconv2d(1, kernel_size=4, stride=2, pad=1),
        F.sigmoid,
    )


def discriminator():
    """From digits (N, 1, 8, 8) to scores (N, 1), above 0 for those that seem written."""
    return Sequential(
        L.Conv2d(32, kernel_size=4, stride=2, pad=1),
        F.leaky_relu,
        L.Conv2d(64, kernel_size=4, stride=2, pad=1),
        F.leaky_relu,
        F.flatten,
        L.Linear(1),
    )


def main(argv=None):
    """Train, draw, and return the figures."""
    options = read_options(argv)
    dezero.seed(options.seed)
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    train, test = Digits.split(options.seed)
    batches = DataLoader(train, 64, drop_last=True)
    gen, dis = generator(), discriminator()
    by_gen, by_dis = (Adam(0.001, beta1=0.5).setup(model) for model in (gen, dis))
    shown = draw(60)

    rows = []
    for epoch in range(1, options.epochs + 1):
        sums = np.zeros(2)
        for x, _ in batches:
            fake = gen(draw(len(x)))
            # Its targets are 0.9 and 0, so that it does not become too sure of itself.
            loss_d = error(dis(x.reshape(-1, 1, 8, 8)), 0.9) + error(dis(fake.data), 0.0)
            update(dis, by_dis, loss_d)
            loss_g = error(dis(fake), 1.0)
            update(gen, by_gen, loss_g)
            sums += loss_g.item(), loss_d.item()
        loss_g, loss_d = sums / len(batches)
        rows.append({"epoch": epoch, "generator_loss": loss_g, "discriminator_loss": loss_d})
        if epoch % 10 == 0 or epoch == options.epochs:
            print(f"epoch {epoch}: loss of the generator {loss_g:.3f}, the other's {loss_d:.3f}")

    with dezero.no_grad(), dezero.test_mode():
        sheet = gen(shown).data[:, 0]
        made = gen(draw(1000)).data.reshape(-1, 64)
    plot_images(folder / "sheet.png", sheet, title="digits that nobody wrote")
    plot_curves(folder / "curves.png", rows)
    distances, labels = nearest(made, train)
    kinds = np.bincount(labels, minlength=10) / len(labels)
    made_distance, true_distance = distances.mean(), nearest(test.data, train)[0].mean()
    print("shares of the digits 0 to 9:", " ".join(f"{share:.0%}" for share in kinds))
    print(f"to the nearest written digit {made_distance:.2f}, of written ones {true_distance:.2f}")
    return {"shares": kinds, "distance": made_distance, "true": true_distance, "rows": rows}


def draw(count):
    """Random numbers for so many digits."""
    return dezero.random.normal((count, SIZE)).astype(np.float32)


def error(scores, target):
    """The mean cross-entropy of scores whose probability should be ``target``."""
    targets = np.full(scores.shape, target, np.float32)
    return F.binary_cross_entropy_with_logits(scores, targets)


def update(model, optimizer, loss):
    """One step of one of the two."""
    model.cleargrads()
    loss.backward()
    optimizer.update()


def nearest(pictures, dataset):
    """The distance to the nearest example, and its label."""
    squares = (pictures**2).sum(axis=1)[:, None] + (dataset.data**2).sum(axis=1)
    squares -= 2 * pictures @ dataset.data.T
    return np.sqrt(squares.min(axis=1).clip(0)), dataset.label[squares.argmin(axis=1)]


def read_options(argv):
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="runs/gan")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
