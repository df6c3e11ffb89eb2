"""Pickles of strangers, read without running anything of theirs.

A pickle is a program: it may name any function and call it. The reader here knows arrays of numbers, lists, dictionaries,
bytes, text and numbers, and refuses all else. What makes an array in a pickle is not numpy's own code, which trusts its
input, but stand-ins that check it.
"""

import pickle
import re
from math import prod
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt


class UnreadablePickleError(Exception):
    """The message says why, and follows the file's name."""


def load_plain(stream: BinaryIO) -> dict[str, Any]:
    """The dictionary that a pickle holds, its keys as text, its arrays as numpy's; bytes of Python 2 stay bytes.

    Raises:
        UnreadablePickleError: it holds something else, or names code, or is damaged.
    """
    try:
        found = _PlainUnpickler(stream, encoding="bytes").load()
        if not isinstance(found, dict):
            raise UnreadablePickleError(f"holds a {type(found).__name__}, not a dictionary")
        return {
            as_text(key): value.array if isinstance(value, _Array) else value for key, value in found.items()
        }
    except UnreadablePickleError:
        raise
    except Exception as error:  # hostile bytes raise almost anything
        raise UnreadablePickleError(
            f"is cut short or damaged ({' '.join(str(error).split()) or type(error).__name__})"
        ) from error


def as_text(value: object) -> str:
    """Text, or bytes of Python 2 that are text.

    Raises:
        UnreadablePickleError: it is neither.
    """
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if not isinstance(value, str):
        raise UnreadablePickleError(f"holds a {type(value).__name__} where a name belongs")
    return value


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:
        match module.replace("numpy._core", "numpy.core"), name:
            case "numpy.core.multiarray", "_reconstruct":
                return _MakeArray()
            case "numpy", "ndarray":
                return "ndarray"  # only handed on to the former
            case "numpy", "dtype":
                return _MakeType()
            case "_codecs", "encode":
                return _Encode()
            case _:
                raise UnreadablePickleError(
                    f"names {module}.{name}, which is no array, list, dictionary, text or number; it may be made to do harm"
                )


class _MakeArray:
    """In place of numpy's `_reconstruct`. Without attributes, as all here, so that a pickle can change nothing of it."""

    __slots__ = ()

    def __call__(self, *_: object) -> "_Array":
        return _Array()


class _MakeType:
    """In place of `numpy.dtype`."""

    __slots__ = ()

    def __call__(self, code: object, *_: object) -> "_Type":
        return _Type(code)


class _Encode:
    """How Python 3 writes bytes for the protocol of Python 2."""

    __slots__ = ()

    def __call__(self, text: str, encoding: object) -> bytes:
        if encoding not in ("latin1", b"latin1"):
            raise UnreadablePickleError(f"holds bytes in the encoding {encoding!r}")
        return text.encode("latin1")


class _Type:
    __slots__ = ("code", "order")

    def __init__(self, code: object) -> None:
        self.code, self.order = as_text(code), "|"

    def __setstate__(self, state: Any) -> None:
        self.order = as_text(state[1])

    @property
    def dtype(self) -> npt.DTypeLike:
        """Numpy's, of numbers only."""
        if not re.fullmatch(r"[iuf][1248]", self.code) or self.order not in "<>|=":
            raise UnreadablePickleError(f"holds an array of {self.code!r}, not of numbers")
        return np.dtype(f"{self.order}{self.code}")


class _Array:
    __slots__ = ("array",)

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, by_columns, raw = state
        if not isinstance(kind, _Type) or not isinstance(raw, bytes):
            raise UnreadablePickleError("holds an array of something else than numbers")
        numbers = np.frombuffer(raw, kind.dtype)
        if not all(isinstance(side, int) and side >= 0 for side in shape) or prod(shape) != len(numbers):
            raise UnreadablePickleError(f"holds an array of {len(numbers)} numbers that claims to be {shape}")
        self.array = numbers.reshape(shape, order="F" if by_columns else "C")
