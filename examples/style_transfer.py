"""Style transfer: a picture with the content of one and the style of another.

The pixels are changed until VGG16's features agree with the content's in a deep layer, and their
correlations (Gram matrices) with the style's in five layers (Gatys and others, 2015,
https://arxiv.org/abs/1508.06576). Each part of the loss is relative to the size of what it aims
at, so the weights fit the book's network and torchvision's alike.

    python examples/style_transfer.py --weights vgg16.pth --content zebra.jpg --style starry.jpg
        [--steps 300] [--size 224] [--out runs/style_transfer]

The weights are the book's or torchvision's (.npz, .pth, .safetensors); the message says where to
get them. About a second a step on two cores at 224 pixels. It leaves the picture, every 100 steps.
"""

import argparse
from pathlib import Path

import numpy as np
from vgg import load_vgg16

import dezero
from dezero import Parameter
from dezero import functions as F
from dezero.layers import Layer
from dezero.models import VGG16
from dezero.optimizers import Adam

CONTENT, STYLES = "conv4_2", ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
BLOCKS = (2, 2, 3, 3, 1)  # convolutions that are used


def main(argv=None):
    """Paint, and return the losses."""
    options = read_options(argv)
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    model = load_vgg16(options.weights, convolutions=True).freeze()
    paths = options.content, options.style
    content, style = (load(path, options.size, model.variant) for path in paths)
    with dezero.no_grad():
        wanted = features(model, content)[CONTENT]
        grams = {name: gram(features(model, style)[name]) for name in STYLES}

    canvas = Layer()
    canvas.picture = Parameter(content.copy())
    spread = 57.0 if model.variant == "book" else 1.0  # the standard deviation of its inputs
    optimizer = Adam(0.03 * spread).setup(canvas)
    losses = []
    for step in range(1, options.steps + 1):
        found = features(model, canvas.picture)
        parts = {
            "content": options.content_weight * distance(found[CONTENT], wanted),
            "style": sum(distance(gram(found[name]), grams[name]) for name in STYLES) / 5,
            "noise": options.noise_weight * variation(canvas.picture) / spread**2,
        }
        loss = sum(parts.values())
        canvas.cleargrads()
        loss.backward()
        optimizer.update()
        losses.append(loss.item())
        if step % 100 == 0 or step == options.steps:
            figures = ", ".join(f"{name} {part.item():.4f}" for name, part in parts.items())
            print(f"step {step}: {figures}", flush=True)
            save(folder / f"step{step}.png", canvas.picture.data, model.variant)
    return {"losses": losses, "picture": folder / f"step{options.steps}.png"}


def features(model, x):
    """What the convolutions give, by name; average pooling gives smoother pictures than maxima."""
    found = {}
    for block, count in enumerate(BLOCKS, 1):
        if block > 1:
            x = F.average_pooling(x, 2, 2)
        for i in range(1, count + 1):
            name = f"conv{block}_{i}"
            x = found[name] = F.relu(getattr(model, name)(x))
    return found


def gram(x):
    """How often which channels go together: (C, C)."""
    channels = F.reshape(x, (x.shape[1], -1))
    return F.matmul(channels, F.transpose(channels)) / channels.shape[1]


def distance(x, aim):
    """The squared distance, relative to the size of the aim."""
    return F.sum((x - aim) ** 2) / (F.sum(aim**2) + 1e-12)


def variation(x):
    """How much neighbouring pixels differ."""
    return F.mean((x[:, :, 1:] - x[:, :, :-1]) ** 2) + F.mean((x[..., 1:] - x[..., :-1]) ** 2)


def load(path, size, variant):
    """A picture as the network takes it."""
    from PIL import Image

    with Image.open(path) as image:
        return VGG16.preprocess(image, (size, size), variant=variant)[None]


def save(path, x, variant):
    """Write what the network takes as a picture."""
    from PIL import Image

    # Both are linear, so black and white tell how to go back.
    ends = [Image.new("RGB", (1, 1), colour) for colour in ("black", "white")]
    black, white = (VGG16.preprocess(end, None, variant=variant) for end in ends)
    pixels = ((x[0] - black) / (white - black)).clip(0, 1).transpose(1, 2, 0)
    if variant == "book":
        pixels = pixels[:, :, ::-1]
    Image.fromarray((255 * pixels).round().astype(np.uint8)).save(path)


def read_options(argv):
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", default="vgg16.npz", help="the book's or torchvision's")
    parser.add_argument("--content", required=True, help="the picture whose content it is")
    parser.add_argument("--style", required=True, help="the picture whose style it is")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--size", type=int, default=224, help="pixels of each side")
    parser.add_argument("--content-weight", type=float, default=0.05)
    parser.add_argument("--noise-weight", type=float, default=0.02)
    parser.add_argument("--out", default="runs/style_transfer")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
