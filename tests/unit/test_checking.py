"""Comparisons: what may pass, what may not, and what the messages say."""

import numpy as np
import pytest
import torch

from resnorm.checking import close, compare, difference, emit, recorded


@pytest.mark.parametrize(
    "actual, expected",
    [
        (torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.0])),
        (np.array([1.0, 2.0]), torch.tensor([1.0, 2.0], dtype=torch.float64)),
        (torch.nn.Parameter(torch.ones(2)), torch.ones(2)),
        (torch.ones(2, requires_grad=True) * 1, torch.ones(2)),
        (3, 3.0),
        (np.float64(0.5), 0.5),
        (torch.tensor([1.0 + 5e-8], dtype=torch.float64), torch.tensor([1.0], dtype=torch.float64)),
        (torch.zeros(0, 3), torch.zeros(0, 3)),
        (np.int32(3), 3),
        (np.float16(0.5), 0.5),
        (np.bool_(True), True),
        (np.ones(2, ">f8"), np.ones(2)),
        (np.arange(3, dtype=">i2"), np.arange(3, dtype=np.int16)),
        (np.arange(6.0).reshape(2, 3).T[::-1], np.arange(6.0).reshape(2, 3).T[::-1].copy()),
        (torch.tensor([1 + 2j]).conj().imag, torch.tensor([-2.0])),
    ],
)
def test_equal_values_pass(actual, expected):
    assert close(actual, expected) is None


class AlwaysEqual:
    """What a student might hand in for full marks."""

    shape, dtype = (2,), torch.float32

    def __eq__(self, other):
        return True

    def __sub__(self, other):
        return torch.zeros(2)


class AlwaysEqualTensor(torch.Tensor):
    def __eq__(self, other):
        return True

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return torch.zeros(2)


class AlwaysEqualArray(np.ndarray):
    def __eq__(self, other):
        return True


class AlwaysEqualFloat(float):
    def __float__(self):
        return 1.0


@pytest.mark.parametrize(
    "impostor",
    [
        AlwaysEqual(),
        torch.ones(2).as_subclass(AlwaysEqualTensor),
        np.ones(2).view(AlwaysEqualArray),
        AlwaysEqualFloat(7.0),
        "1.0",
        [1.0, 1.0],
        np.array([AlwaysEqual(), AlwaysEqual()], dtype=object),
        np.array([1.0 + 0j, 1.0]),
        np.array(["1", "1"]),
        np.ones(2, dtype=np.longdouble),
        1j,
        10**400,
        torch.ones(2, dtype=torch.complex64),
        torch.ones(2, device="meta"),
        torch.ones(2).to_sparse(),
        torch.eye(2).to_sparse_csr(),
        torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.quint8),
        torch.nested.nested_tensor([torch.ones(2)]),
    ],
    ids=lambda impostor: type(impostor).__name__,
)
def test_only_real_tensors_arrays_and_numbers_are_compared(impostor):
    with pytest.raises(
        AssertionError, match="the result must be a tensor, an array or a number, but is"
    ):
        close(impostor, torch.ones(2))


ONES = torch.ones(2, 3)


@pytest.mark.parametrize(
    "actual, expected, words",
    [
        (None, ONES, "is None: does the function return its result?"),
        (torch.ones(3, 2), ONES, r"shape \(3, 2\), expected \(2, 3\).*number of elements is right"),
        (torch.ones(2, 1), ONES, r"shape \(2, 1\).*would broadcast"),
        (torch.ones(4), ONES, r"shape \(4,\), expected \(2, 3\)\.$"),
        (ONES.double(), ONES, "dtype torch.float64, expected torch.float32"),
        (torch.tensor([1.0, float("nan")]), torch.ones(2), r"not finite at index \(1,\): nan"),
        (torch.tensor([float("inf"), 1.0]), torch.ones(2), r"not finite at index \(0,\): inf"),
        (float("nan"), 1.0, "not finite"),
        (-torch.arange(3.0), torch.arange(3.0), "The sign is reversed"),
        (2 * torch.arange(4.0), torch.arange(4.0), "2 times what it should be: a constant factor"),
        (torch.zeros(3), torch.arange(3.0), r"expected 2\. Every value is 0\.$"),
        (
            torch.tensor([0.0, 1.0, 5.0]),
            torch.tensor([0.0, 1.5, 2.0]),
            r"2 of 3 places; the largest difference, 3, is at index \(2,\): got 5, expected 2\.$",
        ),
    ],
)
def test_a_difference_is_explained(actual, expected, words):
    with pytest.raises(AssertionError, match=words):
        close(actual, expected)


