import re
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from evosearch.blueprint import ImageShape, Problem, blueprint_of
from evosearch.errors import CannotRunError
from evosearch.genome import parse
from workers import Unmeasured, measure_sizes, sizing

PROBLEM = Problem(ImageShape(1, 8, 8), 2)
STARTED = "C6 P | F8 @ " + "0" * 64


def test_another_process_measures_what_is_asked_for_in_order(tmp_path: Path) -> None:
    save_file({"0.bias": np.zeros(6, np.float32)}, tmp_path / "w")
    asked = [Unmeasured("squeezenet1_1"), Unmeasured(STARTED, str(tmp_path / "w"))]
    hand_made, chromosome = measure_sizes(asked, PROBLEM)
    assert hand_made.parameters == 723_522
    assert chromosome == blueprint_of(parse("C6 P | F8"), PROBLEM).size


def test_where_nothing_is_asked_for_no_process_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert measure_sizes([], PROBLEM) == ()
    with pytest.raises(CannotRunError, match=r"networks could not be measured: .*/nowhere/python"):
        measure_sizes([Unmeasured("resnet18")], PROBLEM)


@pytest.mark.parametrize(
    ("tensors", "told"),
    [
        ({"0.bias": np.zeros(7, np.float32)}, r"0\.bias is 7 in the file, 6 in the network"),
        ({"0.bias": np.zeros(6, np.int8)}, r"0\.bias is 6 of whole numbers in the file, 6 in the network"),
        (
            {"4.weight": np.zeros((5, 8), np.float32)},
            r"4\.weight is 5 x 8 in the file, 8 x 96 in the network",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(tmp_path: Path, tensors: dict[str, object], told: str) -> None:
    save_file(tensors, tmp_path / "w")
    problem = {"image": {"channels": 1, "height": 8, "width": 8}, "classes": 2}
    network = {"network": STARTED, "weights": str(tmp_path / "w")}
    (answer,) = sizing.answer({"problem": problem, "networks": [network]})
    refused = answer["refused"]
    assert re.search(rf"cannot start from the weights at '.*/w': .*{told}", refused)
    assert refused.endswith("; give a file of weights of this very network, or none")
