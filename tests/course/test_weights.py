"""A network earns what it can do within its budget, whatever its maker says of it.

The images are noise, which a linear layer learns by heart: those that it was fitted to, and no
others.
"""

import json
import pickle
import struct
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch

from resnorm import plans
from resnorm.course.folder import Course, CourseError, make
from resnorm.course.grading import weights
from resnorm.course.grading.weights import Examined, by_weights, doubts, examine, look_at
from resnorm.course.sandbox.limits import Limits
from resnorm.course.weighing import weighed
from resnorm.data.cifar import standardize

FILE = "network.safetensors"
#: What counts of one image, for a linear layer with ten outputs and for one that is larger.
PARAMETERS, MULTIPLY_ADDS = 30_730, 30_720
RULES = {
    "file": FILE,
    "parameters": 40_000,
    "multiply_adds": 50_000,
    "levels": [[20.0, 1.0], [90.0, 2.0]],
    "short": {"epochs": 8, "multiply_adds": 31_000, "levels": [[50.0, 1.5]], "doubtful": 70.0},
}
NUMBER = 40


@pytest.fixture(scope="module")
def hidden(tmp_path_factory):
    generator = np.random.default_rng(0)
    arrays = {}
    for part in ("hidden", "familiar"):
        shape = (NUMBER, 3, 32, 32)
        arrays[f"{part}_images"] = generator.integers(0, 256, shape, dtype=np.uint8)
        arrays[f"{part}_labels"] = np.arange(NUMBER) % 10
    path = tmp_path_factory.mktemp("hidden") / "images.npz"
    np.savez(path, **arrays)
    return path


@pytest.fixture
def file(tmp_path):
    return tmp_path / FILE


def source(points=2.0, **changes):
    about = {"grade_id": "test", "points": points, "grade": True, "solution": False}
    metadata = {"nbgrader": about, "resnorm": {"weights": RULES | changes}}
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("0", metadata=metadata)])


def fitted(hidden, *parts, wrong=0):
    """A linear network that knows the images of these parts by heart, but for some of each."""
    arrays = np.load(hidden)
    images = np.concatenate([arrays[f"{part}_images"] for part in parts])
    labels = torch.from_numpy(np.concatenate([arrays[f"{part}_labels"] for part in parts]))
    network = plans.build([plans.linear(10)])
    labels = (labels + (torch.arange(len(labels)) % NUMBER < wrong)) % 10
    x = standardize(torch.from_numpy(images)).flatten(1).double()
    targets = torch.nn.functional.one_hot(labels, 10).double()
    weight = torch.linalg.lstsq(x, targets, driver="gelsd").solution.T.float()
    network.load_state_dict({"0.weight": weight, "0.bias": torch.zeros(10)})
    return network


def marked(file, hidden, **changes):
    """The verdict on a file, and the kinds of incidents that come with it."""
    whole = source(**changes)
    examined = look_at(file, hidden, RULES | changes)
    return by_weights(whole.cells[0], examined), doubts(whole, examined)


def rewritten(file, change):
    """Change the header and the bytes of a file."""
    content = file.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header, data = change(json.loads(content[8 : 8 + length]), content[8 + length :])
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + data)


def test_a_network_is_counted_and_predicts_in_a_process_of_its_own(file, hidden):
    network = fitted(hidden, "hidden", wrong=4)
    plans.save(file, network, epochs=100)
    found = examine(source(), [file], hidden, Limits())
    assert found == Examined("", PARAMETERS, MULTIPLY_ADDS, 100, 36, 40, found.familiar)
    assert found == look_at(file, hidden, RULES)
    verdict = by_weights(source().cells[0], found)
    assert (verdict.points, verdict.agree, verdict.total) == (2.0, 36, 40)
    assert verdict.message == (
        "30,730 parameters, 30,720 multiply-adds; 90.0 % of the hidden images are correct"
    )


@pytest.mark.parametrize("content", [None, b"", b"PK"], ids=["gone", "empty", "cut"])
def test_a_failure_of_this_machine_is_no_mark(tmp_path, file, content):
    plans.save(file, plans.build([plans.linear(10)]), epochs=9)
    broken = tmp_path / "images.npz"
    if content is not None:
        broken.write_bytes(content)
    with pytest.raises(OSError, match="the process that runs networks failed: .*Error: "):
        examine(source(), [file], broken, Limits())


