"""Checkpoints: which run a file belongs to, and files that are damaged or no checkpoints."""

import copy
import functools
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from resnorm import augment, data, norms, train
from resnorm.train.description import architecture, describe

SPLIT = data.synthetic(train=32, test=16, size=8)


def make_model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 10))


def run(path, model=None, split=SPLIT, **changes):
    """Train for two epochs of two steps."""
    model = model or make_model()
    options = {"epochs": 2, "batch_size": 16, "lr": 0.01} | changes
    return model, train.fit(model, split, checkpoint=path, **options)


def falling(slope):
    return lambda progress: 1 - slope * progress


class Crop:
    def __init__(self, padding):
        self.padding = padding

    def __call__(self, images, labels, generator):
        return augment.random_crop(images, self.padding, generator), labels


SLOPE = 0.5


def falls_by_a_global(progress):
    return 1 - SLOPE * progress


WEIGHTS = torch.linspace(1, 2, 10)

RUNS = [
    ({}, {"schedule": train.one_cycle()}, "schedule None there, 'one_cycle.<locals>.<lambda>'"),
    (
        {"schedule": train.one_cycle(0.2)},
        {"schedule": train.one_cycle(0.3)},
        "schedule.reads.warm_up 0.2 there, 0.3 here",
    ),
    ({"schedule": train.one_cycle()}, {"schedule": train.step_decay()}, "schedule.name"),
    ({"schedule": falling(0.1)}, {"schedule": falling(0.2)}, "schedule.reads.slope 0.1 there"),
    ({"schedule": lambda p: 1 - p}, {"schedule": lambda p: 1 - p / 2}, "schedule.code"),
    ({"schedule": lambda p, a=1: a}, {"schedule": lambda p, a=2: a}, "schedule.defaults"),
    ({}, {"augment": augment.crop_and_flip()}, "augment None there"),
    (
        {"augment": augment.crop_and_flip(2)},
        {"augment": augment.crop_and_flip(2, "reflect")},
        "augment.reads.mode 'constant' there, 'reflect' here",
    ),
    ({"augment": Crop(1)}, {"augment": Crop(2)}, "augment.padding 1 there, 2 here"),
    ({"augment": Crop(1).__call__}, {"augment": Crop(2).__call__}, "augment.of.padding 1 there"),
    ({}, {"image_size": lambda p: 8}, "image_size None there"),
    ({"image_size": lambda p: 8}, {"image_size": lambda p: 6}, "image_size.code"),
    ({}, {"loss": F.multi_margin_loss}, "loss.name None there, 'multi_margin_loss' here"),
    ({"loss": nn.CrossEntropyLoss()}, {"loss": nn.MultiMarginLoss()}, "loss.type"),
    (
        {"loss": nn.CrossEntropyLoss(WEIGHTS)},
        {"loss": nn.CrossEntropyLoss(WEIGHTS.flip(0))},
        "loss._buffers.weight",
    ),
    (
        {"loss": functools.partial(F.cross_entropy, label_smoothing=0.1)},
        {"loss": functools.partial(F.cross_entropy, label_smoothing=0.2)},
        "loss.keywords.label_smoothing 0.1 there, 0.2 here",
    ),
    ({}, {"channels_last": True}, "channels_last False there, True here"),
    ({}, {"lookahead": train.Lookahead()}, "lookahead None there, 'Lookahead' here"),
    (
        {"lookahead": train.Lookahead()},
        {"lookahead": train.Lookahead(every=6)},
        "lookahead.every 5 there, 6 here",
    ),
    ({}, {"norm_bias_rate": 64}, "norm_bias_rate 1.0 there, 64 here"),
    ({}, {"train_until": {"1.bias": 0.5}}, "train_until None there"),
    ({}, {"flip": augment.AlternatingFlip(32)}, "flip None there, 'AlternatingFlip' here"),
    (
        {"flip": augment.AlternatingFlip(32)},
        {"flip": augment.AlternatingFlip(32, seed=1)},
        "flip.first",
    ),
    ({}, {"evaluate": False}, "evaluate True there, False here"),
    ({}, {"split": data.synthetic(32, 16, 8, noise=9)}, "train_images"),
    ({}, {"split": data.synthetic(32, 16, 8, seed=1)}, "source"),
    ({}, {"split": replace(SPLIT, test_labels=SPLIT.test_labels.flip(0))}, "test_labels"),
]  # fmt: skip


