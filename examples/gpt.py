"""A small GPT learns Python, and writes some.

It learns the text of characters.py, pieces of it in random order, and is measured in bits per
character on modules that it has not seen: there each character is predicted from half the block or
more before it. Then it writes, one character at a time: the keys and values of the characters so
far are kept, which the last lines compare with computing them anew.

    python examples/gpt.py [--epochs 6] [--layers 3] [--width 96] [--seed 0] [--out runs/gpt]

It takes about seven minutes. In --out it leaves the curves, the weights, and what
the heads of the first block attend to.
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
from characters import cross_entropy
from corpus import Corpus

import dezero
from dezero.models import GPT
from dezero.optimizers import AdamW, ClipGrad, OneCycleLR
from dezero.viz import plot_attention, plot_curves

BEGINNING = "\nclass Reader:\n    def __init__(self"


def main(argv=None):
    """Train, write, and return the figures."""
    options = read_options(argv)
    dezero.seed(options.seed)
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    corpus = Corpus(options.size)
    print(f"{len(corpus.train)} characters to train with, {len(corpus.valid)} held out, of")
    print(f"{len(corpus.vocabulary)} different ones; SHA-256 {corpus.sha256}")
    model = GPT(
        len(corpus.vocabulary),
        options.block,
        layers=options.layers,
        heads=4,
        width=options.width,
        dropout=options.dropout,
    )
    rows = train(model, corpus, options)
    plot_curves(folder / "curves.png", rows)
    model.save_weights(folder / "weights.npz")
    draw_attention(folder / "attention.png", model, corpus.vocabulary)

    start = corpus.vocabulary.encode(BEGINNING)[None]
    text = corpus.vocabulary.decode(model.generate(start, options.sample, temperature=0.7)[0])
    print(text)
    start, count = start[:, :1], options.block - 1
    begin = time.perf_counter()
    kept = model.generate(start, count, temperature=0)
    middle = time.perf_counter()
    anew = generate_anew(model, start, count)
    seconds = middle - begin, time.perf_counter() - middle
    same = bool((kept == anew).all())
    print(
        f"{count} characters with the cache in {seconds[0]:.2f} s, without in {seconds[1]:.2f} s,"
    )
    print("and they are the same" if same else "and they differ")
    return {"bits": rows[-1]["valid_bits"], "rows": rows, "text": text, "same": same}


def train(model, corpus, options):
    """Train the model; the figures of each epoch."""
    inputs, targets = corpus.rows(corpus.train_ids, len(corpus.train_ids) // options.block)
    batches = len(inputs) // options.batch
    optimizer = AdamW(options.rate, weight_decay=0.1).setup(model)
    optimizer.add_hook(ClipGrad(1.0))
    steps = options.epochs * batches + 1
    schedule = OneCycleLR(optimizer, options.rate, steps, pct_start=0.1, cycle_momentum=False)
    rows = []
    for epoch in range(1, options.epochs + 1):
        start, bits = time.perf_counter(), 0.0
        order = dezero.random.permutation(len(inputs), epoch=epoch)
        for chosen in order[: batches * options.batch].reshape(batches, -1):
            loss = cross_entropy(model(inputs[chosen]), targets[chosen])
            model.cleargrads()
            loss.backward()
            optimizer.update()
            schedule.step()
            bits += loss.item() / math.log(2) / batches
        valid = evaluate(model, corpus)
        rows.append({"epoch": epoch, "bits": bits, "valid_bits": valid})
        seconds = time.perf_counter() - start
        print(f"epoch {epoch}: {bits:.3f}, held out {valid:.3f} bits; {seconds:.0f} s", flush=True)
    return rows


def evaluate(model, corpus):
    """Bits per character of the second halves of blocks that begin every half block."""
    inputs, targets = corpus.rows(corpus.valid_ids, 1)
    half = model.block_size // 2
    starts = np.arange(0, inputs.shape[1] - 2 * half + 1, half)
    places = starts[:, None] + np.arange(2 * half)
    total = 0.0
    with dezero.no_grad(), dezero.test_mode():
        for chosen in np.array_split(places, -(-len(places) // 32)):
            y = model(inputs[0, chosen])[:, half:]
            total += cross_entropy(y, targets[0, chosen[:, half:]]).item() * len(chosen)
    return total / len(places) / math.log(2)


def generate_anew(model, ids, count):
    """The likeliest characters, without keeping anything."""
    with dezero.no_grad(), dezero.test_mode():
        for _ in range(count):
            new = model(ids).data[:, -1].argmax(axis=1)
            ids = np.concatenate([ids, new[:, None]], axis=1)
    return ids


def draw_attention(path, model, vocabulary):
    """Draw what each character of a line attends to in the first block."""
    line = "    def read(self, size=-1):"
    ids = vocabulary.encode(line)[None]
    with dezero.no_grad(), dezero.test_mode():
        x = model.tokens(ids) + model.positions.W[: ids.shape[1]]
        block = model.blocks.layers[0]
        _, weights = block.self_attn(block.norm1(x), causal=True, weights=True)
    plot_attention(path, weights[0], list(line), list(line), "the first block")


def read_options(argv):
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="runs/gpt")
    parser.add_argument("--layers", type=int, default=3, help="number of blocks")
    parser.add_argument("--width", type=int, default=96, help="length of each character's vector")
    parser.add_argument("--block", type=int, default=64, help="most characters seen at once")
    parser.add_argument("--batch", type=int, default=8, help="pieces for each update")
    parser.add_argument("--dropout", type=float, default=0.05)
    parser.add_argument("--rate", type=float, default=0.004, help="the highest learning rate")
    parser.add_argument("--size", type=int, default=5_000, help="characters of each module")
    parser.add_argument("--sample", type=int, default=400, help="characters to write at the end")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
