"""`submit` up to the cluster, which is a double here; tests/test_ray_job.py submits to a real one."""

import os
import shlex
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from evosearch.errors import InterruptedSearchError
from tests.finished_search import TINY
from workers import job_client
from workers.parcel import Parcel


@dataclass
class Cluster:
    """Takes every job; `ended` is what its driver ends with."""

    ended: int = 0
    asked: list[str | None] = field(default_factory=list)
    jobs: list[list[str]] = field(default_factory=list)
    parcels: list[Parcel] = field(default_factory=list)
    variables: list[dict[str, str]] = field(default_factory=list)
    address: str = "http://head:8265"

    def __call__(self, address):
        self.asked.append(address)
        return self

    def submit(self, command, parcel, variables):
        self.jobs.append(list(command))
        self.variables.append(variables)
        self.parcels.append(parcel)
        return "raysubmit_1"

    def follow(self, job, write):
        if self.ended == 75:
            raise InterruptedSearchError(f"job {job} was stopped; the same command goes on where it stopped")
        write(f"the log of {job}")
        return self.ended


@pytest.fixture
def cluster(monkeypatch):
    made = Cluster()
    monkeypatch.setattr(job_client, "JobClient", made)
    return made


def test_run_is_submitted_with_its_options_and_what_follows_and_stops_the_job_is_printed(command, cluster):
    options = (
        "--set",
        "seed=4",
        "--set",
        "training.epochs=2",
        "--name",
        "mine",
        "--storage",
        "postgresql://u@h/d",
    )
    ended = command("submit", "tiny.yaml", *options, "--address", "http://head:8265")
    assert ended.status == 0
    assert ended.out.splitlines() == [
        "job raysubmit_1 submitted",
        "Follow   ray job logs --address http://head:8265 --follow raysubmit_1",
        "Stop     ray job stop --address http://head:8265 raysubmit_1    (the same submit again goes on)",
        "Status   evosearch status mine --storage postgresql://u@h/d --address http://head:8265",
        "Results  evosearch results mine --storage postgresql://u@h/d --address http://head:8265",
        "Retrain  evosearch retrain mine --storage postgresql://u@h/d --address http://head:8265",
    ]
    assert cluster.asked == ["http://head:8265"]
    assert cluster.jobs == [["python", "-P", "-m", "evosearch", "run", "tiny.yaml", *options]]
    assert cluster.variables == [{"EVOSEARCH_JOB_SERVER": "http://head:8265"}]


def test_a_group_and_a_takeover_are_submitted_too(command, cluster):
    ended = command("submit", "tiny.yaml", "--seeds", "0..2", "--takeover")
    assert ended.status == 0
    assert cluster.asked == [None]
    assert cluster.jobs[0][6:] == ["--seeds", "0..2", "--takeover"]
    assert ended.out.splitlines()[3:] == [
        "Status   evosearch status tiny --address http://head:8265",
        "Results  evosearch results tiny --address http://head:8265",
    ]


STUDY = f"{TINY}study: {{kind: baselines, networks: [resnet18]}}\n"


def test_a_studys_file_is_submitted_as_the_command_of_its_kind(command, cluster):
    Path("compare.yaml").write_text(STUDY)
    ended = command("submit", "compare.yaml", "--seeds", "0..2")
    assert ended.status == 0, ended
    assert cluster.jobs[0][4:] == ["baselines", "compare.yaml", "--seeds", "0..2"]
    assert ended.out.splitlines()[3:] == [
        "Status   evosearch status compare --address http://head:8265",
        "Results  evosearch results compare --address http://head:8265",
    ]


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        (("retrain", "mine", "--epochs", 5, "--seeds", "1..3"), "retrain --epochs 5 --seeds 1..3 -- mine"),
        (("batchnorm", "mine", "--set", "seed=4", "--name", "n"), "batchnorm --set seed=4 --name n -- mine"),
    ],
)
def test_what_is_about_a_search_on_the_head_is_submitted_by_name_and_sends_no_file(
    command, cluster, options, sent
):
    ended = command("submit", *options)
    assert ended.status == 0, ended
    assert cluster.jobs == [["python", "-P", "-m", "evosearch", *sent.split()]]
    assert [str(path) for path in cluster.parcels[0].files] == ["command.txt"]
    dry = command("submit", *options, "--dry-run")
    assert dry.out.startswith("nothing would be sent: `evosearch ")
    assert len(cluster.jobs) == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("retrain",), "`evosearch submit retrain` needs the search's NAME"),
        (("retrain", "mine", "--name", "n"), "`evosearch retrain` has no option --name; leave it out"),
        (("retrain", "mine", "--set", "seed=1"), "`evosearch retrain` has no option --set; leave it out"),
        (("batchnorm", "mine", "--epochs", 3), "`evosearch batchnorm` has no option --epochs; leave it out"),
        (("tiny.yaml", "mine"), "NAME mine goes with `evosearch submit retrain NAME`"),
        (("tiny.yaml", "--epochs", 3), "--epochs 3 goes with `evosearch submit retrain NAME`"),
        (("retrain", "mine", "--seeds", "x"), "--seeds x: 'x' is no seed"),
    ],
)
def test_options_of_another_command_are_refused(refused, cluster, options, told):
    assert told in refused("submit", *options)
    assert cluster.jobs == []