@pytest.mark.parametrize("first, second, difference", RUNS, ids=[run[2] for run in RUNS])
def test_a_run_is_resumed_by_an_equal_one_and_refused_by_another(
    tmp_path, first, second, difference
):
    path = tmp_path / "c.pt"
    _, history = run(path, **first)
    _, again = run(path, after_step=lambda *_: pytest.fail("trained again"), **first)
    assert again == history
    model = make_model()
    with pytest.raises(ValueError, match="c.pt is of another run: ") as caught:
        run(path, model, **second)
    assert difference in str(caught.value)
    assert torch.equal(model[1].weight, make_model()[1].weight)


def test_a_global_that_a_schedule_reads_decides_the_run(tmp_path, monkeypatch):
    run(tmp_path / "c.pt", schedule=falls_by_a_global)
    run(tmp_path / "c.pt", schedule=falls_by_a_global)
    monkeypatch.setitem(globals(), "SLOPE", 0.75)
    with pytest.raises(ValueError, match=r"schedule.reads.SLOPE 0.5 there, 0.75 here"):
        run(tmp_path / "c.pt", schedule=falls_by_a_global)


@pytest.mark.parametrize(
    "change, difference",
    [
        (lambda m: m.append(nn.Dropout(0.2)), "model.2 None there, 'Dropout(p=0.2"),
        (lambda m: m[1].bias.requires_grad_(False), "model.frozen parameters [] there, ['1.bias']"),
        (lambda m: m.insert(1, nn.ReLU()), "model.1 'Linear("),
        (lambda m: m.double(), "model.1.weight 'torch.float32 (10, 192)' there"),
    ],
)
def test_a_model_of_other_modules_with_equal_weights_is_refused(tmp_path, change, difference):
    run(tmp_path / "c.pt")
    model = make_model()
    change(model)
    split = SPLIT
    with pytest.raises(ValueError, match="another model|does not fit") as caught:
        run(tmp_path / "c.pt", model, split)
    assert difference in str(caught.value)


def test_numbers_of_numpy_are_numbers(tmp_path):
    options = {"lr": np.float64(0.01), "schedule": lambda p: np.interp(p, [0, 1], [1, 0])}
    _, history = run(tmp_path / "c.pt", epochs=np.int64(2), **options)
    assert run(tmp_path / "c.pt", **options)[1] == history
    run(tmp_path / "d.pt", lr=np.float64(0.01))
    run(tmp_path / "d.pt", lr=0.01)