def test_the_tolerance_is_absolute_plus_relative():
    close(1.0 + 1.9e-3, 1.0, rtol=1e-3, atol=1e-3)
    with pytest.raises(AssertionError):
        close(1.0 + 2.1e-3, 1.0, rtol=1e-3, atol=1e-3)
    with pytest.raises(AssertionError):
        close(1e-9, 0.0)


@pytest.mark.parametrize(
    "expected", [float("nan"), float("inf"), -float("inf"), torch.tensor([1.0, float("nan")])]
)
def test_nothing_is_close_to_an_expected_value_that_is_not_finite(expected):
    actual = torch.ones_like(expected) if isinstance(expected, torch.Tensor) else 5.0
    with pytest.raises(AssertionError, match=r"expected y is not finite at index \("):
        close(actual, expected, name="y")
    assert not compare({"y": (actual, expected)}).passed


def test_a_tolerance_that_is_nan_tolerates_nothing():
    for tolerance in ({"rtol": float("nan")}, {"atol": float("nan")}):
        with pytest.raises(AssertionError, match="differs at 1 of 1"):
            close(5.0, 1.0, **tolerance)


@pytest.mark.parametrize("value", [torch.tensor([1 + 5j]), np.array([1 + 5j]), 1 + 5j])
def test_an_imaginary_part_is_not_dropped(value):
    with pytest.raises(
        AssertionError, match="z must be .*, but is a?n? ?(complex|array of complex)"
    ):
        close(value, value.real + 0 * value, name="z")
    with pytest.raises(
        AssertionError, match="z must be .*, but is a?n? ?(complex|array of complex)"
    ):
        emit("z", value)


def test_the_place_that_is_shown_is_one_that_differs():
    wanted = torch.tensor([1e9, 1.0], dtype=torch.float64)
    with pytest.raises(AssertionError, match=r"difference, 0.5, is at index \(1,\): got 1.5, exp"):
        close(wanted + torch.tensor([50, 0.5]), wanted)


@pytest.mark.parametrize(
    "actual, expected",
    [
        ([3e-9, 1e-9], [1e-9, 1e-9]),  # all values are tiny, no sign is reversed
        ([-1e-9, -2e-9], [-1e-9, 2e-9]),
        ([1.000002, 2.000004], [1.0, 2.0]),  # not "1 times"
        ([2.0, 4.0, 5.0], [1.0, 2.0, 0.0]),  # one value is no multiple of 0
        ([1.0, 1.0], [0.0, 0.0]),
    ],
)
def test_no_mistake_is_named_that_was_not_made(actual, expected):
    actual, expected = (torch.tensor(x, dtype=torch.float64) for x in (actual, expected))
    with pytest.raises(AssertionError, match=r"expected [-\de.]+\.$"):
        close(actual, expected)


def test_the_name_is_in_the_message():
    with pytest.raises(AssertionError, match="^dgamma differs"):
        close(torch.ones(2), torch.tensor([1.0, 3.0]), name="dgamma")


def test_a_grader_gets_every_comparison_and_nothing_is_raised():
    found = []
    with recorded(lambda *comparison: found.append(comparison)):
        close(1.0, 2.0, name="y", rtol=0.5)
        emit("z", "no value", atol=0.25)
    assert found == [("y", 1.0, 2.0, 0.5, 1e-10), ("z", "no value", None, 1e-6, 0.25)]
    with pytest.raises(AssertionError, match="y differs"):
        close(1.0, 2.0, name="y")


def test_outside_of_a_graded_run_only_the_type_is_checked():
    emit("x", 1.0)
    with pytest.raises(AssertionError, match="x must be a tensor, an array or a number"):
        emit("x", "1.0")


@pytest.mark.parametrize(
    "actual, words",
    [
        (torch.tensor([1.5, 4.0]), "y differs at 1 of 2 places"),
        (torch.tensor([-1.5, -3.0]), "y differs at 2 of 2 places"),
        (torch.tensor([[1.5, 3.0]]), "y has shape (1, 2), expected (2,). The number of elements"),
        (torch.tensor([1.5, 3.0]).double(), "y has dtype torch.float64, expected torch.float32"),
    ],
)
def test_a_difference_can_be_told_without_values(actual, words):
    told = difference(actual, torch.tensor([1.5, 3.0]), name="y", numbers=False)
    assert told.startswith(words) and "3.0" not in told and "1.5" not in told


def test_compare_shows_a_line_for_each_and_tells_whether_all_agree():
    good = compare({"y": (ONES, ONES), "dx": (1, 1)})
    assert good.passed and repr(good) == "ok     y\nok     dx"
    bad = compare({"y": (ONES, ONES), "dx": (-ONES, ONES), "dbeta": (None, ONES)})
    assert not bad.passed
    assert [line.split()[0] for line in repr(bad).splitlines()] == ["ok", "WRONG", "WRONG"]
    assert "dx" in bad.lines[1] and "sign" in bad.lines[1]
