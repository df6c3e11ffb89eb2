"""Which files a process imports: ours and our dependencies' before those of the folder that it happens to run in.

A folder of somebody's own work may hold a `torch.py` or a `workers.py`. `python -m` and PYTHONPATH put such a folder
first, and what is put first wins; this module imports next to nothing, since even that would come from there.
"""

import os
import sys


def code_folder() -> str:
    """The folder that holds this package."""
    return os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100,PTH120 - pathlib may be theirs


def ours_first(entries: list[str]) -> list[str]:
    """Places to import from, absolute, in the same order, but for the folder of the main program and the working
    directory: they come last, unless this package is there.
    """
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    theirs = {_absolute(""), os.path.dirname(_absolute(main)) if main else ""}  # noqa: PTH120 - likewise
    theirs -= {code_folder(), os.path.dirname(os.__file__)}  # noqa: PTH120 - Python's own, as for `python -m pdb`
    places = [_absolute(entry) for entry in entries]
    return [place for place in places if place not in theirs] + [place for place in places if place in theirs]


def put_ours_first() -> None:
    """Let this process import in the order of `ours_first`."""
    sys.path[:] = ours_first(sys.path)


def child_environment() -> dict[str, str]:
    """Variables under which a Python process imports from where this one does, ours first."""
    return {"PYTHONPATH": os.pathsep.join(ours_first(sys.path)), "PYTHONSAFEPATH": "1"}


def _absolute(entry: str) -> str:
    try:
        return os.path.abspath(entry)  # noqa: PTH100 - likewise
    except FileNotFoundError:  # the working directory was removed
        return entry