def test_equal_descriptions_in_every_process():
    code = (
        "from resnorm import augment, train; from resnorm.train.description import describe; "
        "print(describe([train.one_cycle(), augment.crop_and_flip(), "
        "lambda p: p in {'a', 'b', 'c', 'd'}, {'x', 'y', 'z'}, object()]))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONPATH": str(Path(train.__file__).parents[2]), "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1 and " at 0x" not in said.pop()


def test_what_contains_itself_can_be_described():
    values = [1]
    values.append(values)

    def recursive(n):
        return n if n < 1 else recursive(n - 1)

    assert describe(values) == [1, "list"]
    assert describe(recursive)["reads"] == {"recursive": "function"}
    assert describe(nn.Linear(2, 3))["_parameters"]["weight"] == "torch.float32 (3, 2)"
    assert architecture(make_model())["1"] == "Linear(in_features=192, out_features=10, bias=True)"


# --- files that are no checkpoints ---------------------------------------------------------------


def cut(path):
    path.write_bytes(path.read_bytes()[:-200])


def empty(path):
    path.write_bytes(b"")


def text(path):
    path.write_text("a note")


def cut_in_the_middle(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def make_a_folder(path):
    path.unlink()
    path.mkdir()


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    weights = torch.load(path)["model"]["1.weight"].numpy().tobytes()
    content[content.index(weights) + 100] ^= 1
    path.write_bytes(content)


def weights_only(path):
    torch.save(make_model().state_dict(), path)


def tensor(path):
    torch.save(torch.zeros(3), path)


def change(*keys, value=None, remove=False):
    """A function that changes or removes one entry of the file."""

    def edit(path):
        inner = state = torch.load(path)
        for key in keys[:-1]:
            inner = inner[key]
        if remove:
            del inner[keys[-1]]
        else:
            inner[keys[-1]] = value
        torch.save(state, path)

    return edit


DAMAGES = [
    (cut, r"cannot be read \(BadZipFile\)"),
    (empty, "cannot be read"),
    (cut_in_the_middle, "cannot be read"),
    (make_a_folder, "cannot be read"),
    (text, "cannot be read"),
    (flip_a_bit, "cannot be read"),
    (weights_only, "is no checkpoint of fit"),
    (tensor, "is no checkpoint of fit"),
    (change("optimizer", remove=True), "is no checkpoint of fit"),
    (change("run", "schedule", remove=True), r"another version.*\(schedule\)"),
    (change("run", "dampening", value=0), r"another version.*\(dampening\)"),
    (change("run", "device", value="cuda"), "device 'cuda' there, 'cpu' here"),
    (change("order", value=torch.zeros(16, dtype=torch.uint8)), r"order .*\(16,\)"),
    (change("generator", value=[torch.zeros(16, dtype=torch.uint8)]), "generator"),
    (change("model", "1.bias", value=torch.zeros(9)), r"model.1.bias .*\(9,\)"),
    (change("model", "1.bias", remove=True), "model.1.bias None there"),
    (
        change("optimizer", "state", 0, "momentum_buffer", value=torch.zeros(3)),
        "the momentum is not of these parameters",
    ),
    (change("optimizer", "param_groups", 0, "params", value=[0]), "the momentum"),
    (change("optimizer", "state", remove=True), "optimizer.state"),
    (change("history", "losses", remove=True), "history.losses"),
    (change("history", value=[]), "history"),
    (change("epoch", value="two"), "epoch 'str' there, 'number' here"),
]  # fmt: skip


@pytest.mark.parametrize("damage, message", DAMAGES)
def test_a_damaged_file_is_refused_and_nothing_is_applied(tmp_path, damage, message):
    path = tmp_path / "c.pt"
    run(path)
    damage(path)
    model = make_model()
    before, random_state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    with pytest.raises(ValueError, match=message) as caught:
        train.fit(model, SPLIT, epochs=2, batch_size=16, lr=0.01, checkpoint=path)
    assert str(caught.value).startswith("the checkpoint c.pt ")
    assert str(caught.value).endswith("Choose another file, or delete it")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)


def test_a_file_of_the_first_edition_is_refused_with_what_it_lacks(tmp_path):
    path = tmp_path / "c.pt"
    run(path)
    state = torch.load(path)
    names = ["epochs", "batch_size", "lr", "momentum", "nesterov", "weight_decay", "decay_all"]
    state["run"] = {name: state["run"][name] for name in names} | {"images": 32}
    torch.save(state, path)
    with pytest.raises(ValueError, match=r"another version.* \(augment, .*images, .*schedule.*\)"):
        run(path)


def test_a_failed_write_says_why_where_nothing_can_be_removed_either(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(torch, "save", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(OSError, match="Read-only") as caught:
        run(tmp_path / "c.pt")
    assert caught.value.__context__ is None


# --- compiled runs, and layers that draw ---------------------------------------------------------


class InterruptedRunError(Exception):
    pass


def interrupt(step, _):
    if step == 3:
        raise InterruptedRunError


def resumes_equally(path, make, **options):
    def state():
        torch.manual_seed(5)
        return make()

    whole, history = run(None, state(), **options)
    with pytest.raises(InterruptedRunError):
        run(path, state(), after_step=interrupt, **options)
    torch.manual_seed(99)
    resumed, again = run(path, make(), **options)
    assert again == history
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value)


def with_dropout():
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(3 * 64, 10))


def with_noise():
    noisy = norms.NoisyBatchNorm2d(3, generator=torch.Generator().manual_seed(1))
    return nn.Sequential(noisy, nn.Flatten(), nn.Linear(3 * 64, 10))


class Drawn(nn.Module):
    """Adds noise; two such layers may share their generator."""

    def __init__(self, generator):
        super().__init__()
        self.generator = generator

    def forward(self, x):
        return x + torch.rand(x.shape, generator=self.generator)


def with_a_shared_generator():
    generator = torch.Generator().manual_seed(3)
    return nn.Sequential(nn.Flatten(), Drawn(generator), Drawn(generator), nn.Linear(3 * 64, 10))


@pytest.fixture
def compiled(monkeypatch):
    """Compile to Python, which takes no seconds, and count the graphs."""
    original, graphs = torch.compile, []

    def count(graph, _):
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    monkeypatch.setattr(
        torch, "compile", lambda model, **options: original(model, backend=count, **options)
    )
    yield graphs
    torch._dynamo.reset()


@pytest.mark.parametrize("make", [with_dropout, with_noise, with_a_shared_generator])
def test_layers_that_draw_resume_equally(tmp_path, make):
    resumes_equally(tmp_path / "c.pt", make)


def test_a_run_in_float16_resumes_with_its_loss_scale(tmp_path):
    resumes_equally(tmp_path / "c.pt", with_dropout, precision="float16")
    kept = torch.load(tmp_path / "c.pt", weights_only=True)["scaler"]
    # It has fallen in this run, so one that began with the first scale again would differ.
    assert kept["scale"] < torch.amp.GradScaler("cpu").get_scale()


def test_a_step_whose_gradients_overflow_is_left_out(tmp_path):
    """The scale halves, and the weights stay: what GradScaler is for."""
    model = with_dropout()
    before = model[2].weight.detach().clone()
    scale = torch.amp.GradScaler("cpu").get_scale()
    run(
        tmp_path / "c.pt",
        model,
        precision="float16",
        loss=lambda logits, labels: F.cross_entropy(logits, labels) * 6e4,
    )
    kept = torch.load(tmp_path / "c.pt", weights_only=True)["scaler"]
    assert kept["scale"] == scale / 2**4 and torch.equal(model[2].weight, before)


@pytest.mark.parametrize("make", [with_dropout, with_noise, with_a_shared_generator])
def test_a_compiled_run_draws_what_a_run_that_is_not_compiled_draws(tmp_path, make, compiled):
    resumes_equally(tmp_path / "c.pt", make, compile=True)
    assert compiled
    torch.manual_seed(5)
    _, plain = run(None, make())
    torch.manual_seed(5)
    _, history = run(None, make(), compile=True)
    assert history == plain


def convolutional():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 10),
    )


