"""Pictures of the graph behind a Variable: DOT text, Graphviz, or SVG drawn here."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Hashable, Sequence
from itertools import pairwise
from typing import Any
from xml.sax.saxutils import escape

from ..core import Function, Variable
from ..files import atomic_write
from ..graph import Output
from .layout import layered

__all__ = ["Graph", "get_dot_graph", "plot_dot_graph"]

_CHARACTER, _HEIGHT, _LAYER, _MARGIN = 7.2, 30, 62, 12  # pixels


class _Item:
    """A Variable of the picture. It is kept alive, so that nothing else gets its number."""

    __slots__ = ("dtype", "handle", "name", "shape")

    def __init__(self, handle: Any) -> None:
        self.handle = handle
        self.name: str | None = None
        self.shape: tuple[int, ...] | None = None
        self.dtype: Any = None
        self.learn(handle)

    def learn(self, x: Any) -> None:
        """Take name, shape and dtype from a Variable, as far as it has them."""
        if self.name is None:
            self.name = x.name
        if hasattr(x.data, "shape"):
            self.shape, self.dtype = tuple(x.shape), x.dtype
        elif x.data is not None:  # a number of Python's
            self.shape, self.dtype = (), type(x.data).__name__

    def label(self, verbose: bool) -> str:
        text = self.name or ""
        if verbose and self.shape is not None:
            dtype = "" if self.dtype is None else f" {self.dtype}"
            text += f"{': ' if self.name is not None else ''}{self.shape}{dtype}"
        return text


class Graph:
    """The Variables and Functions that a Variable was computed from.

    A notebook shows it as a picture. Shape and dtype of an intermediate result that nobody holds
    any more are shown as far as the graph knows them.

    Args:
        output: A Variable, or several; leaves too.
        verbose: Show shapes and dtypes.

    Example:
        >>> import numpy as np
        >>> x = Variable(np.array(1.0), name="x")
        >>> graph = Graph(x * x)
        >>> graph
        <Graph of 2 variables and 1 function>
        >>> graph.svg().startswith("<svg ")
        True
    """

    def __init__(self, output: Variable | Sequence[Variable], verbose: bool = True) -> None:
        outputs = [output] if isinstance(output, Variable) else list(output)
        for y in outputs:
            if not isinstance(y, Variable):
                msg = f"Graph: got {type(y)}, expected a Variable"
                raise TypeError(msg)
        self.verbose = verbose
        # Variables by key, Functions with the keys of inputs and outputs; both in the book's order.
        self._items: dict[Hashable, _Item] = {}
        self._functions: dict[Function, tuple[list[Hashable], list[Hashable]]] = {}
        self._order: list[Hashable] = []
        self._walk(outputs)
        self._infer()

    def __repr__(self) -> str:
        counts = (len(self._items), "variable"), (len(self._functions), "function")
        texts = [f"{n} {what}{'' if n == 1 else 's'}" for n, what in counts]
        return f"<Graph of {' and '.join(texts)}>"

    def dot(self) -> str:
        """The graph as DOT text, for Graphviz. Nodes have the ``id`` of their objects as names."""
        names = {key: id(item.handle) for key, item in self._items.items()}
        lines = ["digraph g {\n"]
        for key in self._order:
            if key in self._items:
                label = _quoted(self._items[key].label(self.verbose))
                lines.append(f"{names[key]} [label={label}, color=orange, style=filled]\n")
                continue
            function = _function(key)
            label = _quoted(type(function).__name__)
            look = "color=lightblue, style=filled, shape=box"
            lines.append(f"{id(function)} [label={label}, {look}]\n")
            inputs, outputs = self._functions[function]
            lines += [f"{names[key]} -> {id(function)}\n" for key in inputs]
            lines += [f"{id(function)} -> {names[key]}\n" for key in outputs]
        return "".join([*lines, "}"])

    def svg(self) -> str:
        """The graph as a picture in SVG, from the top down."""
        labels = {key: item.label(self.verbose) for key, item in self._items.items()}
        names: dict[Hashable, str] = {_box(f): type(f).__name__ for f in self._functions}
        widths = {
            key: max(34.0, len(text) * _CHARACTER + 22) for key, text in (labels | names).items()
        }
        edges: list[tuple[Hashable, Hashable]] = []
        edges += [(key, _box(f)) for f, (keys, _) in self._functions.items() for key in keys]
        edges += [(_box(f), key) for f, (_, keys) in self._functions.items() for key in keys]
        places, bends = layered(widths, edges)
        right = max(places[key][0] + widths[key] / 2 for key in widths)
        right = max(right, *(x for places_of in bends.values() for x, _ in places_of), 0.0)
        bottom = max(layer for _, layer in places.values()) * _LAYER + _HEIGHT
        size = f"{right + 2 * _MARGIN:.0f}", f"{bottom + 2 * _MARGIN:.0f}"
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{size[0]}" height="{size[1]}" '
            f'viewBox="0 0 {size[0]} {size[1]}" font-family="sans-serif" font-size="12">',
            '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
            'markerHeight="7" orient="auto"><path d="M0 0L10 5L0 10z"/></marker></defs>',
            '<rect width="100%" height="100%" fill="white"/>',
        ]
        for (a, b), between in bends.items():
            path = _curve([_pixel(place) for place in (places[a], *between, places[b])])
            parts.append(f'<path d="{path}" fill="none" stroke="#333" marker-end="url(#arrow)"/>')
        for key, text in (labels | names).items():
            x, y = _pixel(places[key])
            half = widths[key] / 2
            if key in labels:
                shape = f'<ellipse cx="{x:.1f}" cy="{y:.1f}" rx="{half:.1f}" ry="{_HEIGHT / 2}"'
                parts.append(f'{shape} fill="orange"/>')
            else:
                shape = f'<rect x="{x - half:.1f}" y="{y - _HEIGHT / 2:.1f}"'
                parts.append(
                    f'{shape} width="{2 * half:.1f}" height="{_HEIGHT}" fill="lightblue"/>'
                )
            if text:
                middle = 'text-anchor="middle" dominant-baseline="central"'
                parts.append(f'<text x="{x:.1f}" y="{y:.1f}" {middle}>{_plain(text)}</text>')
        return "\n".join([*parts, "</svg>\n"])

    def _repr_svg_(self) -> str:
        return self.svg()

    def _walk(self, outputs: list[Variable]) -> None:
        """Find all that lies behind the outputs, the newest Function first."""
        stack: list[Function] = []

        def reach(x: Any) -> Hashable:
            key = _key(x)
            if key in self._items:
                self._items[key].learn(x)
            else:
                self._items[key] = _Item(x)
                self._order.append(key)
            function = x.creator
            if function is not None and function not in self._functions:
                self._functions[function] = [], []
                stack.append(function)
            return key

        for y in outputs:
            reach(y)
        while stack:
            function = stack.pop()
            self._order.append(_box(function))
            living = [y for y in (out() for out in function.outputs) if y is not None]
            for y in living:
                reach(y)
            self._functions[function][0].extend(reach(x) for x in function.inputs)
        for key in self._items:
            made_by = key[0] if isinstance(key, tuple) else key
            if isinstance(made_by, Function) and made_by in self._functions:
                self._functions[made_by][1].append(key)

    def _infer(self) -> None:
        """Find shapes of results that are gone in what the Functions keep for their gradients."""
        for function in sorted(self._functions, key=lambda f: -f.generation):
            inputs, outputs = self._functions[function]
            y = self._items[outputs[0]] if len(outputs) == 1 else None
            saved = getattr(function, "v_y", None)
            if y is not None and y.shape is None and saved is not None and hasattr(saved, "shape"):
                y.shape, y.dtype = tuple(saved.shape), saved.dtype
            likes = getattr(function, "l", None)
            formula = getattr(type(function), "formula", None)
            by_element = getattr(formula, "__module__", "") == "dezero.functions.elementwise"
            names = getattr(function, "names", ())
            for i, key in enumerate(inputs):
                item = self._items[key]
                if item.shape is not None:
                    continue
                name = names[i] if i < len(names) else ""
                like = likes[i] if likes is not None and i < len(likes) else None
                shape = getattr(function, f"v_{name}_shape", None)
                if like is not None:
                    item.shape, item.dtype = tuple(like[0]), like[1]
                elif isinstance(shape, tuple):
                    item.shape = shape
                elif by_element and y is not None:
                    item.shape = y.shape
                if item.shape is not None and item.dtype is None and y is not None:
                    item.dtype = y.dtype if by_element else item.dtype


def get_dot_graph(output: Variable | Sequence[Variable], verbose: bool = True) -> str:
    """The graph behind a Variable as DOT text, for Graphviz.

    Variables are orange, Functions light-blue boxes with the name of their class. Each Variable is
    declared once, also where several Functions take it.

    Args:
        output: The Variable, or several; leaves too.
        verbose: Show shapes and dtypes beside names.

    Example:
        >>> import numpy as np
        >>> x = Variable(np.zeros((2, 3), np.float32), name="x")
        >>> get_dot_graph(x).replace(str(id(x)), "7").splitlines()
        ['digraph g {', '7 [label="x: (2, 3) float32", color=orange, style=filled]', '}']
    """
    return Graph(output, verbose).dot()


def plot_dot_graph(
    output: Variable | Sequence[Variable],
    verbose: bool = True,
    to_file: str | os.PathLike[str] = "graph.png",
) -> Any:
    """Draw the graph behind a Variable to a file, by Graphviz.

    The kind of picture follows from the name: png, pdf, svg, ...; ``.dot`` is the text. Where
    Graphviz is not installed, an SVG is drawn here and written beside the file, and a line on the
    standard error says so.

    Args:
        output: The Variable, or several.
        verbose: Show shapes and dtypes beside names.
        to_file: The file.

    Returns:
        What a notebook shows: IPython's Image or SVG within IPython, else a `Graph`.

    Raises:
        RuntimeError: Graphviz cannot draw it, such as an unknown kind of picture.
        OSError: The file cannot be written.
    """
    graph = Graph(output, verbose)
    path = os.fspath(to_file)
    stem, extension = os.path.splitext(path)
    kind = extension[1:].lower() or "png"
    dot = shutil.which("dot")
    if kind == "dot":
        content = graph.dot().encode()
    elif dot is not None:
        content = _by_graphviz(dot, kind, graph.dot())
    else:
        content = graph.svg().encode()
        if kind != "svg":
            kind, wanted, path = "svg", path, f"{stem}.svg"
            line = f"Graphviz is not installed: wrote {path} in place of {wanted}"
            print(line, file=sys.stderr)
    with atomic_write(path) as file:
        file.write(content)
    return _shown(graph, kind, content)


def _by_graphviz(dot: str, kind: str, text: str) -> bytes:
    done = subprocess.run([dot, f"-T{kind}"], input=text.encode(), capture_output=True, check=False)
    if done.returncode:
        message = done.stderr.decode(errors="replace").strip()
        msg = f"plot_dot_graph: Graphviz gave no {kind}: {message}"
        raise RuntimeError(msg)
    return done.stdout


def _shown(graph: Graph, kind: str, content: bytes) -> Any:
    """An object that IPython displays, if it runs."""
    if "IPython" in sys.modules and kind in ("png", "jpg", "jpeg", "gif", "svg"):
        with contextlib.suppress(ImportError):
            from IPython import display

            if kind == "svg":
                return display.SVG(content.decode())
            return display.Image(content)
    return graph


def _key(x: Any) -> Hashable:
    """What tells Variables apart: their node, as handles on a node come and go."""
    node = x._node
    if node is None:  # a constant, of which there may be no handle either
        return ("constant", id(x if x.data is None else x.data))
    if isinstance(node, Output) and node.function is not None:
        several = isinstance(node.function._out, list)
        return (node.function, node.index) if several else node.function
    return node


def _box(function: Function) -> tuple[str, Function]:
    return ("function", function)


def _function(key: Any) -> Function:
    return key[1]


def _quoted(text: str) -> str:
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'


def _plain(text: str) -> str:
    """Text as XML may hold it: without control characters."""
    return escape("".join(c if c.isprintable() else " " for c in text))


def _pixel(place: tuple[float, int]) -> tuple[float, float]:
    return place[0] + _MARGIN, place[1] * _LAYER + _HEIGHT / 2 + _MARGIN


def _curve(points: list[tuple[float, float]]) -> str:
    """A path through the points that is vertical at each, from a node's edge to another's."""
    (x, y), (last_x, last_y) = points[0], points[-1]
    ends = [(x, y + _HEIGHT / 2), *points[1:-1], (last_x, last_y - _HEIGHT / 2)]
    text = f"M{ends[0][0]:.1f} {ends[0][1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(ends):
        middle = (y0 + y1) / 2
        text += f"C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}"
    return text
