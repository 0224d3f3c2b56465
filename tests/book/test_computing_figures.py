"""Figures that compute: their numbers are PyTorch's, and everybody can move and read them."""

import base64
import json
import math

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

import computing as tool
import pictures
from browsing import violations
from resnorm import detection, probes
from resnorm.experiments import residual_variance
from resnorm.figures import computing
from resnorm.models import resnet

ALT = "A figure that computes, on a page of its own."
#: A handle or switch of each figure that has one, by its accessible name.
HANDLES = {
    "normalize": "Value 3",
    "gradient": "Gradient of output 2",
    "paths": "Block 1",
    "bowl": "Start of the descent, moved by the four arrow keys",
    "receptive": "Output unit",
    "cardinality": "Cardinality and width of a group, moved by the four arrow keys",
    "nms": "Box 1, moved by the four arrow keys",
}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The address of a file with these figures, as a notebook would hold them."""
    folder = tmp_path_factory.mktemp("computing")

    def write(*names):
        path = folder / f"{'-'.join(names)}.html"
        figures = "".join(computing.computing_html(name, ALT) for name in names)
        path.write_text(
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>x</title>'
            '<meta name="viewport" content="width=device-width">'
            "<style>@media (prefers-color-scheme: dark) { body { background: #121212; color: #ddd }"
            f"}}</style><body><main><h1>x</h1>{figures}</main></body></html>"
        )
        return path.as_uri()

    return write


@pytest.fixture
def computed(visit, alone):
    """Calls the pure function of a figure."""
    with visit() as v:
        page = v.go(alone(*computing.NAMES))
        yield lambda name, **state: page.evaluate(
            "([name, state]) => resnormFigures.compute(name, state)", [name, state]
        )


@pytest.fixture
def draws():
    """Thirty generators of random inputs."""
    return [torch.Generator().manual_seed(seed) for seed in range(30)]


def uniform(low, high, *shape, generator):
    return low + (high - low) * torch.rand(*shape, dtype=torch.float64, generator=generator)


def assert_equal(found, wanted, tolerance=1e-9):
    torch.testing.assert_close(
        torch.tensor(found, dtype=torch.float64),
        torch.as_tensor(wanted, dtype=torch.float64),
        rtol=tolerance,
        atol=tolerance,
    )


# --- the numbers ------------------------------------------------------------------------------


def test_normalized_values_are_those_of_batch_norm(computed, draws):
    for g in draws:
        x = uniform(-6, 6, 6, generator=g)
        gamma, beta = uniform(-2, 2, 2, generator=g)
        eps = 10 ** uniform(-5, 1, 1, generator=g).item()
        found = computed("normalize", x=x.tolist(), gamma=gamma.item(), beta=beta.item(), eps=eps)
        wanted = F.batch_norm(
            x[:, None], None, None, gamma[None], beta[None], training=True, eps=eps
        )
        assert_equal(found["y"], wanted[:, 0])
        assert_equal(
            found["normalized"],
            F.batch_norm(x[:, None], None, None, None, None, True, 0.1, eps)[:, 0],
        )
        assert_equal([found["mean"], found["variance"]], [x.mean(), x.var(correction=0)])


def by_open_ways(x, dy, gamma, eps, mean=False, variance=False):
    """The gradient of x where the mean and the variance are constants, unless they are open."""
    mu, spread = x.mean(), x.var(correction=0)
    centered = x - (mu if mean else mu.detach())
    out = gamma.detach() * centered / torch.sqrt((spread if variance else spread.detach()) + eps)
    return torch.autograd.grad(out, x, dy)[0]


def test_the_terms_of_the_gradient_add_up_to_that_of_autograd(computed, draws):
    for g in draws:
        x = uniform(-3, 3, 6, generator=g).requires_grad_()
        dy = uniform(-2, 2, 6, generator=g)
        gamma = uniform(-2, 2, 1, generator=g).requires_grad_()
        beta = torch.zeros(1, dtype=torch.float64, requires_grad=True)
        eps = 10 ** uniform(-5, 0, 1, generator=g).item()
        found = computed("gradient", x=x.tolist(), dy=dy.tolist(), gamma=gamma.item(), eps=eps)
        y = F.batch_norm(x[:, None], None, None, gamma, beta, training=True, eps=eps)[:, 0]
        wanted = torch.autograd.grad(y, (x, gamma, beta), dy)
        assert_equal(found["dx"], wanted[0])
        assert_equal([found["dgamma"], found["dbeta"]], torch.cat(wanted[1:]))

        # each term is what autograd says when only that way is open
        through = by_open_ways(x, dy, gamma, eps)
        by_mean = by_open_ways(x, dy, gamma, eps, mean=True) - through
        by_variance = by_open_ways(x, dy, gamma, eps, variance=True) - through
        assert_equal(found["through"], through)
        assert_equal(found["byMean"], by_mean)
        assert_equal(found["byVariance"], by_variance)


def test_running_statistics_are_those_of_batch_norm(computed, draws):
    for g in draws:
        size = int(torch.randint(2, 65, (1,), generator=g))
        momentum = uniform(0.01, 1, 1, generator=g).item()
        batches = 1 + 3 * torch.randn(40, size, dtype=torch.float64, generator=g)
        layer = nn.BatchNorm1d(1, momentum=momentum, dtype=torch.float64)
        means, variances = [], []
        for batch in batches:
            layer(batch[:, None])
            means.append(layer.running_mean.item())
            variances.append(layer.running_var.item())
        found = computed("running", batches=batches.tolist(), momentum=momentum)
        assert_equal(found["runningMean"], means)
        assert_equal(found["runningVariance"], variances)


def test_the_drawn_batches_have_the_distribution_that_the_figure_states(computed):
    found = [
        computed("running", kind="still", size=64, seed=seed, momentum=0.1) for seed in range(10)
    ]
    means = torch.tensor([each["means"] for each in found])
    variances = torch.tensor([each["variances"] for each in found])
    assert abs(means.mean() - 1.5) < 0.03 and abs(variances.mean() - 3) < 0.05
    assert abs(means.std() / math.sqrt(3 / 64) - 1) < 0.06
    assert abs(variances.std() / (3 * math.sqrt(2 / 63)) - 1) < 0.06


def test_the_descent_is_that_of_sgd(computed, draws):
    for g in draws:
        kappa, rate = uniform(1, 100, 1, generator=g), uniform(0.05, 2.2, 1, generator=g)
        point = uniform(-9, 9, 2, generator=g).requires_grad_()
        start = point.tolist()
        optimizer = torch.optim.SGD([point], lr=(rate / kappa).item())
        points, losses = [], []
        for _ in range(51):
            loss = (point[0] ** 2 + kappa[0] * point[1] ** 2) / 2
            points.append(point.tolist())
            losses.append(loss.item())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        found = computed("bowl", start=start, kappa=kappa.item(), rate=rate.item())
        assert_equal(found["points"], points)
        assert_equal(found["losses"], losses)


def by_quadrature(order, gain, strength, blocks):
    """Moments of the stream, with the integrals over the Gaussian done numerically."""
    z = torch.linspace(0, 14, 200_001, dtype=torch.float64)  # the positive half
    density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)
    first, second = (torch.trapezoid(z**k * density, z).item() for k in (1, 2))
    q, m, found = 1.0, 0.0, [1.0]
    for _ in range(blocks):
        if order == "linear":  # strength times relu(z) with z of variance gain q
            size = strength * math.sqrt(gain * q)
            q, m = q + 2 * m * size * first + size**2 * second, m + size * first
        else:  # what the ReLU lets through is multiplied by the linear map
            into = 1.0 if order == "norm" else q
            q = (q + strength**2 * gain * second * into) / (2 if order == "scaled" else 1)
        found.append(q)
    return found


def test_the_chain_grows_as_the_integrals_and_the_chapter_predict(computed, draws):
    names = dict(zip(("linear", "relu", "scaled", "norm"), residual_variance.SCHEMES))
    for order, scheme in names.items():
        found = computed("chain", order=order, gain=2, strength=1)
        assert_equal(found["stream"], residual_variance.predicted(scheme, 50))
        for g in draws[:8]:
            gain, strength = (
                uniform(0.2, 4, 1, generator=g).item(),
                uniform(0.05, 1.5, 1, generator=g).item(),
            )
            found = computed("chain", order=order, gain=gain, strength=strength)
            wanted = by_quadrature(order, gain, strength, 50)
            assert_equal(found["stream"], wanted, 1e-7)
            assert found["all"][order] == found["stream"]
            shares = [b / (b + s) for b, s in zip(found["branch"], found["stream"])]
            assert_equal(found["share"], shares)


@pytest.mark.parametrize("order", ["linear", "relu", "scaled", "norm"])
def test_the_chain_grows_as_wide_blocks_do(computed, order):
    gain, strength, width, blocks = 1.3, 0.7, 1500, 4
    wanted = computed("chain", order=order, gain=gain, strength=strength)["stream"]
    found = []
    for seed in range(4):
        g = torch.Generator().manual_seed(seed)
        h = torch.randn(64, width, generator=g)
        for _ in range(blocks):
            weight = torch.randn(width, width, generator=g) * math.sqrt(gain / width)
            into = F.batch_norm(h, None, None, training=True) if order == "norm" else h
            branch = (into @ weight).relu() if order == "linear" else into.relu() @ weight
            h = (h + strength * branch) / (math.sqrt(2) if order == "scaled" else 1)
        found.append(h.square().mean().item())
    assert abs(sum(found) / 4 / wanted[blocks] - 1) < 0.03


def test_the_paths_add_up_to_the_gradient_of_autograd(computed, draws):
    for g in draws:
        factors = uniform(-1, 1, 4, generator=g)
        on = torch.rand(4, generator=g) < 0.7
        x = torch.ones(1, dtype=torch.float64, requires_grad=True)
        h = x
        for there, factor in zip(on, factors):
            h = h + factor * h if there else h
        found = computed("paths", on=on.tolist(), factors=factors.tolist())
        assert_equal([found["total"]], torch.autograd.grad(h, x)[0])
        left = int(on.sum())
        assert found["counts"] == [math.comb(left, k) for k in range(5)]
        assert sum(found["left"]) == 2**left
        # the weight of each length is a coefficient of the product of all (1 + t factor)
        weights = torch.zeros(5, dtype=torch.float64)
        weights[0] = 1
        for factor in factors[on]:
            weights[1:] = weights[1:] + factor * weights[:-1].clone()
        assert_equal(found["weights"], weights)


def whole(low, high, *shape, generator):
    return torch.randint(low, high + 1, shape, generator=generator).tolist()


def test_the_receptive_field_is_where_autograd_has_a_gradient(computed, draws):
    for g in draws:
        depth = 1 + whole(0, 3, 1, generator=g)[0]
        layers = [
            {"kernel": k, "stride": s, "dilation": d}
            for k, s, d in zip(*(whole(1, most, depth, generator=g) for most in (5, 3, 4)))
        ]
        side, jump = 1, 1
        for layer in layers:
            side += (layer["kernel"] - 1) * layer["dilation"] * jump
            jump *= layer["stride"]
        size = side + whole(jump, 4 * jump, 1, generator=g)[0]
        stack = nn.Sequential(
            *(
                nn.Conv1d(
                    1, 1, each["kernel"], each["stride"], dilation=each["dilation"], bias=False
                )
                for each in layers
            )
        ).double()
        for layer in stack:
            nn.init.ones_(layer.weight)
        x = torch.zeros(1, 1, size, dtype=torch.float64, requires_grad=True)
        y = stack(x)[0, 0]
        unit = whole(0, len(y) - 1, 1, generator=g)[0]
        found = computed("receptive", layers=layers, size=size, output=unit)
        gradient = torch.autograd.grad(y[unit], x, retain_graph=True)[0][0, 0]
        seen = gradient.nonzero()[:, 0]
        assert_equal(found["paths"][0], gradient)
        assert found["seen"] == len(seen) and found["counts"][-1] == len(y)
        assert found["side"] == seen[-1] - seen[0] + 1
        begins = [
            torch.autograd.grad(y[i], x, retain_graph=True)[0].flatten().nonzero()[0].item()
            for i in (0, 1)
        ]
        assert found["jump"] == begins[1] - begins[0]

        # in two dimensions, and with weights that are not all 1, the rule holds for both sides
        if size < 80:
            torch.manual_seed(depth)
            stack = nn.Sequential(
                *(
                    nn.Conv2d(1, 1, each["kernel"], each["stride"], dilation=each["dilation"])
                    for each in layers
                )
            ).double()
            for layer in stack:
                nn.init.uniform_(layer.weight, 0.5, 1)
            x = torch.zeros(1, 1, size, size, dtype=torch.float64, requires_grad=True)
            (gradient,) = torch.autograd.grad(stack(x)[0, 0, unit, unit], x)
            row = torch.tensor(found["paths"][0]) > 0
            assert torch.equal(gradient[0, 0] != 0, row[:, None] & row)


def test_the_block_costs_what_pytorch_counts(computed, draws):
    def counted(block, channels, side):
        weights = [m.weight.numel() for m in block.modules() if isinstance(m, nn.Conv2d)]
        return weights, probes.multiply_adds(block, torch.empty(1, channels, side, side))

    for g in draws:
        groups, width, channels, side = (
            whole(1, most, 1, generator=g)[0] for most in (64, 96, 300, 20)
        )
        inner = groups * width
        found = computed(
            "cardinality", cardinality=groups, width=width, channels=channels, side=side
        )
        with torch.device("meta"):
            block = nn.Sequential(
                nn.Conv2d(channels, inner, 1, bias=False),
                nn.Conv2d(inner, inner, 3, padding=1, groups=groups, bias=False),
                nn.Conv2d(inner, channels, 1, bias=False),
            )
            weights, work = counted(block, channels, side)
        assert found["weights"] == weights and found["total"] == sum(weights)
        assert found["multiplyAdds"] == work and found["inner"] == inner
        # the curve of equal cost is where the sum of all weights is the plain bottleneck's
        d = found["solved"]
        assert_equal([2 * 256 * groups * d + 9 * groups * d * d], [found["budget"]])
    for groups, width in ((1, 64), (2, 40), (4, 24), (8, 14), (32, 4)):  # rows of the paper
        found = computed("cardinality", cardinality=groups, width=width)
        with torch.device("meta"):
            block = resnet.Bottleneck(256, 64, groups=groups, width_per_group=width)
            weights, work = counted(block, 256, 56)
        assert found["weights"] == weights and found["multiplyAdds"] == work
        assert abs(found["total"] / found["budget"] - 1) < 0.03


def boxes_of(count, generator):
    """Boxes with sides of 30 to 70 on a field of 100, of which several overlap."""
    sizes = uniform(30, 70, count, 2, generator=generator)
    corners = uniform(0, 1, count, 2, generator=generator) * (100 - sizes)
    return torch.cat([corners, corners + sizes], 1)


def test_suppression_keeps_what_torchvision_keeps(computed, draws):
    dropped = 0
    for g in draws:
        boxes, threshold = boxes_of(12, g), uniform(0.05, 0.8, 1, generator=g).item()
        scores = uniform(0, 1, 12, generator=g)
        given = {"boxes": boxes.tolist(), "scores": scores.tolist(), "threshold": threshold}
        found = computed("nms", **given)
        kept = found["kept"]
        assert kept == torchvision.ops.nms(boxes, scores, threshold).tolist()
        assert kept == detection.nms(boxes, scores, threshold).tolist()
        overlaps = torchvision.ops.box_iou(boxes, boxes)
        assert_equal(found["overlaps"], overlaps)
        for i, by in enumerate(found["by"]):  # by the best of the kept boxes that overlap it
            over = [k for k in kept if overlaps[k, i] > threshold]
            assert by == (-1 if i in kept else over[0])
            dropped += i not in kept
    assert dropped > 90


def test_equal_scores_and_an_overlap_at_the_threshold_do_as_the_package_does(computed):
    boxes = [[0, 0, 5, 10], [0, 0, 10, 10], [0, 0, 10, 10], [20, 20, 20, 30]]
    scores = [0.5, 0.5, 0.5, 0.5]
    for threshold, kept in ((0.5, [0, 1, 3]), (0.49, [0, 3])):  # the first two overlap by 0.5
        found = computed("nms", boxes=boxes, scores=scores, threshold=threshold)
        package = detection.nms(torch.tensor(boxes).double(), torch.tensor(scores), threshold)
        assert found["kept"] == kept == package.tolist()


def test_boxes_are_correct_as_in_the_precision_recall_curve(computed, draws):
    correct = duplicates = 0
    for g in draws:
        truth = boxes_of(3, g)
        boxes = truth.repeat(3, 1) + 5 * torch.randn(9, 4, dtype=torch.float64, generator=g)
        scores = uniform(0, 1, 9, generator=g)
        found = computed(
            "nms",
            boxes=boxes.tolist(),
            scores=scores.tolist(),
            threshold=0.8,
            truth=truth.tolist(),
        )
        kept = found["kept"]
        shown = detection.Detections(boxes[kept], scores[kept], torch.zeros(len(kept)).long())
        curve = detection.precision_recall([shown], [truth], [torch.zeros(3).long()], 0)
        hits = (curve.precision * torch.arange(1, len(kept) + 1)).diff(prepend=torch.zeros(1))
        verdicts = [found["verdicts"][i] for i in kept]
        assert [verdict == "correct" for verdict in verdicts] == (hits > 0.5).tolist()
        assert found["found"] == verdicts.count("correct")
        near = torchvision.ops.box_iou(boxes[kept], truth).amax(1) >= 0.5
        assert [verdict != "wrong" for verdict in verdicts] == near.tolist()
        correct, duplicates = correct + found["found"], duplicates + verdicts.count("duplicate")
    assert correct > 30 and duplicates > 30


# --- the page ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "handle"), HANDLES.items())
def test_the_keyboard_alone_moves_what_the_pointer_drags(visit, alone, name, handle):
    with visit() as v:
        figure = v.go(alone(name)).locator(".rnc")
        readout, grip = figure.locator(".rnc-readout"), figure.get_by_label(handle, exact=True)
        role = grip.get_attribute("role")
        spoken = {"switch": "aria-checked", "slider": "aria-valuetext"}[role]
        before = readout.inner_text(), grip.get_attribute(spoken), grip.get_attribute("transform")
        for _ in range(40):  # the tab key reaches it
            v.page.keyboard.press("Tab")
            if grip.evaluate("each => each === document.activeElement"):
                break
        else:
            raise AssertionError(f"the tab key does not reach {handle!r}")
        v.page.keyboard.press("Space" if role == "switch" else "ArrowUp")
        after = readout.inner_text(), grip.get_attribute(spoken), grip.get_attribute("transform")
        assert after[0] != before[0] and after[1] != before[1]
        assert role == "switch" or after[2] != before[2]
        assert readout.get_attribute("aria-live") == "polite"
        assert grip.evaluate("each => each === document.activeElement")
        figure.get_by_role("button", name="Start again").click()
        assert readout.inner_text() == before[0]


def test_a_point_follows_the_pointer_and_stays_in_its_range(visit, alone):
    with visit() as v:
        figure = v.go(alone("normalize")).locator(".rnc")
        grip = figure.get_by_label("Value 3", exact=True)
        box = grip.locator(".handle").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        v.page.mouse.move(x, y)
        v.page.mouse.down()
        v.page.mouse.move(x - 80, y + 30, steps=4)
        assert figure.locator(".rnc-readout").get_attribute("aria-live") == "off"
        v.page.mouse.up()
        moved = grip.locator(".handle").bounding_box()
        assert moved["x"] == pytest.approx(box["x"] - 80, abs=1) and moved["y"] == box["y"]
        v.page.mouse.move(x - 80, y)
        v.page.mouse.down()
        v.page.mouse.move(-500, y, steps=4)
        v.page.mouse.up()
        assert float(grip.get_attribute("aria-valuenow")) == -6
        assert figure.locator(".rnc-readout").get_attribute("aria-live") == "polite"


def test_shifting_and_stretching_the_batch_changes_nothing_below(visit, alone):
    with visit() as v:
        figure = v.go(alone("normalize")).locator(".rnc")
        readout = figure.locator(".rnc-readout")
        before = readout.inner_text().split("Normalized")
        for label in ("Mean of the batch", "Standard deviation of the batch"):
            figure.get_by_label(label, exact=True).press("ArrowLeft")
            after = readout.inner_text().split("Normalized")
            assert after[0] != before[0] and after[1] == before[1]
            before = after


def test_equal_values_are_normalized_to_zero_at_the_smallest_eps(visit, alone):
    with visit() as v:
        figure = v.go(alone("normalize")).locator(".rnc")
        for i in range(1, 7):
            handle = figure.get_by_label(f"Value {i}", exact=True)
            handle.press("Home")
            handle.press("ArrowRight")  # to −5.9, and the mean of six of them is not quite −5.9
        figure.get_by_label("ε").press("Home")
        assert "Normalized: " + ", ".join(["0.00"] * 6) in figure.inner_text()


@pytest.mark.parametrize("spread", [False, True])
def test_what_the_backward_pass_removes_leaves_no_gradient(visit, alone, spread):
    with visit() as v:
        figure = v.go(alone("gradient")).locator(".rnc")
        if spread:  # to −3, −3, −3, −2, −1 and 3: the last one's normalized value is above 2
            for i, pages in enumerate([0, 0, 0, 1, 2, 6], 1):
                value = figure.get_by_label(f"Value {i}", exact=True)
                for key in ["Home"] + pages * ["PageUp"]:
                    value.press(key)
        readout = figure.locator(".rnc-readout")
        before = readout.inner_text()
        for label in ("All equal", "dy = x̂"):
            figure.get_by_role("button", name=label).click()
            assert readout.inner_text().startswith("dx = " + ", ".join(["0.00"] * 6) + ".")
        figure.get_by_role("button", name="One output").click()
        assert readout.inner_text() == before


def test_the_bowl_says_what_the_descent_does(visit, alone):
    with visit() as v:
        figure = v.go(alone("bowl")).locator(".rnc")
        readout, start = figure.locator(".rnc-readout"), figure.get_by_label(HANDLES["bowl"])
        assert "after 24 steps" in readout.inner_text()
        figure.get_by_role("button", name="Best rate").click()
        assert "by 0.905 along the valley and by −0.905 across it" in readout.inner_text()
        figure.get_by_role("button", name="Round bowl").click()
        assert "One step is enough." in readout.inner_text()
        figure.get_by_role("button", name="Start again").click()
        figure.get_by_label("Rate η·κ").press("End")
        assert "It diverges." in readout.inner_text()
        for _ in range(11):  # down to the floor of the valley, where only its slope counts
            start.press("ArrowDown")
        assert "It diverges." not in readout.inner_text()
        assert "after 20 steps" in readout.inner_text()  # 0.89 ** 20 is 0.097


def test_strides_and_dilations_widen_the_field_equally(visit, alone):
    with visit() as v:
        figure = v.go(alone("receptive")).locator(".rnc")
        readout = figure.locator(".rnc-readout")
        for button, outputs, side in (
            ("Three plain", 25, 7),
            ("Three strides of 2", 3, 15),
            ("Dilations 1, 2, 4", 17, 15),
        ):
            figure.get_by_role("button", name=button).click()
            assert f"of {outputs} sees {side} pixels:" in readout.inner_text()
        for layer in "123":
            figure.get_by_label(layer, exact=True).check(force=True)
            figure.get_by_label("Dilation d").press("Home")
            figure.get_by_label("Dilation d").press("ArrowRight")
        assert "sees only 7 pixels in a window of 13:" in readout.inner_text()
        for _ in range(40):  # the last output stays the last
            figure.get_by_label("Output unit").press("ArrowRight")
        assert readout.inner_text().startswith("Output 19 of 19 ")


def test_fitting_the_width_gives_the_rows_of_the_paper(visit, alone):
    with visit() as v:
        figure = v.go(alone("cardinality")).locator(".rnc")
        groups, readout = figure.get_by_label("Cardinality C"), figure.locator(".rnc-readout")
        groups.press("Home")
        for cardinality, width, error in (
            (1, 64, "23.9"),
            (2, 40, "23.0"),
            (4, 24, "22.6"),
            (8, 14, "22.3"),
            (16, 8, None),
            (32, 4, "22.2"),
        ):
            figure.get_by_role("button", name="Fit d to the budget").click()
            said = readout.inner_text()
            assert said.startswith(f"{cardinality} group") and f" of {width}, inner" in said
            assert (f"error: {error} %" in said) == (error is not None)
            groups.press("ArrowRight")


def test_suppression_does_what_the_chapter_says_of_thresholds_and_scores(visit, alone):
    with visit() as v:
        figure = v.go(alone("nms")).locator(".rnc")
        readout, threshold = figure.locator(".rnc-readout"), figure.get_by_label("Threshold")
        threshold.press("Home")
        for step in range(21):
            said = readout.inner_text()
            assert said.startswith("NMS keeps 1, 3, 5 and drops") == (8 <= step <= 11)
            if step == 6:  # 0.3
                assert said.startswith("NMS keeps 1, 5 and drops") and "1 of 2 objects" in said
            if step == 14:  # 0.7
                assert said.startswith("NMS keeps 1, 2, 3, 5 and drops 4")
                assert "2 of 2 objects are found, with 1 duplicate" in said
            threshold.press("ArrowRight")
        figure.get_by_role("button", name="Start again").click()
        figure.get_by_label("Score of box 2").press("End")
        assert readout.inner_text().startswith("NMS keeps 2, 5 and drops 1")
        assert "1 of 2 objects is found" in readout.inner_text()


def test_what_cannot_be_dragged_looks_otherwise(visit, alone):
    with visit() as v:
        figure = v.go(alone("normalize")).locator(".rnc")
        fill = "each => getComputedStyle(each).fill"
        movable = figure.get_by_label("Mean of the batch").locator("path").evaluate(fill)
        fixed = figure.locator("svg > g[aria-hidden] path.paper").all()
        assert len(fixed) == 2 and movable not in [each.evaluate(fill) for each in fixed]


def test_new_batches_are_other_batches(visit, alone):
    with visit() as v:
        figure = v.go(alone("running")).locator(".rnc")
        before = figure.locator(".rnc-readout").inner_text()
        figure.get_by_role("button", name="New batches").click()
        assert figure.locator(".rnc-readout").inner_text() != before


@pytest.mark.parametrize("name", computing.NAMES)
def test_each_control_changes_what_the_figure_says(visit, alone, name):
    with visit() as v:
        figure = v.go(alone(name)).locator(".rnc")
        readout, drawing = figure.locator(".rnc-readout"), figure.locator("svg > g").first
        for slider in figure.locator("input[type=range]").all():
            before = drawing.inner_html(), slider.get_attribute("aria-valuetext")
            slider.press("ArrowRight")
            slider.press("ArrowRight")
            assert drawing.inner_html() != before[0]
            assert slider.get_attribute("aria-valuetext") != before[1]
        for radio in figure.locator("input[type=radio]:not(:checked)").all():
            before = readout.inner_text()
            radio.check(force=True)
            assert readout.inner_text() != before


#: In a chapter the margins of the page and of the cell take 16 of 375 pixels more than here.
@pytest.mark.parametrize("name", computing.NAMES)
@pytest.mark.parametrize("width", [359, 820])
def test_text_can_be_read_and_stands_inside(visit, alone, name, width):
    with visit(width=width) as v:
        page = v.go(alone(name))
        for press in ("", "End", "Home"):
            for slider in page.locator("input[type=range]").all():
                if press:
                    slider.press(press)
            small = page.evaluate(
                "[...document.querySelectorAll('.rnc *')].filter(each => !each.childElementCount "
                "&& each.textContent.trim() && parseFloat(getComputedStyle(each).fontSize) < 11)"
                ".map(each => each.textContent)"
            )
            assert small == [], "text under 11 pixels"
            outside = page.evaluate(
                """() => {
                    const box = document.querySelector('.rnc-drawing').getBoundingClientRect();
                    return [...document.querySelectorAll('.rnc-drawing text')].filter(each => {
                        const text = each.getBoundingClientRect();
                        return text.left < box.left - 2 || text.right > box.right + 2
                            || text.top < box.top - 2 || text.bottom > box.bottom + 2;
                    }).map(each => each.textContent);
                }"""
            )
            assert outside == [], "text outside of the drawing"
            assert "NaN" not in page.locator(".rnc").inner_html()
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("name", computing.NAMES)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_fault(visit, alone, name, theme):
    with visit(theme=theme) as v:
        page = v.go(alone(name))
        assert page.locator(".rnc.rnc-dark").count() == (theme == "dark")
        assert violations(page) == []


def test_figures_share_a_page_and_several_pages_of_one(visit, alone):
    with visit() as v:
        page = v.go(alone("normalize", "bowl", "normalize"))
        first, _, second = page.locator(".rnc").all()
        before = second.locator(".rnc-readout").inner_text()
        first.get_by_label("Value 1", exact=True).press("ArrowRight")
        assert second.locator(".rnc-readout").inner_text() == before
        assert first.locator(".rnc-readout").inner_text() != before
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map(each => each.id)")
        assert len(ids) == len(set(ids)) > 4


def test_a_figure_that_was_taken_away_raises_no_error(visit, alone):
    with visit() as v:  # which ends by checking the console
        page = v.go(alone("bowl"))
        page.evaluate("window.away = document.querySelector('.rnc'); away.remove()")
        page.evaluate("document.body.dataset.theme = 'another'")
        page.wait_for_timeout(100)
        page.evaluate("document.body.append(away); document.body.style.color = '#eee'")
        page.wait_for_selector(".rnc.rnc-dark")  # and back in its place it follows the theme


@pytest.mark.parametrize(("color", "dark"), [("color(srgb 0.9 0.9 0.9)", 1), ("oklch(0.2 0 0)", 0)])
def test_the_theme_is_told_from_a_color_in_any_notation(visit, alone, color, dark):
    with visit() as v:
        page = v.go(alone("bowl"))
        page.evaluate("color => { document.body.style.color = color; }", color)
        page.wait_for_timeout(100)
        assert page.locator(".rnc.rnc-dark").count() == dark


@pytest.mark.parametrize("name", computing.NAMES)
def test_without_scripts_the_first_state_stands_there(browser, alone, name):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(alone(name))
    figure = page.locator(".rnc")
    assert figure.get_by_role("img", name=ALT).is_visible()
    assert "needs JavaScript" in figure.inner_text()
    context.close()


@pytest.mark.parametrize("name", computing.NAMES)
def test_the_stored_first_state_is_what_the_script_draws(browser, name):
    context = browser.new_context(device_scale_factor=2, viewport={"width": 800, "height": 900})
    first, picture = tool.first_state(context.new_page(), name)
    context.close()
    remedy = "run: python tools/computing.py"
    assert json.loads((tool.ASSETS / f"{name}.json").read_text("utf-8")) == first, remedy
    stored = base64.b64encode((tool.ASSETS / f"{name}.png").read_bytes()).decode()
    assert pictures.difference(stored, base64.b64encode(picture).decode()) is None, remedy


def test_every_script_is_a_figure_with_a_name():
    assert sorted(computing.NAMES) == tool.names()