def in_halves(images, labels, generator):
    return images.double().float() / 2, F.one_hot(labels, 10).float()


def draws_globally(images, labels, generator):
    return images + torch.rand(()), labels


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"channels_last": True},
        {"image_size": lambda p: 8 if p > 0.5 else 6},
        {"image_size": lambda p: [10, 6, 8, 8][int(4 * p)], "channels_last": True},
        {"augment": in_halves},
        {"augment": draws_globally, "channels_last": True},
        {"precision": "bfloat16"},
    ],
)
def test_everything_is_compiled_before_the_clock_starts(monkeypatch, compiled, options):
    counts = []

    def note(*_):
        counts.append(len(compiled))

    from resnorm.train import loop

    original = loop.progress_bar

    def begin(*arguments, **keywords):
        note()
        return original(*arguments, **keywords)

    monkeypatch.setattr(loop, "progress_bar", begin)
    torch.manual_seed(4)
    _, history = run(None, convolutional(), compile=True, after_step=note, **options)
    assert counts[0] > 0 and len(counts) == 5 and set(counts) == {len(compiled)}
    torch.manual_seed(4)
    _, plain = run(None, convolutional(), **options)
    assert history.losses == pytest.approx(plain.losses, rel=1e-3)


def test_first_moments_are_those_of_the_steps_that_are_left():
    from resnorm.train.compilation import first_moments

    sizes = {0: 6, 1: 6, 2: 8, 3: 8, 4: 6, 5: 10}
    assert first_moments(lambda p: sizes[round(6 * p)], 0, 6) == [0, 2 / 6, 5 / 6]
    assert first_moments(lambda p: sizes[round(6 * p)], 3, 6) == [3 / 6, 4 / 6, 5 / 6]
    assert first_moments(None, 2, 6) == [2 / 6] and first_moments(None, 6, 6) == []


def test_without_tqdm_there_is_a_warning_and_a_training(monkeypatch, capsys):
    for name in ("tqdm", "tqdm.auto"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.warns(UserWarning, match="no progress bar.*pip install tqdm"):
        _, history = run(None, progress=True)
    assert len(history.losses) == 4 and not capsys.readouterr().err


def test_code_is_for_one_batch_size_whatever_ran_before(compiled):
    run(None, convolutional(), compile=True)
    run(None, convolutional(), compile=True, batch_size=8)
    run(None, convolutional(), compile=True)  # has code already
    assert len(compiled) == 2
    for graph, size in zip(compiled, (16, 8)):
        shapes = [
            node.meta["example_value"].shape
            for node in graph.graph.nodes
            if node.op == "placeholder"
        ]
        assert (size, 3, 8, 8) in shapes
