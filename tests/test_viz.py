"""Pictures."""

import itertools
import os
import re
import stat
import struct
import subprocess
import sys
import types
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import dezero.functions as F
from dezero import Variable
from dezero.models import MLP
from dezero.viz import (
    Graph,
    get_dot_graph,
    plot_attention,
    plot_confusion,
    plot_curves,
    plot_decision,
    plot_dot_graph,
    plot_filters,
    plot_images,
)
from dezero.viz.layout import layered

PNG = b"\x89PNG\r\n\x1a\n"
SVG = "{http://www.w3.org/2000/svg}"


def size(path):
    data = path.read_bytes()
    assert data[:8] == PNG
    return struct.unpack(">II", data[16:24])


def pixels(path):
    """A picture as an array (H, W, 4) of floats from 0 to 1."""
    from matplotlib.image import imread

    return imread(path)


@pytest.fixture
def matplotlib():
    return pytest.importorskip("matplotlib", reason="the extra viz")


def test_pictures(tmp_path, matplotlib):
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


def test_curves_of_any_columns(tmp_path, matplotlib):
    plot_curves(tmp_path / "a.png", [])
    plot_curves(tmp_path / "b.png", [{"epoch": 1, "loss": -1.0, "seconds": 3.0}])
    rows = [{"epoch": 1, "loss": 0.1}, {"epoch": 2, "loss": 0.1, "valid_loss": 0.2, "f1": 0.5}]
    plot_curves(tmp_path / "c.png", rows)
    assert size(tmp_path / "a.png") == size(tmp_path / "b.png") == (540, 432)
    assert size(tmp_path / "c.png") == (1080, 432)


