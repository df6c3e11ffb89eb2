"""What the documents and the shipped files name is there: commands, options, exit statuses, keys, targets, pages, links.

Every Markdown page and every file of `docker/` and `configs/` is read, those that are yet to be written too.
"""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from typer.main import get_command

from evosearch import errors
from evosearch.cli.app import app
from evosearch.cli.examples import example_names
from evosearch.config import config_schema

PROJECT = Path(__file__).parents[1]
PAGES = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md"), *PROJECT.glob("docker/**/*.md")])
SHIPPED = sorted(
    path
    for folder in ("docker", "configs")
    for path in (PROJECT / folder).rglob("*")
    if path.is_file() and path.name != "requirements.txt" and path.suffix != ".md"
)
CODE = sorted(
    path
    for room in ("evosearch", "workers", "tests", ".ci")
    for path in (PROJECT / room).rglob("*")
    if path.is_file()
)
READ = pytest.mark.parametrize("path", [*PAGES, *SHIPPED], ids=lambda path: str(path.relative_to(PROJECT)))
MARKDOWN = pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(PROJECT)))

COMMANDS = get_command(app)
STATUSES = {0, 1, 130} | {
    kind.exit_status
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.EvosearchError)
}
CAPITALS = "README|CONTRIBUTING|AGENTS|CHANGELOG|SECURITY|ARCHITECTURE|DESIGN|STYLE|PERFORMANCE|FACTS|FOUND"
SECTIONS = "data|space|strategy|training|workers|storage|final|study"
FENCE = re.compile(r"^(```|~~~).*?\n(.*?)^\1", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+(?:\n[^`\n]+)?)`")


class Use(NamedTuple):
    """A command line in a text: the words behind `evosearch`, and the text it was found in."""

    words: list[str]
    where: str


def spans(text: str) -> list[str]:
    """What stands between single backticks, outside of blocks of code; a span may be broken over two lines."""
    return [re.sub(r"\s+", " ", span) for span in SPAN.findall(FENCE.sub("", text))]


def lines_of_code(path: Path) -> list[str]:
    """Lines in which a command may stand: blocks and spans of Markdown, comments and code of all else."""
    text = path.read_text()
    if path.suffix == ".md":
        blocks = "\n".join(block for _, block in FENCE.findall(text))
        return [*joined(blocks), *spans(text)]
    comments = [line.partition("#")[2] for line in text.splitlines() if "#" in line]
    code = [line.partition(" #")[0] for line in text.splitlines() if not line.startswith(("#", "COPY"))]
    return [*(joined("\n".join(code)) if path.suffix != ".json" else ()), *spans("\n".join(comments))]


def joined(text: str) -> list[str]:
    """Its lines, continued ones as one."""
    return text.replace("\\\n", " ").splitlines()


def uses(path: Path) -> Iterator[Use]:
    """Every call of our command that a file shows."""
    for line in lines_of_code(path):
        for found in re.finditer(r"(?<![\w./:@=-])(?<!from )evosearch +(?=[a-z-])(.*)", line):
            yield Use(words_of(found[1]), line)
    if path.suffix == ".yaml":
        lists = yaml.safe_load(path.read_text())
    else:
        lists = [json.loads(found) for found in re.findall(r"^CMD (\[.+\])", path.read_text(), re.MULTILINE)]
    for words in commands_in(lists):
        yield Use(words, str(path))


def words_of(text: str) -> list[str]:
    """The words of a command line, without the remark, the pipe or the second command behind it."""
    command = re.split(r"\s{2,}|\s#|\s[|&;]|[;)]|,\s", text)[0]
    return [word for word in (word.strip("[]\"'….") for word in command.split()) if word]


def commands_in(value: Any) -> Iterator[list[str]]:
    """Those of a YAML file: a list with the word `evosearch` in it, or a text that begins with it."""
    if isinstance(value, list) and "evosearch" in value:
        yield [str(word) for word in value[value.index("evosearch") + 1 :]]
    elif isinstance(value, str) and value.startswith("evosearch "):
        yield shlex.split(value)[1:]
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from commands_in(inner)


def objection(use: Use) -> str | None:
    """Why a command line cannot be typed: no such command, or no such option of it."""
    command, words = COMMANDS, list(use.words)
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        word = words.pop(0)
        if word not in command.commands:
            return f"there is no command {word!r}"
        command = command.commands[word]
    known = {name for parameter in command.params for name in parameter.opts} | {"-h", "--help"}
    for index, word in enumerate(words):
        option, _, value = word.partition("=")
        if option.startswith("-") and option not in known:
            return f"{command.name} has no option {option}"
        chosen = value or "".join(words[index + 1 : index + 2])
        if option == "--example" and chosen not in (*example_names(), "NAME"):
            return f"there is no example {chosen}"
    return None


def options_everywhere(command: Any) -> set[str]:
    """The options of a command and of all below it."""
    own = {name for parameter in command.params for name in parameter.opts if name.startswith("--")}
    return own.union(*map(options_everywhere, getattr(command, "commands", {}).values()))


def anchors(page: Path) -> set[str]:
    """What a link may name within a page, as the usual renderers make it of its headings."""
    headings = re.findall(r"^#+ +(.+?)\s*$", FENCE.sub("", page.read_text()), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@READ
def test_every_command_that_is_named_can_be_typed(path):
    assert not [f"{found}: {use.where.strip()}" for use in uses(path) if (found := objection(use))]


def test_the_commands_are_really_found():
    found = {use.words[0] for path in [*PAGES, *SHIPPED] for use in uses(path)}
    assert {"run", "submit", "retrain", "results", "status", "resume", "data", "validate", "bench"} <= found
    for name in ("compose.yaml", "rayjob.yaml", "slurm.sh", "Dockerfile"):
        assert list(uses(PROJECT / "docker" / name)), name
    assert list(uses(PROJECT / "configs" / "image_folder.yaml"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("evosearch serach my.yaml", "there is no command 'serach'"),
        ("evosearch run my.yaml --executer local", "run has no option --executer"),
        ("evosearch bench scheduler --jason", "scheduler has no option --jason"),
        ("evosearch run --example digit", "there is no example digit"),
        ("evosearch run my.yaml [--executor local]  # not --this", None),
    ],
)
def test_a_command_that_is_none_would_be_seen(tmp_path, line, said):
    for text in (f"`{line}`", f"```\n{line}\n```\n", f"```\n$ srun -- {line} | tee\n```\n"):
        page = tmp_path / "page.md"
        page.write_text(text)
        (use,) = uses(page)
        assert objection(use) == said


@MARKDOWN
def test_every_option_that_is_named_alone_is_one_of_ours(path):
    alone = {span.split()[0].partition("=")[0] for span in spans(path.read_text()) if span.startswith("--")}
    assert alone <= options_everywhere(COMMANDS)


@READ
def test_every_exit_status_that_is_named_is_one_of_ours(path):
    text = re.sub(r"\s+", " ", path.read_text())
    named = re.findall(
        r"\b(?:exit(?:s with| status)?|exit status of|ends? with|-eq)[ (:]*`?(\d+)\b(?![.%]?\d)", text
    )
    assert set(map(int, named)) <= STATUSES


def test_the_table_of_exit_statuses_is_whole():
    tables = [
        set(map(int, re.findall(r"^\| *`?(\d+)`? *\|", table, re.MULTILINE)))
        for page in PAGES
        for table in re.findall(
            r"^\| *exit status.*\n(?:\|.*\n)+", page.read_text(), re.MULTILINE | re.IGNORECASE
        )
    ]
    assert tables
    assert all(table == STATUSES for table in tables)


@READ
def test_every_key_of_a_configuration_that_is_named_is_one(path):
    definitions = config_schema()["$defs"]
    properties = config_schema()["properties"]
    known = {
        f"{section}.{key}"
        for section, field in properties.items()
        for whole in field.get("anyOf", [field])  # of a section that may be null
        for option in whole.get("oneOf", [whole])
        if "$ref" in option
        for key in definitions[option["$ref"].rpartition("/")[2]]["properties"]
    }
    text = path.read_text()
    places = spans(text) if path.suffix == ".md" else [line.partition("#")[2] for line in text.splitlines()]
    named = {
        key
        for place in places
        for key in re.findall(rf"(?<![\w./-])((?:{SECTIONS})\.[a-z_]+)\b(?![./(])", place)
        if not key.endswith((".py", ".yaml", ".json", ".db", ".md"))
    }
    assert named <= known


@READ
def test_every_variable_of_ours_that_is_named_is_read_somewhere(path):
    code = "".join(file.read_text() for file in CODE if file.suffix == ".py" and "tests" not in file.parts)
    named = set(re.findall(r"\bEVOSEARCH_[A-Z_]+\b", path.read_text()))
    assert not [name for name in named if name not in code]


@MARKDOWN
def test_every_target_of_make_that_is_named_exists(path):
    targets = re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    named = {
        found for line in lines_of_code(path) for found in re.findall(r"(?:^|[\s(;&])make ([a-z-]+)\b", line)
    }
    assert named <= set(targets)


@MARKDOWN
def test_every_link_leads_to_something_that_is_there(path):
    text = FENCE.sub("", path.read_text())
    targets = re.findall(r"\]\(\s*<?([^)\s>]+)", text) + re.findall(
        r"^\[[^\]]+\]: +(\S+)", text, re.MULTILINE
    )
    missing = []
    for target in targets:
        place, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        page = (path.parent / place).resolve() if place else path
        there = page.is_relative_to(PROJECT) and page.exists()
        if not there or (anchor and page.suffix == ".md" and anchor not in anchors(page)):
            missing.append(target)
    assert not missing


@READ
def test_every_file_that_is_named_is_in_the_repository(path):
    text = path.read_text()
    named = re.findall(
        r"(?<![\w./~$:@-])((?:docs|docker|configs|tests|evosearch|workers|\.ci)/[\w./-]*\w/?"
        rf"|(?:{CAPITALS})\.md|constraints\.txt|pyproject\.toml|Makefile)(?![\w*{{$-])",
        text,
    )
    rooms = [PROJECT, path.parent, PROJECT / "evosearch"]
    modules = [
        span.partition("::")[0]
        for span in (spans(text) if path.suffix == ".md" else ())
        if re.fullmatch(r"[a-z_]+(?:/[a-z_]+)*/?[a-z_]+\.py|[a-z_]+/[a-z_/]*", span.partition("::")[0])
    ]
    ours = {room.name for room in (PROJECT / "evosearch").iterdir() if room.is_dir()}
    cited = {*named, *(one for one in modules if one.partition("/")[0] in ours)}
    made_by_its_user = {"docker/secrets", "configs/mine.yaml"}
    missing = {one for one in cited if not any((room / one).exists() for room in rooms)}
    assert missing <= made_by_its_user


def test_no_docstring_comment_or_message_names_a_page_that_is_not_there():
    pages = {str(page.relative_to(PROJECT)) for page in PAGES}
    pages |= {page.name for page in PAGES if page.parent == PROJECT}
    missing = {
        f"{path.relative_to(PROJECT)}: {name}"
        for path in [*CODE, PROJECT / "Makefile", PROJECT / "pyproject.toml"]
        if path.suffix in (".py", ".toml", "") and "tests" not in path.parts
        for name in re.findall(
            rf"(?<![\w./])(?:docs/[\w/]+|docker/\w+|{CAPITALS})\.md\b", path.read_text(errors="replace")
        )
        if name not in pages
    }
    assert not missing


def test_what_a_job_or_a_script_starts_is_ours_before_any_file_of_the_folder():
    """`python -m evosearch` would import from the folder that it is started in first; see `evosearch.importing`."""
    for path in [PROJECT / "Makefile", *SHIPPED]:
        assert not re.findall(r"python3? -m evosearch", path.read_text()), path
    for path in CODE:
        if path.suffix == ".py" and "tests" not in path.parts:
            starts = re.findall(
                r'"python", ("-.+?"), "evosearch"|sys\.executable, ("-.+?"), "(?:evosearch|workers)\b',
                path.read_text(),
            )
            assert all('"-P"' in "".join(options) for options in starts), path
