"""Text as numbers."""

import numpy as np
import pytest

from dezero import datasets
from dezero.data import SeqDataLoader, Shakespeare, TextCorpus, Vocabulary


def test_vocabulary():
    letters = Vocabulary.of("to be, or not to be ß 🙂")
    assert letters.characters == "to be,rnß🙂"
    ids = letters.encode("🙂 bet")
    assert ids.dtype == np.int64
    assert ids.tolist() == [9, 2, 3, 4, 0]
    assert letters.decode(ids) == "🙂 bet"
    assert letters.encode("").shape == (0,)
    assert letters.decode([]) == ""
    with pytest.raises(ValueError, match=r"'x' at 3 is none of the 10 characters"):
        letters.encode("be x")
    with pytest.raises(IndexError, match="numbers 0 to 10; there are 10"):
        letters.decode([0, 10])
    frozen = Vocabulary("ab?", unknown="?")
    assert frozen.encode("abcab").tolist() == [0, 1, 2, 0, 1]
    for wrong in (lambda: Vocabulary("aba"), lambda: Vocabulary("ab", "c")):
        with pytest.raises(ValueError, match="Vocabulary"):
            wrong()
    with pytest.raises(ValueError, match="no characters"):
        Vocabulary("").encode("a")


def test_shakespeare(tmp_path, monkeypatch):
    monkeypatch.setenv("DEZERO_CACHE", str(tmp_path))
    text = "First Citizen:\nBefore we proceed"
    (tmp_path / "shakespear.txt").write_text(text)
    data = datasets.Shakespear()
    assert isinstance(data, Shakespeare)
    # The book's rule: numbers in the order of first appearance.
    ids = {}
    for character in text:
        ids.setdefault(character, len(ids))
    assert data.char_to_id == ids
    assert data.id_to_char == {i: character for character, i in ids.items()}
    assert data.data.tolist() == [ids[c] for c in text[:-1]]
    assert data.label.tolist() == [ids[c] for c in text[1:]]
    assert data.data.dtype == np.int64
    x, t = next(SeqDataLoader(data, batch_size=2))
    assert x.tolist() == [ids["F"], ids[text[15]]]
    assert t.tolist() == [ids["i"], ids[text[16]]]


def test_corpus(tmp_path):
    a, b = tmp_path / "a.txt", tmp_path / "b.txt"
    a.write_bytes("héllo\r\n".encode())
    b.write_bytes(b"world!")
    corpus = TextCorpus([a, str(b)])
    assert corpus.text == "héllo\nworld!"
    assert len(corpus) == 11
    assert corpus.vocabulary.decode([t for _, t in corpus]) == "éllo\nworld!"
    windows = TextCorpus([a, b], 3)
    assert windows.data.shape == windows.label.shape == (3, 3)
    assert windows.vocabulary.decode(windows[1][0]) == "lo\n"
    assert windows.vocabulary.decode(windows[1][1]) == "o\nw"


def test_held_out_and_frozen(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("abcdefghij")
    train, test = (TextCorpus(path, train=part, held_out=0.3) for part in (True, False))
    assert (train.text, test.text) == ("abcdefg", "hij")
    assert train.vocabulary.characters == test.vocabulary.characters
    path.write_text("badcafe")
    new = TextCorpus(path, vocabulary=train.vocabulary)
    assert new.data.tolist() == [1, 0, 3, 2, 0, 5]
    path.write_text("xyz")
    with pytest.raises(ValueError, match="'x' at 0"):
        TextCorpus(path, vocabulary=train.vocabulary)


def test_bad_corpora(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("abc")
    for wrong, match in (
        ({"length": 3}, "3 characters, at least 4 are needed"),
        ({"length": 0}, "length is 0"),
        ({"held_out": 1.5}, "held_out is 1.5"),
        ({"held_out": 1.0}, "0 characters"),
    ):
        with pytest.raises(ValueError, match=match):
            TextCorpus(path, **wrong)
    path.write_bytes(b"ab\xff")
    with pytest.raises(ValueError, match=r"a\.txt: not text in utf-8"):
        TextCorpus(path)
    with pytest.raises(FileNotFoundError):
        TextCorpus(tmp_path / "none.txt")
