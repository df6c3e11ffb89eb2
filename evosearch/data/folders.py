"""Walking folders of strangers: sorted by name, hidden files passed over, links that lead out refused unless followed.

Everything that is met and is no folder (a file, a link, a named pipe) is used, refused or passed over, and counted as one
of these: together as many as `find` lists, which enters linked folders (`find -L`) where links are followed.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from evosearch.data.decoding import IMAGE_EXTENSIONS
from evosearch.data.listing import BadFile


def leaves(path: Path, root: Path) -> bool:
    """Whether `path` leads, over links, out of the resolved folder `root`."""
    return not Path(os.path.realpath(path)).is_relative_to(root)


def is_hidden(name: str) -> bool:
    """Whether a file or a folder is none of the data: .DS_Store, .ipynb_checkpoints, __MACOSX hold copies and notes."""
    return name.startswith((".", "__"))


def files_below(folder: Path, root: Path) -> Iterator[str]:
    """Names, below `root`, of everything that is no folder in a folder and in those in it. Linked folders are not entered;
    the link itself is named.
    """
    for place, folders, files in os.walk(folder):
        folders.sort()
        links = [name for name in folders if Path(place, name).is_symlink()]
        for file in sorted([*files, *links]):
            yield Path(place, file).relative_to(root).as_posix()


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


def link_out(name: str) -> BadFile:
    """A link that is not followed."""
    return BadFile(
        name,
        "is a link that leads out of the data folder",
        "links lead out of the data folder",
        "`data.follow_links: true` follows links",
    )


def no_file(path: Path, name: str) -> BadFile:
    """What is neither a file nor a folder, called what it is."""
    if path.is_symlink() and not path.exists():
        return BadFile(name, "is a broken link", "links are broken")
    if path.is_fifo():
        return BadFile(name, "is a named pipe", "files are named pipes")
    return BadFile(name, "is neither a file nor a folder", "entries are neither files nor folders")


@dataclass(frozen=True)
class Walk:
    """A walk below a folder that remembers what it met."""

    root: Path
    """The folder."""
    follow: bool = False
    """Whether links may lead out of it."""
    bad: list[BadFile] = field(default_factory=list)
    """What cannot be used."""
    ignored: list[str] = field(default_factory=list)
    """Names of files that are passed over."""

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
        """Count a file, or everything below a folder, as not used; a link is one file where links are not followed."""
        inside = folder.is_dir() and (self.follow or not folder.is_symlink())
        self.ignored.extend(files_below(folder, self.root) if inside else [self.name(folder)])

    def has_images(self, folder: Path) -> bool:
        """Whether there is a file that would be read, were the folder a class's."""
        return any(
            PurePosixPath(name).suffix.lower() in IMAGE_EXTENSIONS and (self.root / name).is_file()
            for name in files_below(folder, self.root)
        )

    def name(self, path: Path) -> str:
        """The path below the root, with forward slashes."""
        return path.relative_to(self.root).as_posix()

    def _images(self, folder: Path, nested: bool, above: tuple[str, ...]) -> Iterator[str]:
        folders, files = self._entries(folder)
        for path in files:
            if path.suffix.lower() not in IMAGE_EXTENSIONS:
                self.ignored.append(self.name(path))
            elif not self.follow and leaves(path, self.root) and path.exists():
                self.bad.append(link_out(self.name(path)))
            elif path.is_file():
                yield self.name(path)
            else:
                self.bad.append(no_file(path, self.name(path)))
        for path in folders:
            place = os.path.realpath(path)
            if not nested:
                self._refuse(path)
            elif place in above:
                self.bad.append(
                    BadFile(
                        self.name(path),
                        "is a link to a folder that it is in",
                        "links lead to a folder that they are in",
                    )
                )
            else:
                yield from self._images(path, nested, (*above, place))

    def _refuse(self, folder: Path) -> None:
        """A folder inside a class folder, where these are not entered: its images are bad files, the others ignored."""
        if folder.is_symlink():
            self.bad.append(
                BadFile(
                    self.name(folder),
                    "is a link to a folder inside a class folder",
                    "links inside class folders lead to folders",
                )
            )
            return
        for name in files_below(folder, self.root):
            path = PurePosixPath(name)
            if any(map(is_hidden, path.parts)) or path.suffix.lower() not in IMAGE_EXTENSIONS:
                self.ignored.append(name)
            else:
                self.bad.append(
                    BadFile(
                        name,
                        "is in a folder inside a class folder",
                        "images are in folders inside class folders",
                        "move such images up",
                    )
                )

    def _entries(self, folder: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """Folders to enter, and what is to be judged by its ending."""
        folders, files = [], []
        for path in sorted(folder.iterdir()):
            if is_hidden(path.name):
                self.pass_over(path)
            elif path.is_dir():
                if not self.follow and leaves(path, self.root):
                    self.bad.append(link_out(self.name(path)))
                else:
                    folders.append(path)
            elif path.is_file() or _has_ending(path.name):
                files.append(path)
            else:  # may have been a folder, so that its images would be missing
                self.bad.append(no_file(path, self.name(path)))
        return tuple(folders), tuple(files)


def _has_ending(name: str) -> bool:
    """Whether a name is a file's: `notes.txt`, but neither `patient` nor `v1.2`."""
    ending = PurePosixPath(name).suffix[1:]
    return ending.isalnum() and not ending.isdigit()
