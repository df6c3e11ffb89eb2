"""Walking folders of strangers: sorted by name, hidden files passed over, links that lead out refused."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from evosearch.data.decoding import IMAGE_EXTENSIONS


def leaves(path: Path, root: Path) -> bool:
    """Whether `path` leads, over links, out of the resolved folder `root`."""
    return not Path(os.path.realpath(path)).is_relative_to(root)


@dataclass(frozen=True)
class Walk:
    """A walk below `root` that remembers what it refused (`problems`) and passed over (`ignored`)."""

    root: Path
    problems: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    def folders(self, folder: Path) -> tuple[Path, ...]:
        """The folders in `folder`; files beside them are passed over."""
        folders, files = self._entries(folder)
        self.ignored.extend(self.name(path) for path in files)
        return folders

    def images(self, folder: Path) -> tuple[str, ...]:
        """Names, below the root, of the image files in a class folder; folders in it are refused."""
        folders, files = self._entries(folder)
        self.problems.extend(
            f"{self.name(path)!r} is a folder inside a class folder: move its images up" for path in folders
        )
        images: list[str] = []
        for path in files:
            (images if path.suffix.lower() in IMAGE_EXTENSIONS else self.ignored).append(self.name(path))
        return tuple(images)

    def name(self, path: Path) -> str:
        """The path below the root, with forward slashes."""
        return path.relative_to(self.root).as_posix()

    def notes(self) -> tuple[str, ...]:
        """One line about the ignored files, where there are any."""
        if not self.ignored:
            return ()
        return (
            f"{len(self.ignored)} files that are no images of a class are ignored, first {self.ignored[0]!r}",
        )

    def _entries(self, folder: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        folders, files = [], []
        for path in sorted(folder.iterdir()):
            if path.name.startswith((".", "__")):  # .DS_Store, .ipynb_checkpoints, __MACOSX: copies, not data
                self.ignored.append(self.name(path))
            elif leaves(path, self.root):
                self.problems.append(f"{self.name(path)!r} is a link that leads out of the data folder")
            elif path.is_dir():
                folders.append(path)
            elif path.is_file():
                files.append(path)
            else:
                self.problems.append(f"{self.name(path)!r} is neither a file nor a folder (a broken link?)")
        return tuple(folders), tuple(files)
