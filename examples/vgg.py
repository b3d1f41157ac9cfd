"""Loading VGG16 for grad_cam.py and style_transfer.py."""

from dezero import weights
from dezero.models import VGG16

HELP = """
{path}: there is no such file of weights. These can be used:
  the book's, 528 MB    {url}
  torchvision's         torch.save(torchvision.models.vgg16(weights="DEFAULT").state_dict(), path)
Either may also be a .safetensors file.""".strip()


def load_vgg16(path, convolutions=False):
    """VGG16 with the weights in a file, in the variant that they are for.

    Args:
        path: A file with the book's names or torchvision's.
        convolutions: Leave out the fully connected layers.

    Raises:
        SystemExit: There is no such file; the message says where to get one.
        ValueError: The file is damaged, or of another network.
    """
    try:
        arrays = weights.load(path)
    except FileNotFoundError:
        raise SystemExit(HELP.format(path=path, url=VGG16.WEIGHTS_PATH)) from None
    book = any("/" in name for name in arrays)
    model = VGG16(variant="book" if book else "torchvision")
    if convolutions:
        for name in ("fc6", "fc7", "fc8"):
            delattr(model, name)
        first = "conv" if book else "features."
        arrays = {name: array for name, array in arrays.items() if name.startswith(first)}
    (model.set_weights if book else model.load_state_dict)(arrays)
    return model