@pytest.mark.parametrize("journal", ["mine.db", "sqlite:///mine.db"])
def test_a_journal_in_the_jobs_own_copy_of_the_folder_is_told_and_no_command_reaches_it(
    command, cluster, journal
):
    ended = command("submit", "tiny.yaml", "--storage", journal)
    assert ended.status == 0
    assert f"the journal {journal!r} is in the job's own copy of this folder" in ended.err
    assert "evosearch status" not in ended.out
    kept = command("submit", "tiny.yaml", "--storage", "~/mine.db")
    assert "own copy" not in kept.err
    assert "evosearch status tiny --storage '~/mine.db' --address http://head:8265" in kept.out


@pytest.mark.parametrize("status", [0, 2, 5])
def test_with_wait_the_log_goes_to_standard_error_and_the_drivers_status_is_ours(command, cluster, status):
    cluster.ended = status
    ended = command("submit", "tiny.yaml", "--wait")
    assert ended.status == status
    assert ended.err.endswith("\nthe log of raysubmit_1\n")


def test_a_job_that_was_stopped_ends_with_75_and_one_line(command, cluster):
    cluster.ended = 75
    ended = command("submit", "tiny.yaml", "--wait")
    assert ended.status == 75
    assert ended.err.endswith(
        "\nevosearch: job raysubmit_1 was stopped; the same command goes on where it stopped\n"
    )


def test_the_configuration_is_named_as_it_lies_in_the_folder_that_is_sent(command, cluster, tmp_path):
    (tmp_path / "my configs").mkdir()
    (tmp_path / "my configs" / "tiny.yaml").write_text(TINY)
    assert command("submit", tmp_path / "my configs" / "tiny.yaml").status == 0
    assert cluster.jobs[0][5] == "my configs/tiny.yaml"
    assert shlex.split(shlex.join(cluster.jobs[0])) == cluster.jobs[0]
    assert cluster.parcels[0].folder == tmp_path


def test_a_configuration_outside_that_folder_is_refused(refused, cluster, tmp_path, monkeypatch):
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    found = refused("submit", "../tiny.yaml")
    assert found == (
        f"../tiny.yaml is outside {Path.cwd()}, the folder that is sent; submit from a folder that holds it"
    )
    assert cluster.asked == []


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        (TINY.replace("population", "popluation"), ()),
        (TINY, ("--set", "seed=-1")),
        (TINY, ("--name", "no/name/this")),
        (TINY, ("--seeds", "4..0")),
    ],
    ids=["configuration", "override", "name", "seeds"],
)
def test_bad_input_is_refused_in_the_words_of_run_before_the_cluster_is_asked(
    refused, cluster, text, arguments
):
    Path("tiny.yaml").write_text(text)
    assert refused("submit", "tiny.yaml", *arguments) == refused("run", "tiny.yaml", *arguments)
    assert cluster.asked == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("--storage", "postgresql://me:secret@host/evosearch"),
        ("--set", "storage.journal=postgresql://me:secret@host/evosearch"),
    ],
)
def test_a_password_is_not_put_into_the_list_of_jobs(refused, cluster, arguments):
    found = refused("submit", "tiny.yaml", *arguments)
    assert "PGPASSWORD" in found
    assert "secret" not in found
    assert cluster.asked == []


def test_neither_is_one_that_stands_in_the_configuration(refused, cluster):
    Path("tiny.yaml").write_text(f"{TINY}\nstorage: {{journal: 'postgresql://me:secret@host/evosearch'}}\n")
    found = refused("submit", "tiny.yaml")
    assert "PGPASSWORD" in found
    assert "secret" not in found
    assert cluster.asked == []


# What is sent


SMALL = ("notes.txt", "configs/a.yaml", "src/data/loading.py")
IMAGES = ("covid-ct/Data-split/list.txt", "data/covid-ct/list.txt", "configs/covid-ct/list.txt")


