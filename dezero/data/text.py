"""Text as numbers, character by character."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..downloads import get_file
from .datasets import Dataset

__all__ = ["Shakespear", "Shakespeare", "TextCorpus", "Vocabulary"]

_PathLike = str | os.PathLike[str]


class Vocabulary:
    """The characters that there are, each with a number; it does not change.

    Args:
        characters: All of them, in the order of their numbers.
        unknown: One of them, which stands for those that are not there; None: they are an error.

    Raises:
        ValueError: A character is there twice, or ``unknown`` is not there.

    Example:
        >>> words = Vocabulary.of("hello")
        >>> words.encode("hole")
        array([0, 3, 2, 1])
        >>> words.decode([0, 1]), len(words)
        ('he', 4)
    """

    def __init__(self, characters: str, unknown: str | None = None) -> None:
        self.characters = characters
        self.unknown = unknown
        points = _code_points(characters)
        self._order = np.argsort(points)
        self._sorted = points[self._order]
        if len(np.unique(points)) != len(points):
            msg = f"Vocabulary: a character is twice in {characters!r:.80}"
            raise ValueError(msg)
        if unknown is not None and (len(unknown) != 1 or unknown not in characters):
            msg = f"Vocabulary: unknown is {unknown!r}, one of the characters is expected"
            raise ValueError(msg)

    @classmethod
    def of(cls, text: str, unknown: str | None = None) -> "Vocabulary":
        """The characters of ``text``, in the order in which they first appear."""
        points, first = np.unique(_code_points(text), return_index=True)
        return cls("".join(map(chr, points[np.argsort(first)].tolist())), unknown)

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> np.ndarray:
        """The numbers of the characters, int64.

        Raises:
            ValueError: A character is not there, and ``unknown`` is not set.
        """
        points = _code_points(text)
        if not len(points):
            return np.zeros(0, np.int64)
        if not len(self):
            msg = "Vocabulary: there are no characters in it"
            raise ValueError(msg)
        places = np.minimum(np.searchsorted(self._sorted, points), len(self) - 1)
        ids = self._order[places].astype(np.int64)
        missing = self._sorted[places] != points
        if missing.any():
            if self.unknown is None:
                at = int(missing.argmax())
                msg = f"Vocabulary: {text[at]!r} at {at} is none of the {len(self)} characters"
                raise ValueError(msg)
            ids[missing] = self.characters.index(self.unknown)
        return ids

    def decode(self, ids: Any) -> str:
        """The text of numbers.

        Raises:
            IndexError: A number is out of range.
        """
        numbers = np.asarray(ids).ravel().tolist()
        if numbers and not 0 <= min(numbers) <= max(numbers) < len(self):
            msg = f"Vocabulary: numbers {min(numbers)} to {max(numbers)}; there are {len(self)}"
            raise IndexError(msg)
        return "".join(self.characters[i] for i in numbers)


class _Characters(Dataset):
    """The characters of a text, each with the one after it as its label."""

    vocabulary: Vocabulary

    @property
    def char_to_id(self) -> dict[str, int]:
        """The number of each character."""
        return {character: i for i, character in enumerate(self.vocabulary.characters)}

    @property
    def id_to_char(self) -> dict[int, str]:
        """The character of each number."""
        return dict(enumerate(self.vocabulary.characters))


class TextCorpus(_Characters):
    """The text of files, to learn the next character.

    Without ``length`` an example is one character and its label the next one, as in the book. With
    it, an example is ``length`` characters, and its label the same place one character later:
    int64 ``(length,)`` both. Examples do not overlap; what is left at the end is not used.

    Args:
        files: A path, or several, whose texts are joined in this order.
        length: Characters of an example.
        train: The beginning, or the held out end.
        transform: A function of one example.
        target_transform: A function of one label.
        held_out: Which part of the text, from 0 to 1, is the end that is not for training.
        vocabulary: The characters that there are; without it, those of all the text. Give the one
            that a model was trained with to those who use the model.
        encoding: Of the files.

    Raises:
        ValueError: A file is not text of this encoding, there is too little text, or a character
            is not in ``vocabulary``.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "a.txt")
        ...     with open(path, "w") as file:
        ...         _ = file.write("abcabcab")
        ...     corpus = TextCorpus(path, length=3)
        >>> len(corpus), corpus[1], corpus.vocabulary.characters
        (2, (array([0, 1, 2]), array([1, 2, 0])), 'abc')
    """

    def __init__(
        self,
        files: _PathLike | Sequence[_PathLike],
        length: int | None = None,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        *,
        held_out: float = 0.0,
        vocabulary: Vocabulary | None = None,
        encoding: str = "utf-8",
    ) -> None:
        if not 0 <= held_out <= 1:
            msg = f"TextCorpus: held_out is {held_out!r}, a part from 0 to 1 is expected"
            raise ValueError(msg)
        if length is not None and length < 1:
            msg = f"TextCorpus: length is {length}, at least 1 is expected"
            raise ValueError(msg)
        paths = [files] if isinstance(files, (str, os.PathLike)) else list(files)
        text = "".join(_read_text(path, encoding) for path in paths)
        self.vocabulary = Vocabulary.of(text) if vocabulary is None else vocabulary
        cut = len(text) - round(len(text) * held_out)
        self.text = text[:cut] if train else text[cut:]
        self.length = length
        super().__init__(train, transform, target_transform)

    def prepare(self) -> None:
        ids = self.vocabulary.encode(self.text)
        size = self.length or 1
        count = (len(ids) - 1) // size
        if count < 1:
            msg = f"TextCorpus: {len(ids)} characters, at least {size + 1} are needed"
            raise ValueError(msg)
        self.data, self.label = ids[: count * size], ids[1 : count * size + 1]
        if self.length is not None:
            self.data, self.label = (a.reshape(count, size) for a in (self.data, self.label))


class Shakespeare(_Characters):
    """1,115,394 characters of Shakespeare's plays, each with the next one as its label.

    ``data`` and ``label`` are int64 ``(1115393,)``. A. Karpathy, char-rnn, 2015. The book's name
    for it, ``Shakespear``, is another name of this class.

    Raises:
        ConnectionError: The file ``shakespear.txt`` is neither in the cache nor to be had.
    """

    def prepare(self) -> None:
        path = get_file(
            "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
            "shakespear.txt",
            sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        )
        text = _read_text(path, "utf-8")
        self.vocabulary = Vocabulary.of(text)
        ids = self.vocabulary.encode(text)
        self.data, self.label = ids[:-1], ids[1:]


Shakespear = Shakespeare


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def _read_text(path: _PathLike, encoding: str) -> str:
    with open(path, encoding=encoding) as file:
        try:
            return file.read()
        except UnicodeDecodeError as error:
            msg = f"{os.fspath(path)}: not text in {encoding}: {error}"
            raise ValueError(msg) from error
