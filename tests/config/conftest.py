from pathlib import Path

import pytest


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes `run.yaml` in an empty folder that is the working directory, and returns its relative path."""
    monkeypatch.chdir(tmp_path)

    def to_file(text):
        path = Path("run.yaml")
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return to_file