def test_a_decision_boundary(tmp_path, matplotlib):
    """Left of 0 is class 0, the rest class 1; the three kinds of answers are one picture."""
    points = np.array([[-1.0, -1.0], [1.0, 1.0], [0.5, -0.5]], np.float32)
    labels = np.array([0, 1, 1])
    kinds = {
        "labels": lambda x: (x[:, 0] > 0).astype(int),
        "scores": lambda x: Variable(np.stack([-x[:, 0], x[:, 0]], axis=1)),
        "logit": lambda x: x[:, :1],
    }
    for name, classify in kinds.items():
        plot_decision(tmp_path / f"{name}.png", classify, points, labels, steps=50)
    pictures = [pixels(tmp_path / f"{name}.png") for name in kinds]
    assert np.array_equal(pictures[0], pictures[1])
    assert np.array_equal(pictures[0], pictures[2])
    height, width = pictures[0].shape[:2]
    left, right = (pictures[0][height // 4, int(width * x)] for x in (0.3, 0.8))
    assert left[2] > left[0]  # blue
    assert right[0] > right[2]  # orange
    model = MLP((4, 12))
    plot_decision(tmp_path / "model.png", model, points, labels + 10, steps=20)
    with pytest.raises(ValueError, match=r"\(3, 1\).*at least 1"):
        plot_decision(tmp_path / "x.png", model, points[:, :1], labels)
    with pytest.raises(ValueError, match="N at least 1"):
        plot_decision(tmp_path / "x.png", model, points[:0], labels[:0])
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize("shape", [(6, 1, 5, 5), (20, 3, 7, 7), (4, 8, 3, 3), (300, 40, 1, 1)])
def test_filters(tmp_path, matplotlib, shape):
    array = np.random.default_rng(0).standard_normal(shape)
    layer = types.SimpleNamespace(W=Variable(array))
    plot_filters(tmp_path / "a.png", array)
    plot_filters(tmp_path / "b.png", layer)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert max(size(tmp_path / "a.png")) < 1600


def test_filters_that_are_none(tmp_path, matplotlib):
    with pytest.raises(ValueError, match="no data yet"):
        plot_filters(tmp_path / "a.png", MLP((3,)).l0)
    with pytest.raises(ValueError, match=r"shape \(2, 2\)"):
        plot_filters(tmp_path / "a.png", np.zeros((2, 2)))
    plot_filters(tmp_path / "a.png", np.zeros((2, 3, 2, 2)))


def test_attention(tmp_path, matplotlib):
    weights = np.full((2, 3, 4), 0.25)
    plot_attention(tmp_path / "a.png", Variable(weights), list("abc"), list("wxyz"), "title")
    plot_attention(tmp_path / "b.png", weights[0])
    assert size(tmp_path / "a.png")[0] == 2 * size(tmp_path / "b.png")[0]
    with pytest.raises(ValueError, match="2 names of keys, 4 are expected"):
        plot_attention(tmp_path / "c.png", weights, keys=list("ab"))
    with pytest.raises(ValueError, match=r"shape \(4,\)"):
        plot_attention(tmp_path / "c.png", weights[0, 0])


def test_any_library(tmp_path, matplotlib, other_lane):
    points = other_lane.array(np.array([[0.0, 1.0], [1.0, 0.0]]))
    labels = other_lane.array(np.array([0, 1]))
    plot_decision(tmp_path / "a.png", lambda x: x, points, labels, steps=5)
    plot_filters(tmp_path / "b.png", other_lane.variable(np.ones((2, 1, 3, 3))))
    plot_attention(tmp_path / "c.png", other_lane.variable(np.ones((2, 2))))
    assert len(list(tmp_path.iterdir())) == 3


def test_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "dezero\[viz\]"') as caught:
        plot_confusion(tmp_path / "a.png", np.eye(2, dtype=int))
    assert caught.value.name == "matplotlib"
    assert list(tmp_path.iterdir()) == []


def test_importing_loads_no_matplotlib_and_drawing_no_pyplot(tmp_path):
    pytest.importorskip("matplotlib")
    script = (
        "import sys, dezero.viz as v, numpy as n\n"
        "assert 'matplotlib' not in sys.modules\n"
        "v.plot_confusion(sys.argv[1], n.eye(2, dtype=int))\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "a.png")], check=True)


# --- graphs -------------------------------------------------------------------------------------


def parsed(text):
    """Nodes and edges of DOT text: {number: (label, color)}, [(from, to)]."""
    head, *lines, end = text.split("\n")
    assert (head, end) == ("digraph g {", "}")
    nodes, edges = {}, []
    for line in lines:
        if match := re.fullmatch(r'(\d+) \[label="(.*)", color=(\w+), style=filled(.*)\]', line):
            number, label, color, rest = match.groups()
            assert rest == (", shape=box" if color == "lightblue" else "")
            assert number not in nodes
            nodes[number] = (label, color)
        else:
            edges.append(tuple(line.split(" -> ")))
    assert {number for edge in edges for number in edge} <= nodes.keys()
    return nodes, edges


def test_the_text_of_a_graph():
    x0, x1 = Variable(np.array(1.0), name="x0"), Variable(np.array([2.0, 3.0], np.float32))
    y = x0 + x1
    y.name = "y"
    add, a, b, c = str(id(y.creator)), str(id(x0)), str(id(x1)), str(id(y))
    want = {c: ("y", "orange"), add: ("Add", "lightblue"), a: ("x0", "orange"), b: ("", "orange")}
    assert parsed(get_dot_graph(y, verbose=False)) == (want, [(a, add), (b, add), (add, c)])
    nodes, _ = parsed(get_dot_graph(y))
    assert nodes[a][0] == "x0: () float64"
    assert nodes[b][0] == "(2,) float32"
    assert nodes[c][0] == f"y: (2,) {y.dtype}"


def test_a_leaf_and_a_constant():
    x = Variable(np.array(1.0), name="x")
    want = f'digraph g {{\n{id(x)} [label="x", color=orange, style=filled]\n}}'
    assert get_dot_graph(x, verbose=False) == want
    x.requires_grad = False
    assert get_dot_graph(x, verbose=False) == want
    with pytest.raises(TypeError, match="expected a Variable"):
        get_dot_graph([np.array(1.0)])


def test_one_variable_used_often_is_one_node():
    x = Variable(np.array(2.0))
    nodes, edges = parsed(get_dot_graph((x * x) * (x * x)))
    assert len(nodes) == 4 + 3
    assert sum(a == str(id(x)) for a, _ in edges) == 4
    assert len(edges) == 9


def test_names_with_any_characters():
    x = Variable(np.array(1.0), name='a "b" \\ <c>\n&\x01')
    text = get_dot_graph(x, verbose=False)
    assert 'label="a \\"b\\" \\\\ <c>\\n&' in text
    (label,) = [e.text for e in ET.fromstring(Graph(x, verbose=False).svg()).iter(f"{SVG}text")]
    assert label == 'a "b" \\ <c> & '


def test_several_outputs():
    x = Variable(np.arange(6.0))
    a, b, c = F.split(x, 3)
    nodes, edges = parsed(get_dot_graph(a * c))
    split = str(id(a.creator))
    assert {str(id(v)) for v in (x, a, b, c)} < nodes.keys()  # b is another result of the split
    assert [edge for edge in edges if edge[0] == split] == [(split, str(id(v))) for v in (a, c, b)]
    together = parsed(get_dot_graph([a, c]))[0]
    assert {label for label, color in together.values() if color == "lightblue"} == {"Split"}


def test_gradients_and_results_that_nobody_holds():
    x = Variable(np.array([1.0, 2.0]), name="x")
    y = F.tanh(x)
    y.backward(create_graph=True)
    gx = x.grad
    for _ in range(2):
        x.cleargrad()
        gx.backward(create_graph=True)
        gx = x.grad
    graph = Graph(gx)
    nodes, edges = parsed(graph.dot())
    assert sum(color == "lightblue" for _, color in nodes.values()) == len(graph._functions) > 10
    assert all(label for label, _ in nodes.values())  # each shape is known
    known = ("(2,) float64", "() float")  # the latter is a number in a derivative rule
    assert all(label.endswith(known) for label, c in nodes.values() if c == "orange")
    made = [b for _, b in edges if nodes[b][1] == "orange"]
    assert len(made) == len(set(made))


def test_a_network():
    model = MLP((8, 3))
    loss = F.softmax_cross_entropy(model(np.zeros((4, 5), np.float32)), np.array([0, 1, 2, 0]))
    nodes, edges = parsed(get_dot_graph(loss))
    labels = sorted(label for label, _ in nodes.values())
    for label in "W: (5, 8) float32", "b: (3,) float32", "(4, 5) float32", "Linear":
        assert label in labels
    assert labels.count("Linear") == 2
    assert all(sum(a == n for a, _ in edges) == 1 for n, (text, _) in nodes.items() if "W" in text)


def test_any_lane_has_a_graph(lane):
    x = lane.variable(np.array([1.0, 2.0]))
    graph = Graph(F.sum(x * x))
    assert len(graph._items) == 3
    ET.fromstring(graph.svg())


# --- SVG ----------------------------------------------------------------------------------------


def boxes(svg):
    """The rectangles (left, top, right, bottom) of all nodes, and the picture's size."""
    root = ET.fromstring(svg)
    found = []
    for e in root.iter():
        if e.tag == f"{SVG}ellipse":
            x, y, rx, ry = (float(e.get(k)) for k in ("cx", "cy", "rx", "ry"))
            found.append((x - rx, y - ry, x + rx, y + ry))
        elif e.tag == f"{SVG}rect" and e.get("x"):
            x, y, w, h = (float(e.get(k)) for k in ("x", "y", "width", "height"))
            found.append((x, y, x + w, y + h))
    return found, (float(root.get("width")), float(root.get("height")))


def test_the_picture_has_all_and_no_overlap():
    x = Variable(np.array(1.0), name="x")
    z = x
    for i in range(4):
        z = F.sin(z) * x + i
    graph = Graph(z)
    svg = graph.svg()
    found, (width, height) = boxes(svg)
    assert len(found) == len(graph._items) + len(graph._functions)
    assert all(a >= 0 and b >= 0 and c <= width and d <= height for a, b, c, d in found)
    for (a, b, c, d), (e, f, g, h) in itertools.combinations(found, 2):
        assert c <= e or g <= a or d <= f or h <= b
    assert svg.count("marker-end") == len(parsed(graph.dot())[1])
    assert graph._repr_svg_() == svg


def test_a_large_graph_is_quick():
    x = Variable(np.zeros(3))
    parts = [F.sin(x * i) for i in range(300)]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    found, _ = boxes(Graph(total).svg())
    assert len(found) > 1500


def test_layers_go_down():
    edges = [("a", "f"), ("f", "y"), ("y", "g"), ("b", "g"), ("a", "g"), ("g", "z")]
    places, bends = layered(dict.fromkeys("abfygz", 30.0), edges)
    assert all(places[a][1] < places[b][1] for a, b in edges)
    assert places["b"][1] == places["g"][1] - 1  # right above where it is used
    assert [layer for _, layer in bends["a", "g"]] == [1, 2]
    assert layered({}, []) == ({}, {})


# --- files --------------------------------------------------------------------------------------


@pytest.fixture
def no_graphviz(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))


def test_without_graphviz(tmp_path, no_graphviz, capsys):
    x = Variable(np.array(1.0))
    y = x * x
    path = tmp_path / "a b; touch c.png"
    shown = plot_dot_graph(y, to_file=str(path))
    assert isinstance(shown, Graph)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Graphviz is not installed: wrote " in printed.err
    assert os.listdir(tmp_path) == ["a b; touch c.svg"]
    ET.fromstring((tmp_path / "a b; touch c.svg").read_text())
    plot_dot_graph(y, False, tmp_path / "d.svg")
    plot_dot_graph(y, to_file=tmp_path / "e.dot")
    assert capsys.readouterr().out == ""
    assert (tmp_path / "e.dot").read_text() == get_dot_graph(y)


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for dot is a script")
def test_with_graphviz(tmp_path, monkeypatch):
    """A stand-in for dot: it writes its arguments and what it was given."""
    (tmp_path / "bin").mkdir()
    dot = tmp_path / "bin" / "dot"
    script = "import sys\ntext = sys.stdin.read()\n"
    script += "if 'xyz' in sys.argv[1]: sys.exit('unknown format')\nprint(sys.argv[1:], text)"
    (tmp_path / "dot.py").write_text(script)
    dot.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{tmp_path / "dot.py"}" "$@"\n')
    dot.chmod(dot.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    x = Variable(np.array(1.0))
    y = x * x
    path = tmp_path / "a b.pdf"
    plot_dot_graph(y, to_file=str(path))
    assert path.read_text() == f"['-Tpdf'] {get_dot_graph(y)}\n"
    with pytest.raises(RuntimeError, match="Graphviz gave no xyz: unknown format"):
        plot_dot_graph(y, to_file=tmp_path / "a.xyz")
    assert not (tmp_path / "a.xyz").exists()


def test_a_notebook_is_given_a_picture(tmp_path, no_graphviz, monkeypatch):
    display = types.SimpleNamespace(SVG=lambda text: ("svg", text), Image=None)
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(display=display))
    kind, text = plot_dot_graph(Variable(np.array(1.0)), to_file=tmp_path / "a.svg")
    assert kind == "svg"
    assert text == (tmp_path / "a.svg").read_text()
