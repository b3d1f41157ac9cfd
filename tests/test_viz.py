"""Pictures."""

import struct
import subprocess
import sys

import numpy as np
import pytest

from dezero.viz import confusion_matrix, plot_confusion, plot_curves, plot_images

PNG = b"\x89PNG\r\n\x1a\n"


def test_confusion_matrix():
    truth, read = np.array([0, 1, 2, 2, 2]), np.array([0, 2, 2, 2, 1])
    want = [[1, 0, 0], [0, 0, 1], [0, 1, 2]]
    assert confusion_matrix(truth, read, 3).tolist() == want
    assert confusion_matrix(truth[:0], read[:0], 2).tolist() == [[0, 0], [0, 0]]


def size(path):
    data = path.read_bytes()
    assert data[:8] == PNG
    return struct.unpack(">II", data[16:24])


def test_pictures(tmp_path):
    pytest.importorskip("matplotlib")
    row = {"loss": 0.5, "valid_loss": 0.4, "accuracy": 0.8, "valid_accuracy": 0.9}
    plot_curves(tmp_path / "a.png", [{"epoch": 1, **row}, {"epoch": 2, **row}])
    plot_confusion(tmp_path / "b.png", np.array([[5, 1], [0, 0]]))
    for n in (0, 1, 11, 100):
        plot_images(tmp_path / f"{n}.png", [np.eye(8)] * n, ["x"] * n, "title")
    assert size(tmp_path / "a.png") == (1080, 432)
    assert min(size(tmp_path / "b.png")) > 300
    assert size(tmp_path / "11.png")[1] > size(tmp_path / "1.png")[1]
    assert size(tmp_path / "100.png")[1] < 1200
    assert len(list(tmp_path.iterdir())) == 6


def test_importing_loads_no_matplotlib_and_drawing_no_pyplot(tmp_path):
    pytest.importorskip("matplotlib")
    script = (
        "import sys, dezero.viz as v, numpy as n\n"
        "assert 'matplotlib' not in sys.modules\n"
        "v.plot_confusion(sys.argv[1], n.eye(2, dtype=int))\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "a.png")], check=True)
