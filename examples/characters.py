"""A recurrent network learns Python, and guesses the next character better than n-gram models.

Both learn from the same text, the start of modules of Python's standard library (corpus.py), and
are measured in bits per character on modules that they have not seen. The network is a `CharLSTM`;
it reads 32 stretches of the text side by side, remembers its state from piece to piece, and the
graph is cut between them (truncated backpropagation through time). The n-gram models are those of
ngrams.py, with up to 8 characters of context; the best of them is compared.

    python examples/characters.py [--epochs 14] [--hidden 256] [--seed 0] [--out runs/characters]

It takes about seven minutes. In --out it leaves the curves and the weights.
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
from corpus import Corpus
from ngrams import best

import dezero
from dezero import functions as F
from dezero.models import CharLSTM
from dezero.optimizers import Adam, ClipGrad, OneCycleLR
from dezero.viz import plot_curves


def main(argv=None):
    """Train, compare, and return the figures."""
    options = read_options(argv)
    dezero.seed(options.seed)
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)

    corpus = Corpus(options.size)
    print(f"{len(corpus.train)} characters to train with, {len(corpus.valid)} held out, of")
    print(f"{len(corpus.vocabulary)} different ones; SHA-256 {corpus.sha256}")
    model, rows = train(corpus, options)
    plot_curves(folder / "curves.png", rows)
    model.save_weights(folder / "weights.npz")

    ngram, name = best(corpus.train_ids, corpus.valid_ids, len(corpus.vocabulary))
    lstm = rows[-1]["valid_bits"]
    print(f"the best n-gram model ({name}): {ngram:.3f} bits per character")
    print(f"the network: {lstm:.3f} bits per character")
    start = corpus.vocabulary.encode("\nclass Reader:\n    def __init__(self")
    text = corpus.vocabulary.decode(model.generate(start[None], options.sample, temperature=0.7)[0])
    print(text)
    return {"ngram": ngram, "lstm": lstm, "rows": rows, "text": text}


def train(corpus, options):
    """A trained model, and the losses of each epoch."""
    model = CharLSTM(len(corpus.vocabulary), options.hidden, embedding=64, dropout=options.dropout)
    inputs, targets = corpus.rows(corpus.train_ids, 32)
    pieces = range(0, inputs.shape[1], options.length)
    optimizer = Adam(options.rate).setup(model)
    optimizer.add_hook(ClipGrad(1.0))
    schedule = OneCycleLR(
        optimizer,
        options.rate,
        options.epochs * len(pieces) + 1,
        pct_start=0.1,
        cycle_momentum=False,
    )
    rows = []
    for epoch in range(1, options.epochs + 1):
        start, bits = time.perf_counter(), 0.0
        model.reset_state()
        for i in pieces:
            piece = slice(i, i + options.length)
            loss = cross_entropy(model(inputs[:, piece]), targets[:, piece])
            model.cleargrads()
            loss.backward()
            loss.unchain_backward()
            optimizer.update()
            schedule.step()
            bits += loss.item() / math.log(2) * targets[:, piece].shape[1] / inputs.shape[1]
        valid = evaluate(model, *corpus.rows(corpus.valid_ids, 10))
        rows.append({"epoch": epoch, "bits": bits, "valid_bits": valid})
        seconds = time.perf_counter() - start
        print(f"epoch {epoch}: {bits:.3f}, held out {valid:.3f} bits; {seconds:.0f} s", flush=True)
    return model, rows


def evaluate(model, inputs, targets):
    """Bits per character."""
    total = 0.0
    model.reset_state()
    with dezero.no_grad(), dezero.test_mode():
        for i in range(0, inputs.shape[1], 200):
            y = model(inputs[:, i : i + 200])
            total += cross_entropy(y, targets[:, i : i + 200]).item() * y.shape[1]
    return total / inputs.shape[1] / math.log(2)


def cross_entropy(y, t):
    """The loss of scores ``(N, T, V)`` and characters ``(N, T)``."""
    return F.softmax_cross_entropy(F.reshape(y, (-1, y.shape[2])), np.ravel(t))


def read_options(argv):
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="runs/characters")
    parser.add_argument("--hidden", type=int, default=256, help="the length of the state")
    parser.add_argument("--dropout", type=float, default=0.45)
    parser.add_argument("--rate", type=float, default=0.004, help="the highest learning rate")
    parser.add_argument("--length", type=int, default=40, help="characters between two cuts")
    parser.add_argument("--size", type=int, default=5_000, help="characters of each module")
    parser.add_argument("--sample", type=int, default=400, help="characters to write at the end")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