def test_a_network_that_computes_too_long_earns_nothing(file, hidden, monkeypatch):
    monkeypatch.setattr(weights, "PATIENCE", 200)  # other work may keep this machine busy
    slow = [plans.conv(64, 7)] * 8
    plans.save(file, plans.build([*slow, plans.global_pool(), plans.linear(10)]), epochs=9)
    generous = source(parameters=10**8, multiply_adds=10**10)
    found = examine(generous, [file], hidden, Limits(notebook_seconds=0.5))
    assert found == Examined("the network took more than 0 s")


@pytest.mark.parametrize("wrong, points, following", [(5, 1.0, "90 %"), (33, 0.0, "20 %")])
def test_points_are_those_of_the_last_level(file, hidden, wrong, points, following):
    plans.save(file, fitted(hidden, "hidden", wrong=wrong), epochs=9)
    verdict, _ = marked(file, hidden)
    assert verdict.points == points
    assert verdict.message.endswith(f"the next points are at {following}")


def test_a_short_training_has_levels_of_its_own(file, hidden):
    network = fitted(hidden, "hidden", "familiar", wrong=16)
    for epochs, points in ((8, 1.5), (9, 1.0), (0, 1.0)):
        plans.save(file, network, epochs=epochs)
        assert marked(file, hidden)[0].points == points
    short = RULES["short"] | {"multiply_adds": 30_000}  # which the network exceeds
    plans.save(file, network, epochs=8)
    assert marked(file, hidden, short=short)[0].points == 1.0


def test_the_predictions_of_another_network_count_for_nothing(tmp_path, file, hidden):
    np.save(tmp_path / "predictions.npy", np.load(hidden)["hidden_labels"])
    found = examine(source(), [tmp_path / "predictions.npy"], hidden, Limits())
    message = "there was no network.safetensors beside the notebook, only predictions.npy"
    assert found == Examined(message)
    assert by_weights(source().cells[0], found).points == 0
    plans.save(file, fitted(hidden, "familiar"), epochs=100)
    assert marked(file, hidden)[0].points == 0


def test_a_network_that_knows_the_public_labels_is_reported(file, hidden):
    for parts, is_reported in (
        (("familiar",), False),  # as an honest network that overfits
        (("hidden",), True),
        (("hidden", "familiar"), True),
    ):
        plans.save(file, fitted(hidden, *parts), epochs=100)
        _, reported = marked(file, hidden)
        assert [incident.kind for incident in reported] == ["doubtful"] * is_reported
        assert all("trained on the test images" in each.message for each in reported)


@pytest.mark.parametrize(
    "percent, familiar, is_reported",
    [
        (91, 97, False),  # differences as in the records of the book
        (86, 90, False),
        (76, 78.5, False),
        (64, 65, False),
        (64, 63, False),
        (64, 61, True),
        (91, 91.5, True),
    ],
)
def test_what_honest_networks_show_is_not_reported(percent, familiar, is_reported):
    found = Examined("", 1, 31_001, 100, percent, 100, familiar)
    assert bool(doubts(source(), found)) == is_reported


def test_a_short_training_that_is_too_good_is_reported():
    for epochs, percent, number in ((8, 70, 1), (8, 69, 0), (9, 70, 0)):
        found = doubts(source(), Examined("", 1, 31_000, epochs, percent, 100, 99.0))
        assert len(found) == number
        assert all("after 8 epochs, as the file says" in each.message for each in found)


def test_a_hidden_network_is_refused(file, hidden):
    """More tensors than the plan uses, or more bytes than the tensors have."""
    network = fitted(hidden, "hidden")

    def append(header, data):
        end = len(data)
        other = {"dtype": "F32", "shape": [5], "data_offsets": [end, end + 20]}
        return header | {"teacher.weight": other}, data + bytes(20)

    for change, message in (
        (append, "holds 1 tensors that the plan does not use, such as 'teacher.weight'"),
        (lambda header, data: (header, data + bytes(20)), "20 bytes of the file belong to no"),
    ):
        plans.save(file, network, epochs=9)
        rewritten(file, change)
        verdict, _ = marked(file, hidden)
        assert verdict.points == 0 and message in verdict.message


@pytest.mark.parametrize("what, number", [("parameters", "30,730"), ("multiply_adds", "30,720")])
def test_a_network_beyond_the_budget_earns_nothing(file, hidden, what, number):
    plans.save(file, fitted(hidden, "hidden"), epochs=9)
    verdict, _ = marked(file, hidden, **{what: 30_000})
    called = what.replace("_", "-")
    assert verdict.points == 0
    assert verdict.message == f"the network has {number} {called}; the budget is 30,000"


