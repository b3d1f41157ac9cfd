"""The text that characters.py and gpt.py learn: the start of modules of Python's standard library.

It is frozen by the list of modules here, in this order, of which each gives its first characters;
every tenth module is held out. What it is then depends on the version of Python alone: the SHA-256
tells whether two runs have had the same text.
"""

import hashlib
import sysconfig
from pathlib import Path

import numpy as np

from dezero.data import Vocabulary

# Those that are single files from Python 3.11 to 3.14.
MODULES = """
    _collections_abc _pydecimal _pyio _strptime argparse ast base64 bdb bz2 calendar cmd code codecs
    compileall configparser contextlib copy csv dataclasses difflib dis doctest enum filecmp
    fileinput fractions ftplib functools getopt gettext gzip hashlib heapq imaplib inspect ipaddress
    linecache locale lzma mailbox mimetypes modulefinder ntpath numbers operator optparse os pdb
    pickle pickletools pkgutil platform plistlib poplib posixpath pprint profile pstats py_compile
    pyclbr queue quopri random reprlib rlcompleter runpy sched selectors shelve shlex shutil site
    smtplib socket socketserver ssl statistics subprocess symtable tabnanny tarfile
    tempfile textwrap threading timeit token tokenize trace traceback tracemalloc turtle
    types typing uuid warnings wave weakref webbrowser zipapp zipimport
"""


class Corpus:
    """The text, as characters and as numbers.

    Characters other than ASCII become ``?``, so that there are at most 128.

    Args:
        size: How many characters each module gives at most.

    Attributes:
        train, valid: The texts.
        train_ids, valid_ids: The numbers of their characters, int64.
        vocabulary: Which character has which number.
        sha256: Of both texts.
    """

    def __init__(self, size: int = 5_000) -> None:
        folder = Path(sysconfig.get_paths()["stdlib"])
        paths = [folder / f"{name}.py" for name in MODULES.split()]
        texts = [read(path)[:size] for path in paths if path.exists()]
        self.valid = "".join(texts[9::10])
        del texts[9::10]
        self.train = "".join(texts)
        self.sha256 = hashlib.sha256((self.train + self.valid).encode()).hexdigest()
        self.vocabulary = Vocabulary.of(self.train + self.valid)
        self.train_ids = self.vocabulary.encode(self.train)
        self.valid_ids = self.vocabulary.encode(self.valid)

    def rows(self, ids: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Text in so many stretches side by side: each character's predecessor, and the character.

        What is left at the end is not used. The first character comes after the end of a line.
        """
        before = np.concatenate([self.vocabulary.encode("\n"), ids[:-1]])
        size = len(ids) // count * count
        return before[:size].reshape(count, -1), ids[:size].reshape(count, -1)


def read(path: Path) -> str:
    """The text of a file, in ASCII."""
    text = path.read_text(encoding="utf-8")
    return text.encode("ascii", "replace").decode()