@pytest.fixture
def sent(command, cluster, tmp_path):
    """Writes files, submits, and returns what would have been sent beside the configuration."""

    def run(*files, text=TINY, arguments=()):
        Path("tiny.yaml").write_text(text)
        for name in files:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).touch()
        ended = command("submit", "tiny.yaml", *arguments)
        assert ended.status == 0, ended.err
        return {path.as_posix() for path in cluster.parcels[-1].files} - {"tiny.yaml"}

    return run


def test_searches_and_images_stay_here_and_a_package_that_is_called_data_does_not(sent):
    assert sent(*SMALL, "data/cats/list.txt", "runs/journal.db", "runs/tiny/curve.txt") == set(SMALL)


@pytest.mark.parametrize("root", ["covid-ct", "{here}/covid-ct", "./covid-ct"])
def test_neither_is_the_folder_of_the_images_sent_wherever_it_may_be_looked_for(sent, tmp_path, root):
    text = TINY.replace("{name: digits}", f"{{name: covid_ct, root: {root.format(here=tmp_path)}}}")
    found = sent(*SMALL, *IMAGES[:2], text=text)
    assert found == set(SMALL)


def test_nor_are_the_folders_of_any_part_of_a_union(sent):
    parts = "{a: {name: covid_ct, root: covid-ct}, b: {name: image_folder, root: pets}}"
    text = TINY.replace("{name: digits}", f"{{name: union, parts: {parts}}}")
    assert sent(*SMALL, *IMAGES[:2], "pets/cat/list.txt", text=text) == set(SMALL)


def test_beside_the_configuration_too(sent, command, cluster):
    sent(*SMALL, *IMAGES)
    Path("configs/a.yaml").write_text(TINY.replace("{name: digits}", "{name: covid_ct, root: covid-ct}"))
    assert command("submit", "configs/a.yaml").status == 0
    assert not [path for path in cluster.parcels[-1].files if "covid-ct" in path.parts]


def test_nor_are_published_files_of_numbers(sent):
    text = TINY.replace("{name: digits}", "{name: medmnist, root: set.npz}")
    assert sent(*SMALL, "set.npz", text=text) == set(SMALL)
    text = TINY.replace("{name: digits}", "{name: cifar10}")
    assert sent(*SMALL, "cifar10/cifar-10-batches-bin/data_batch_1.bin", text=text) == {*SMALL, "set.npz"}


def test_where_all_images_lie_in_the_folder_itself_what_else_it_holds_is_sent(sent, tmp_path, monkeypatch):
    monkeypatch.setenv("EVOSEARCH_DATA", str(tmp_path))
    text = TINY.replace("{name: digits}", "{name: covid_ct, root: covid-ct}")
    assert sent(*SMALL, IMAGES[0], "other/cat/1.png", text=text) == set(SMALL)
    text = TINY.replace("{name: digits}", f"{{name: image_folder, root: {tmp_path}}}")
    assert sent(text=text) == {*SMALL, IMAGES[0]}


@pytest.mark.parametrize(
    ("section", "arguments", "files"),
    [
        ("journal: deep/my.db", (), ("deep/my.db", "deep/my.db-wal", "deep/my.db.files/tiny/weights.pt")),
        ("journal: {here}/my.db", (), ("my.db", "my.db-wal", "my.db-shm", "my.db.files/cache/a.npz")),
        ("journal: 'sqlite:///{here}/my.db'", (), ("my.db", "my.db-journal")),
        ("journal: journal.db", (), ("journal.db", "journal.db-wal", "tiny/curve.svg", "cache/a.npz")),
        ("artifacts: {here}/kept", (), ("kept/tiny/weights.pt",)),
        ("artifacts: 'file://{here}/kept'", (), ("kept/tiny/weights.pt",)),
        ("artifacts: {here}", (), ("tiny/weights.pt",)),
        ("artifacts: null", ("--storage", "there/my.db"), ("there/my.db",)),
        ("artifacts: kept", ("--name", "other"), ("runs/kept/other/weights.pt",)),
    ],
)
def test_journals_and_artifacts_stay_here(sent, tmp_path, section, arguments, files):
    text = f"{TINY}\nstorage: {{{section.format(here=tmp_path)}}}\n"
    assert sent(*SMALL, *files, text=text, arguments=arguments) == set(SMALL)