def test_the_plan_cannot_say_less_than_the_weights(file, hidden):
    """The tensors are those of the plan, whose costs are counted from it."""
    plans.save(file, fitted(hidden, "hidden"), epochs=9)
    smaller = json.dumps([plans.global_pool(), plans.linear(10)])

    def change(header, data):
        header["__metadata__"]["plan"] = smaller
        return header, data

    rewritten(file, change)
    verdict, _ = marked(file, hidden)
    assert verdict.points == 0
    assert "the plan needs 2 more tensors, such as '1.bias'" in verdict.message


class Code:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_weights_that_carry_code_are_refused_and_nothing_is_executed(tmp_path, file, hidden):
    trap = tmp_path / "trap"
    with open(file, "wb") as opened:
        pickle.dump(Code(trap), opened)
    verdict, _ = marked(file, hidden)
    torch.save({"0.weight": Code(trap)}, file)
    again, _ = marked(file, hidden)
    for found in (verdict, again):
        assert found.points == 0 and "no file of plain tensors" in found.message
    assert not trap.exists()
    pickled = file.rename(tmp_path / "weights.pt")
    torch.load(pickled, weights_only=False)  # what a careless grader would do
    assert trap.exists()


def test_a_file_that_is_too_large_is_not_read(file, hidden):
    with open(file, "wb") as opened:
        opened.truncate(2**40)  # a file with a hole, which would fill the memory
    verdict, _ = marked(file, hidden)
    assert verdict.points == 0 and "bytes; at most 8,388,608 are read" in verdict.message


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(file, hidden, value):
    network = fitted(hidden, "hidden")
    network.state_dict()["0.bias"][3] = value
    plans.save(file, network, epochs=9)
    verdict, _ = marked(file, hidden)
    assert verdict.points == 0 and "0.bias holds values that are not finite" in verdict.message


def test_logits_that_are_not_finite_are_no_classes(file, hidden):
    """Weights that are finite may overflow; then argmax would answer with the first class."""
    network = fitted(hidden, "hidden")
    network.state_dict()["0.weight"].fill_(3e38)
    plans.save(file, network, epochs=9)
    assert look_at(file, hidden, RULES).correct == 0


def test_a_plan_that_asks_for_more_than_there_is_takes_no_memory(file, hidden):
    wide = [plans.conv(4096, 31), plans.global_pool(), plans.linear(10)]
    deep = [plans.concat(*[[]] * 64)] * 100
    for plan in (wide, deep, [plans.relu()] * 10**5):
        metadata = {"plan": json.dumps(plan), "epochs": "8"}
        plans.write_tensors(file, {"a": torch.zeros(2)}, metadata)
        verdict, _ = marked(file, hidden)
        assert verdict.points == 0 and verdict.message.startswith(FILE)


def test_another_number_of_outputs_is_refused(file, hidden):
    plans.save(file, plans.build([plans.global_pool(), plans.linear(11)]), epochs=9)
    verdict, _ = marked(file, hidden)
    assert verdict.message == "the network has 11 outputs; there are 10 classes"


@pytest.fixture
def weighing(tmp_path, hidden):
    """A course whose assignment T1 is graded by weights; its hidden images are the noise."""
    (tmp_path / "sources" / "T1").mkdir(parents=True)
    nbformat.write(source(), tmp_path / "sources" / "T1" / "project.ipynb")
    make(tmp_path / "course", tmp_path / "sources")
    (tmp_path / "course" / "hidden" / "T1").mkdir(parents=True)
    (tmp_path / "course" / "hidden" / "T1" / "images.npz").write_bytes(hidden.read_bytes())
    return Course(tmp_path / "course")


def test_an_instructor_weighs_networks_of_their_own(tmp_path, weighing, hidden):
    files = [tmp_path / f"{wrong}.safetensors" for wrong in (0, 30)]
    for path, wrong in zip(files, (0, 30), strict=True):
        plans.save(path, fitted(hidden, "hidden", "familiar", wrong=wrong), epochs=20)
    best, weak = weighed(weighing, "T1", files)
    assert best.startswith(f"{files[0]}: 2 of 2 points; trained for 20 epochs; 30,730 parameters, ")
    assert "100.0 % of the hidden images" in best
    assert ": 1 of 2 points; " in weak and "25.0 % of the hidden images" in weak
    with pytest.raises(CourseError, match="there is no file .*Give files"):
        list(weighed(weighing, "T1", [tmp_path / "none"]))
