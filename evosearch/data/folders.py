"""Walking folders of strangers: sorted by name, hidden files passed over, links that lead out refused unless followed.

Every file that is met is used, refused or passed over, and counted as one of these.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from evosearch.data.decoding import IMAGE_EXTENSIONS


def leaves(path: Path, root: Path) -> bool:
    """Whether `path` leads, over links, out of the resolved folder `root`."""
    return not Path(os.path.realpath(path)).is_relative_to(root)


def is_hidden(name: str) -> bool:
    """Whether a file or a folder is none of the data: .DS_Store, .ipynb_checkpoints, __MACOSX hold copies and notes."""
    return name.startswith((".", "__"))


def files_below(folder: Path, root: Path) -> Iterator[str]:
    """Names, below `root`, of all files in a folder and in those in it; linked folders are not entered."""
    for place, folders, files in os.walk(folder):
        folders.sort()
        for file in sorted(files):
            if (path := Path(place, file)).is_file():
                yield path.relative_to(root).as_posix()


def kinds_of(names: Iterable[str], unused: str) -> Mapping[str, int]:
    """How many files that are not used are of each kind, the most frequent first: hidden, of an ending that is not read,
    or images that are in a wrong place, which `unused` says.
    """
    return dict(Counter(_kind(PurePosixPath(name), unused) for name in sorted(names)).most_common())


def _kind(name: PurePosixPath, unused: str) -> str:
    if any(map(is_hidden, name.parts)):
        return "hidden"
    ending = name.suffix.lower()
    return f"{ending} {unused}" if ending in IMAGE_EXTENSIONS else ending or "without an ending"


def counted(count: int, noun: str) -> str:
    """As "1 file" or "2,000 files"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def passed_over(kinds: Mapping[str, int]) -> tuple[str, ...]:
    """One line about files that are not used, where there are any."""
    if not kinds:
        return ()
    total = sum(kinds.values())
    listed = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
    read = f"; read are {' '.join(sorted(IMAGE_EXTENSIONS))}" if set(kinds) != {"hidden"} else ""
    return (f"{counted(total, 'file')} {'is' if total == 1 else 'are'} not used: {listed}{read}",)


def refused_links(names: Iterable[str]) -> Iterator[str]:
    """One line for each folder that holds links which lead out of the data folder."""
    by_folder: dict[str, list[str]] = {}
    for name in names:
        by_folder.setdefault(name.rpartition("/")[0], []).append(name)
    for links in by_folder.values():
        if len(links) == 1:
            line = f"{links[0]!r} is a link that leads"
        else:
            line = f"{links[0]!r} and {counted(len(links) - 1, 'other')} in its folder are links that lead"
        yield f"{line} out of the data folder; `data.follow_links: true` follows links"


@dataclass(frozen=True)
class Walk:
    """A walk below a folder that remembers what it met."""

    root: Path
    """The folder."""
    follow: bool = False
    """Whether links may lead out of it."""
    problems: list[str] = field(default_factory=list)
    """What is wrong, a line each."""
    refused: list[str] = field(default_factory=list)
    """Names of the files that cannot be used for a problem."""
    ignored: list[str] = field(default_factory=list)
    """Names of files that are passed over."""
    links: list[str] = field(default_factory=list)
    """Names of files and folders that lead out and are not followed."""

    def folders(self, folder: Path) -> tuple[Path, ...]:
        """The folders in `folder`; files beside them are passed over."""
        folders, files = self._entries(folder)
        self.ignored.extend(self.name(path) for path in files)
        return folders

    def images(self, folder: Path, *, nested: bool) -> tuple[str, ...]:
        """Names, below the root, of the image files in a class folder, and, where they may be `nested`, in the folders in
        it; first those of a folder itself. Else folders in it are refused.
        """
        return tuple(self._images(folder, nested, (os.path.realpath(folder),)))

    def pass_over(self, folder: Path) -> None:
        """Count everything below a folder as not used."""
        self.ignored.extend(files_below(folder, self.root))

    def has_images(self, folder: Path) -> bool:
        """Whether there is a file that would be read, were the folder a class's."""
        return any(
            PurePosixPath(name).suffix.lower() in IMAGE_EXTENSIONS for name in files_below(folder, self.root)
        )

    def name(self, path: Path) -> str:
        """The path below the root, with forward slashes."""
        return path.relative_to(self.root).as_posix()

    def lines(self) -> tuple[str, ...]:
        """What is wrong, a line each: links that lead out by folder, then everything else."""
        return (*refused_links(self.links), *self.problems)

    def _images(self, folder: Path, nested: bool, above: tuple[str, ...]) -> Iterator[str]:
        folders, files = self._entries(folder)
        for path in files:
            if path.suffix.lower() in IMAGE_EXTENSIONS:
                yield self.name(path)
            else:
                self.ignored.append(self.name(path))
        for path in folders:
            place = os.path.realpath(path)
            if not nested:
                self.problems.append(
                    f"{self.name(path)!r} is a folder inside a class folder: move its images up"
                )
                self.refused.extend(files_below(path, self.root))
            elif place in above:
                self.problems.append(f"{self.name(path)!r} is a link to a folder that it is in")
            else:
                yield from self._images(path, nested, (*above, place))

    def _entries(self, folder: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        folders, files = [], []
        for path in sorted(folder.iterdir()):
            if is_hidden(path.name):
                if path.is_file():
                    self.ignored.append(self.name(path))
                else:
                    self.pass_over(path)
            elif not self.follow and leaves(path, self.root):
                self.links.append(self.name(path))
                self.refused.extend([self.name(path)] if path.is_file() else [])
            elif path.is_dir():
                folders.append(path)
            elif path.is_file():
                files.append(path)
            else:
                self.problems.append(f"{self.name(path)!r} is neither a file nor a folder (a broken link?)")
        return tuple(folders), tuple(files)