@pytest.mark.parametrize(
    ("home", "files"),
    [
        ("elsewhere/home", ("elsewhere/home/journal.db", "elsewhere/home/tiny/curve.txt")),
        (".", ("journal.db", "tiny/curve.txt", "other/lock-1", "other/weights.pt", "cache/a.npz")),
    ],
)
def test_a_home_stays_here(sent, monkeypatch, home, files):
    monkeypatch.setenv("EVOSEARCH_HOME", home)
    assert sent(*SMALL, *files) == set(SMALL)


def test_files_of_secrets_stay_here_by_name_and_by_the_variable_that_names_them(sent, tmp_path, monkeypatch):
    monkeypatch.setenv("PGPASSFILE", "passwords.txt")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "cloud.json"))
    assert sent(*SMALL, "passwords.txt", "cloud.json", ".pgpass", ".aws/config", ".env") == set(SMALL)


def test_what_is_sent_is_listed_before_with_the_ten_largest_files(command, cluster):
    for number in range(12):
        Path(f"{number}.txt").write_bytes(bytes(2000 + 100 * number))
    for name in (".env", ".netrc", "a.png"):
        Path(name).touch()
    os.mkfifo("pipe")
    head, *files = command("submit", "tiny.yaml").err.splitlines()
    size = Path("tiny.yaml").stat().st_size + sum(range(2000, 3200, 100))
    assert head == f"sent from {Path.cwd()}: 13 files, {size / 1024:.1f} KiB; the largest:"
    assert [line.split() for line in files[:10]] == [
        [f"{(2000 + 100 * number) / 1024:.1f}", "KiB", f"{number}.txt"] for number in range(11, 1, -1)
    ]
    assert files[10:] == [
        "left out   .env and 1 more: it may be secret",
        "left out   a.png: an image",
        "left out   pipe: it is a named pipe",
        "(--dry-run lists all)",
    ]


NAMES = ("workers.py", "torch.py", "evosearch.py", "numpy.py", "random.py", "ray.py", "yaml.py")


def test_a_dry_run_lists_all_of_it_and_sends_nothing(command, cluster, monkeypatch):
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)
    for name in (*NAMES, ".env"):
        Path(name).touch()
    Path(os.fsdecode(b"\xff.txt")).touch()
    ended = command("submit", "tiny.yaml", "--dry-run")
    assert (ended.status, ended.err) == (0, "")
    *lines, last = ended.out.splitlines()
    size = Path("tiny.yaml").stat().st_size
    listed = {line.split()[-1]: line.split()[:-1] for line in lines[: len(NAMES) + 1]}
    assert listed == {**{name: ["0", "B"] for name in NAMES}, "tiny.yaml": [str(size), "B"]}
    assert lines[len(NAMES) + 1 :] == [
        "left out   .env: it may be secret (.env)",
        r"left out   \xff.txt: its name is not UTF-8; rename it",
    ]
    assert last == f"nothing is sent now; from {Path.cwd()} would be {len(NAMES) + 1} files, {size} B"
    assert cluster.asked == []


def test_a_checkout_is_told_not_to_be_what_runs(command, cluster):
    Path("evosearch").mkdir()
    Path("evosearch/__init__.py").touch()
    assert (
        "evosearch/ is sent, but what runs is the evosearch that is installed"
        in command("submit", "tiny.yaml").err
    )


def test_where_the_head_looks_for_images_is_told(command, cluster):
    Path("pictures.yaml").write_text(TINY.replace("{name: digits}", "{name: image_folder, root: pictures}"))
    ended = command("submit", "pictures.yaml")
    assert ended.err.endswith(
        "\nimages are not sent: the head looks for 'pictures', a relative one under its $EVOSEARCH_DATA\n"
    )


def test_an_ignored_configuration_is_refused(refused, cluster):
    Path(".rayignore").write_text("tiny.yaml\n")
    assert refused("submit", "tiny.yaml").startswith("tiny.yaml is not sent, since ")
    assert cluster.asked == []


def test_without_a_cluster_it_says_how_to_name_one(refused, monkeypatch):
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)
    assert "--address http://HEAD:8265" in refused("submit", "tiny.yaml")


def test_a_cluster_that_does_not_answer_ends_with_3_and_one_line(command):
    ended = command("submit", "tiny.yaml", "--address", "http://127.0.0.1:1")
    assert (ended.status, ended.out) == (3, "")
    assert ended.err == "evosearch: no Ray job server at http://127.0.0.1:1: [Errno 111] Connection refused\n"


def test_a_configuration_that_is_a_named_pipe_is_refused_before_it_is_read(refused, cluster):
    os.mkfifo("pipe.yaml")
    assert refused("submit", "pipe.yaml").startswith("pipe.yaml is no file and so cannot be sent")
