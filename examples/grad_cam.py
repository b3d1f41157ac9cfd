"""Grad-CAM: where in a picture a network has seen what it says is there.

The gradient of the class's score with respect to what a convolution gives says how much each of
its channels speaks for the class; the channels' maps, weighted so, show where (Selvaraju and
others, 2016, https://arxiv.org/abs/1610.02391).

Without weights a small network learns to read digits first, in ten seconds. That the maps point
at what matters is then measured: the quarter of the pixels at which each map is highest is
painted over, and for comparison the quarter at which it is lowest.

    python examples/grad_cam.py [--epochs 15] [--seed 0] [--out runs/grad_cam]

With the weights of VGG16, from the book or torchvision (.npz, .pth, .safetensors), and a picture:

    python examples/grad_cam.py --weights vgg16.pth --picture zebra.jpg [--class 340]
"""

import argparse
from pathlib import Path

import numpy as np
from digits_cnn import fit
from vgg import load_vgg16

import dezero
from dezero import functions as F
from dezero.data import Digits
from dezero.models import VGG16
from dezero.viz import plot_images


def main(argv=None):
    """Draw the maps, and return the figures."""
    options = read_options(argv)
    Path(options.out).mkdir(parents=True, exist_ok=True)
    return photograph(options) if options.weights else digits(options)


def grad_cam(model, layer, x, labels=None):
    """Maps from 0 to 1 (N, H, W) of where the classes are seen, and the scores (N, classes).

    Args:
        model: The network.
        layer: One of its convolutions.
        x: Pictures (N, ...).
        labels: The classes to look for; without it each picture's most probable one.
    """
    with dezero.test_mode():
        scores = model(x)
    labels = scores.data.argmax(axis=1) if labels is None else labels
    y = layer.outputs[0]()
    model.cleargrads()
    F.sum(scores[np.arange(len(x)), labels]).backward(retain_grad=True)
    weights = y.grad.data.mean(axis=(2, 3), keepdims=True)
    maps = np.maximum((weights * y.data).sum(axis=1), 0)
    largest = maps.max(axis=(1, 2), keepdims=True)
    return maps / np.where(largest > 0, largest, 1), scores.data


def digits(options):
    """Read digits, show the maps, and measure them."""
    train, test = Digits.split(options.seed)
    model = fit(train, test, options.epochs, options.seed)[0].model
    x = test.data
    maps, scores = grad_cam(model, model.conv2, x)
    accuracy = float(np.mean(scores.argmax(axis=1) == test.label))

    order = maps.reshape(len(x), -1).argsort(axis=1)
    with dezero.no_grad(), dezero.test_mode():
        before = probability(model(x), test.label)
        without_high = probability(model(painted(x, order[:, -16:])), test.label)
        without_low = probability(model(painted(x, order[:, :16])), test.label)
    shown = [overlaid(image.reshape(8, 8), heat) for image, heat in zip(x[:20], maps, strict=False)]
    captions = [f"{read}" for read in scores[:20].argmax(axis=1)]
    plot_images(Path(options.out) / "maps.png", shown, captions, "where the digits are seen")
    print(f"{accuracy:.1%} are read right; probability of the right digit: {before:.3f},")
    print(f"without what the map shows {without_high:.3f}, without the rest {without_low:.3f}")
    return {"accuracy": accuracy, "all": before, "high": without_high, "low": without_low}


def photograph(options):
    """Show what VGG16 sees where in a picture."""
    from PIL import Image

    if options.picture is None:
        msg = "grad_cam: --weights needs --picture, a photograph"
        raise SystemExit(msg)
    with Image.open(options.picture) as image:
        image = image.convert("RGB")
    model = load_vgg16(options.weights)
    x = VGG16.preprocess(image, variant=model.variant)[None]
    labels = None if options.label is None else np.array([options.label])
    maps, scores = grad_cam(model, model.conv5_3, x, labels)
    label = int(scores[0].argmax()) if labels is None else options.label
    share = float(F.softmax(scores).data[0, label])
    heat = F.resize(maps[:, None], image.size[::-1]).data[0, 0]
    shown = [np.asarray(image), overlaid(np.asarray(image) / 255, heat)]
    captions = ["", f"class {label} ({share:.1%})"]
    plot_images(Path(options.out) / "maps.png", shown, captions)
    print(f"class {label} with a probability of {share:.1%}")
    return {"label": label, "probability": share}


def overlaid(image, heat):
    """A picture in colour: red where ``heat`` is high; a grey one is drawn black on white."""
    if image.ndim == 2:
        image = np.repeat(1 - image[:, :, None], 3, axis=2)
    red = np.stack([heat, np.zeros_like(heat), 1 - heat], axis=2)
    return 0.55 * image + 0.45 * red * heat[:, :, None] + 0.45 * image * (1 - heat[:, :, None])


def painted(x, places):
    """Digits without ink in some places (N, count)."""
    x = x.copy()
    np.put_along_axis(x, places, 0, axis=1)
    return x


def probability(scores, labels):
    """The mean probability of the labels."""
    return float(F.softmax(scores).data[np.arange(len(labels)), labels].mean())


def read_options(argv):
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="runs/grad_cam")
    parser.add_argument("--weights", help="VGG16's")
    parser.add_argument("--picture", help="a photograph, with --weights")
    parser.add_argument("--class", dest="label", type=int, help="which of ImageNet's to look for")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
