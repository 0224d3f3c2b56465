"""Write book/results.md, the ledger of recorded runs, from the records themselves.

python tools/results.py          write the page
python tools/results.py check    exit with 1 if the page is not what the records say
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from usage import command_line

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "book" / "results.md"
sys.path.insert(0, str(ROOT / "utils"))

from resnorm import ledger  # noqa: E402
from resnorm.experiments.command_line import GENERATED, cifar  # noqa: E402

HEAD = """\
% Written by tools/results.py from utils/resnorm/results/*.json. Edit neither: run make results.

(recorded-runs)=
# Recorded runs

What takes longer than a page allows was run once, and recorded: command, data, seeds, hardware, \
versions, commit. Nothing on this page is typed by hand; it is generated from the records, and a \
test compares the two. A record travels with the package, `resnorm.ledger.recorded(NAME)`, so the \
chapters that quote it compute their numbers from it. Numbers are mean ± standard deviation over \
seeds; one seed has no spread. Minutes are wall time, at times beside other work. Published \
figures stand beside ours and are never ours.
"""

#: Of what is not an experiment on CIFAR-10.
QUESTIONS = {
    "segmentation": "What are a U-Net's skip connections worth on electron-microscopy slices, "
    "and what are border weights?",
    "on-a-gpu": "On a GPU, does a run that was killed and resumed end with the same bits, and how "
    "often does the processor wait in two epochs of ten steps?",
    **{name: experiment.QUESTION for name, experiment in GENERATED.items()},
}
#: Where a record is read: chapter and its label. A ``-short`` twin is read where its experiment is.
CHAPTERS = {
    "segmentation": ("3.6", "ch-unet"),
    "branches-generated": ("3.1", "ch-residual"),
    "lesions-generated": ("3.2", "sec-ens-stochastic"),
    "border-generated": ("3.6", "ex-un-w0"),
    "cells-generated": ("3.6", "ch-unet"),
    "skips-generated": ("3.6", "ch-unet"),
    "votes-generated": ("3.6", "sec-un-vote"),
    "chains-generated": ("3.6", "sec-un-ablation"),
    "equal-cost-generated": ("3.4", "ch-wide"),
    "degradation-generated": ("1.2", "ch-degradation"),
    "generations": ("1.1", "sec-arch-one-loop"),
    "masks-generated": ("3.8", "ch-pixels-boxes"),
    "boxes-generated": ("3.8", "sec-px-ssd"),
    "blocks-generated": ("3.7", "sec-wca-bargain"),
    "fine-tuning-generated": ("4.1", "sec-tl-fine-tune"),
    "on-a-gpu": ("4.1", "sec-tl-resume"),
    "degradation": ("4.2", "ch-plain-residual"),
    "degradation-tuned": ("4.2", "ch-plain-residual"),
    "resnet-on-cifar": ("4.2", "ch-plain-residual"),
    "trained-out": ("4.2", "ch-plain-residual"),
    "trained-out-rates": ("4.2", "ch-plain-residual"),
    "lesion": ("4.2", "ch-plain-residual"),
    "batch-size": ("4.3", "ch-batch-size"),
    "statistics": ("4.3", "ch-batch-size"),
    "groups": ("4.3", "ch-batch-size"),
    "face-off": ("4.4", "ch-face-off"),
    "face-off-longer": ("4.4", "sec-fo-longer"),
    "face-off-equal-time": ("4.4", "sec-fo-equal-time"),
    "six-minutes": ("4.5", "ch-speed"),
    "time-to-94": ("4.5", "ch-speed"),
    "fast-recipe": ("4.5", "ch-speed"),
    "fast-recipe-rates": ("4.5", "ch-speed"),
    "fast-recipe-long": ("4.5", "ch-speed"),
    "noisy-batch-norm": ("2.4", "ch-why-bn"),
    "noise-tuned": ("2.4", "ch-why-bn"),
    "epoch-wise": ("2.5", "ch-toolbox"),
    "scaling": ("2.5", "ch-toolbox"),
    "space": ("3.7", "ch-what-came-after"),
}
#: A record of more arms than this is shown by some of them, evenly spaced by their first result.
MOST_ROWS = 40
#: Shown in a column of its own, or not at all.
APART = ("training seconds", "parameters", "steps")


def question(name: str) -> str:
    """The question of an experiment, with a link to the chapter that reads its record."""
    asked = cifar.EXPERIMENTS[name].question if name in cifar.EXPERIMENTS else QUESTIONS[name]
    chapter, label = CHAPTERS[name.removesuffix("-short")]
    return f"{asked} [Chapter {chapter}](#{label})"


def scalars(runs: list[dict[str, Any]]) -> list[str]:
    """The names of the numbers that all of these runs have, in the order of the first run."""
    return [
        key
        for key, value in runs[0]["results"].items()
        if isinstance(value, (int, float))
        and key not in APART
        # A record may have grown over versions that measure more.
        and all(key in run["results"] for run in runs)
    ]


def tables(record: ledger.Record) -> Iterator[str]:
    """One table; or several, if the arms of the record measure different things."""
    if scalars(record.runs):
        yield from table(record)
        return
    parts: dict[str, list[dict[str, Any]]] = {}
    for run in record.runs:
        parts.setdefault(", ".join(scalars([run])), []).append(run)
    for number, runs in enumerate(parts.values()):
        yield from [""] * (number > 0)
        yield from table(replace(record, runs=runs))


def table(record: ledger.Record) -> Iterator[str]:
    """The rows of a record: one per arm, with every scalar result."""
    keys = scalars(record.runs)
    published = cifar.EXPERIMENTS[record.name].published if record.name in cifar.EXPERIMENTS else {}
    summaries = {key: {line.arm: line for line in ledger.summary(record, key)} for key in keys}
    order = [arm for arm in record.configuration["arms"] if arm in summaries[keys[0]]]
    order += [arm for arm in summaries[keys[0]] if arm not in order]
    header = ["arm", "seeds"]
    header += [f"{key}, %" if key.endswith("error") else key for key in keys]
    header += ["minutes per run", *["published"] * bool(published)]
    yield "| " + " | ".join(header) + " |"
    yield "|" + " --- |" * (len(keys) + 3 + bool(published))
    if len(order) > MOST_ROWS:
        order = evenly_spaced(order, lambda arm: summaries[keys[0]][arm].mean)
    for arm in order:
        runs = [run for run in record.runs if run["arm"] == arm]
        minutes = (
            sum(run["results"].get("training seconds", run["seconds"]) for run in runs)
            / len(runs)
            / 60
        )
        values = [shown(summaries[key][arm], runs, key) for key in keys]
        row = [arm, str(len(runs)), *values, f"{minutes:.1f}"]
        yield "| " + " | ".join(row + [published.get(arm, "")] * bool(published)) + " |"


def shown(line: ledger.Line, runs: list[dict[str, Any]], key: str) -> str:
    """Mean and spread; a count that is the same in every run stays a whole number."""
    counts = {run["results"][key] for run in runs}
    if len(counts) == 1 and isinstance(count := counts.pop(), int):
        return str(count)
    return str(line)


def evenly_spaced(arms: list[str], value: Callable[[str], float]) -> list[str]:
    """From the best to the worst arm in equal steps of rank, at most half of ``MOST_ROWS``."""
    ranked = sorted(arms, key=value)
    last, rows = len(ranked) - 1, MOST_ROWS // 2
    return [ranked[round(i * last / (rows - 1))] for i in range(rows)]


def unique(values: Iterable[str]) -> str:
    """Each value once, in order."""
    return "; ".join(sorted(set(values)))


def section(path: Path) -> Iterator[str]:
    """The lines about the record in the file ``path``."""
    record = ledger.read(path)
    title = path.stem.replace(".validation", ", on the validation split")
    yield f"## {title}\n"
    yield f"{question(record.name)}\n"
    yield from tables(record)
    arms = {run["arm"] for run in record.runs}
    if len(arms) > MOST_ROWS:
        yield (
            f"\n{MOST_ROWS // 2} of {len(arms)} arms, from the best to the worst in equal steps of "
            "rank; the record holds all of them."
        )
    versions = unique(
        ", ".join(f"{name} {version}" for name, version in run["versions"].items())
        for run in record.runs
    )
    yield ""
    if all("steps" in run["results"] for run in record.runs):
        yield f"- Steps per run: {unique(str(run['results']['steps']) for run in record.runs)}"
    yield f"- Command: `{record.command}`"
    yield f"- Data: {record.data}"
    yield f"- Hardware: {unique(run['hardware'] for run in record.runs)}"
    yield f"- Versions: {versions}"
    commits = unique(run["commit"] for run in record.runs)
    yield f"- Commit: {commits}; record: `utils/resnorm/results/{path.name}`\n"


def page() -> str:
    """The whole page."""
    records = sorted(ledger.RESULTS.glob("*.json"))
    there = {path.stem for path in records}
    lines = [HEAD]
    for path in records:
        lines += section(path)
    missing = {
        name: e
        for name, e in cifar.EXPERIMENTS.items()
        if not {name, f"{name}.validation"} & there  # a search may stand for itself
    }
    if missing:
        lines += [
            "## Not recorded yet\n",
            "These run with the same command, and wait for the machine that they need. Their times "
            "on a GPU are estimates: no run of these experiments has been timed.\n",
            "| experiment | question | runs on |",
            "| --- | --- | --- |",
        ]
        lines += [f"| `{name}` | {question(name)} | {e.scale} |" for name, e in missing.items()]
    return "\n".join(lines).rstrip() + "\n"


def main(arguments: list[str]) -> None:
    """Write the page, or compare it with the records."""
    parser = command_line(__doc__)
    parser.add_argument("action", nargs="?", choices=("check",))
    options = parser.parse_args(arguments)
    text = page()
    if options.action == "check":
        if not PAGE.exists() or PAGE.read_text("utf-8") != text:
            sys.exit("book/results.md is not what the records say: run make results")
        return
    temporary = PAGE.with_suffix(".md.part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(PAGE)
    print(f"{PAGE.relative_to(ROOT)}: {text.count('## ')} sections")


if __name__ == "__main__":
    main(sys.argv[1:])
