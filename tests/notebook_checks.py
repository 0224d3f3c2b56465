"""What a chapter's notebook must hold: each check yields a sentence for every fault it finds.

``tests/unit/test_sources.py`` runs the checks and shows that each finds a bad example.
"""

import ast
import re
import symtable
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager

import notebooks as tool

ROOT = Path(__file__).resolve().parents[1]
BOOTSTRAP = (ROOT / "tools" / "bootstrap_cell.py.txt").read_text("utf-8").rstrip("\n")
#: Lines of a code cell, so that it fits on a screen.
MAX_LINES = 30
#: Lines of a folded cell: plotting and solutions.
MAX_FOLDED_LINES = 45
#: Characters of a line of code, so that it fits its box on the page.
MAX_COLUMNS = 88
#: Cells whose output may differ. The last digits of a training depend on the machine, so these
#: cells assert what they show.
MAX_IGNORED = 20
FOLDED = {"hide-input", "solution"}
IGNORED = "nbval-ignore-output"
#: Of a cell whose picture shows rounding errors or a long training: compared by its overall look.
VARIES = "picture-varies"
#: Parts of every chapter, in the words that the reader meets.
PARTS = [
    "After this chapter you can",
    "**Time",
    "## What practitioners do",
    "## Summary",
    "## Exercises",
    "## Further reading",
    "## Solutions",
]


def source(cell):
    return "".join(cell["source"])


def tags(cell):
    return cell["metadata"].get("tags", [])


def code(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def prose(notebook):
    return "\n\n".join(
        source(cell) for cell in notebook["cells"] if cell["cell_type"] == "markdown"
    )


def first_line(cell):
    lines = source(cell).strip().splitlines()
    return f"{lines[0][:60]!r}" if lines else "an empty cell"


def code_cells(notebook):
    """Each code cell after the words that name it in a message."""
    for number, cell in enumerate(code(notebook), 1):
        yield f"code cell {number} ({first_line(cell)})", cell


def outputs(notebook):
    """(name of the cell, cell, output) of every output."""
    return [
        (name, cell, output) for name, cell in code_cells(notebook) for output in cell["outputs"]
    ]


# --- the notebook and its outputs -----------------------------------------------------------------


def first_cell_is_the_setup(notebook):
    if source(code(notebook)[0]) != BOOTSTRAP:
        yield "the first code cell differs from tools/bootstrap_cell.py.txt: copy the file into it"


def kernel_is_python3(notebook):
    if notebook["metadata"].get("kernelspec", {}).get("name") != "python3":
        yield "its kernelspec is not python3: run make notebooks"


def metadata_is_the_same_on_every_machine(notebook):
    if notebook["metadata"] != tool.METADATA:
        yield (
            f"its metadata is {notebook['metadata']}, but must be {tool.METADATA}: "
            "run make notebooks"
        )


def cells_ran_in_order(notebook):
    cells = [(name, cell) for name, cell in code_cells(notebook) if source(cell).strip()]
    for number, (name, cell) in enumerate(cells, 1):
        if (count := cell["execution_count"]) != number:
            yield f"{name} ran as number {count}, not as number {number}: run make notebooks"
            return


def outputs_are_stored(notebook):
    if not any(cell["outputs"] for cell in code(notebook)):
        yield "no cell has an output: run make notebooks"


def no_cell_failed(notebook):
    for name, _, output in outputs(notebook):
        if output["output_type"] == "error":
            yield f"{name} stores a {output['ename']}: fix the cell, then run make notebooks"


def nothing_went_to_stderr(notebook):
    for name, _, output in outputs(notebook):
        if output.get("name") == "stderr":
            yield f"{name} stores a warning or a progress bar: remove its cause"


def cells_have_ids_of_their_own(notebook):
    ids = [cell.get("id") for cell in notebook["cells"]]
    if None in ids or len(set(ids)) < len(ids):
        yield "a cell has no id, or the id of another cell: run make notebooks"


def pictures_have_alternative_text(notebook):
    for name, _, output in outputs(notebook):
        for kind in output.get("data", {}):
            alt = output.get("metadata", {}).get(kind, {}).get("alt", "")
            if kind.startswith("image/") and len(alt.split()) < 4:
                yield (
                    f"the picture of {name} has no alternative text: "
                    "end the cell with figures.show(fig, alt='what the figure shows')"
                )


def widgets_go_through_explore(notebook):
    for name, cell in code_cells(notebook):
        if re.search(r"\bipywidgets\b|\binteract(?:ive)?\(", source(cell)):
            yield f"{name} uses ipywidgets, which no built page can show: use resnorm.explore"
    for name, _, output in outputs(notebook):
        if any("widget-view" in kind for kind in output.get("data", {})):
            yield f"{name} stores a widget, which no built page can show: run make notebooks"


CALLABLE = (ast.FunctionDef, ast.ClassDef, ast.Lambda)
#: What has names of its own.
SCOPES = (*CALLABLE, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def names_bound(node):
    """The names that a piece of code binds in its own scope."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
            yield child.name
        elif isinstance(child, ast.alias):
            yield (child.asname or child.name).split(".")[0]
        elif isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            yield child.id
        if not isinstance(child, SCOPES):
            yield from names_bound(child)


def names_read(function):
    """The names that a function takes from outside whenever it is called."""

    def inside(table):
        found = {s.get_name() for s in table.get_symbols() if s.is_global() and s.is_referenced()}
        return found.union(*map(inside, table.get_children()))

    # Decorators, defaults and annotations are read once, and belong to the module here.
    module = symtable.symtable(ast.unparse(function), "a cell", "exec")
    return set().union(*map(inside, module.get_children()))


def callables(statement, known):
    """The functions that a statement defines, or that the value that it assigns holds."""
    if isinstance(statement, CALLABLE):
        return [statement]
    if not isinstance(statement, (ast.Assign, ast.AnnAssign, ast.Expr)):
        return []
    nodes = list(ast.walk(statement.value or statement))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    held = [node for node in nodes if isinstance(node, ast.Lambda)]
    return held + [each for name in names for each in known.get(name, [])]


def figures_keep_what_they_read(notebook):
    """In a running notebook a figure is drawn anew, and then it reads what names mean by now.

    A change in place (``rows.append``, ``arms["mine"] = ...``) goes unseen.
    """
    known, figures = {}, []  # name -> the functions that it names or holds
    for name, cell in code_cells(notebook):
        for statement in ast.parse(TransformerManager().transform_cell(source(cell))).body:
            bound = set(names_bound(ast.Module([statement], [])))
            for figure, read in figures:
                if lost := sorted(read & bound):
                    yield (
                        f"{name} binds {', '.join(lost)} again, which the figure of {figure} reads "
                        "whenever a control moves: use another name"
                    )
            for call in (node for node in ast.walk(statement) if isinstance(node, ast.Call)):
                if ast.unparse(call.func) == "explore":
                    read, waiting = set(), callables(ast.Expr(call), known)
                    while waiting:
                        new = names_read(waiting.pop()) - read
                        read |= new
                        waiting += [each for one in new for each in known.get(one, [])]
                    figures.append((name, read))
            known |= dict.fromkeys(bound, callables(statement, known))


def outputs_are_what_strict_nbval_compares(notebook):
    for name, cell in code_cells(notebook):
        if found := re.search(r"\bclear_output\b|\bdisplay_id\b|\bupdate_display\b", source(cell)):
            yield f"{name} uses {found[0]}, which nbval ignores: display the result once"
    for name, _, output in outputs(notebook):
        for kind in output.get("data", {}):
            if kind.startswith("image/") and kind != "image/png":
                yield f"{name} stores {kind}, which nobody compares: use figures.show"


def outputs_are_the_same_on_every_machine(notebook):
    address, path = r"0x[0-9a-f]{6,}", r"/(?:tmp|root|home|Users|usr)/\S+"
    timing = r"\b\d+(?:\.\d+)? ?(?:µs|ms) (?:per|±)"
    for name, cell, output in outputs(notebook):
        parts = [output.get("text", "")]
        parts += [text for kind, text in output.get("data", {}).items() if kind.startswith("text/")]
        found = re.search(f"{address}|{path}|{timing}", "".join("".join(part) for part in parts))
        if found and (IGNORED not in tags(cell) or "/" in found[0]):
            yield (
                f"{name} prints {found[0]!r}, which differs on another machine: "
                "round it, or leave it out"
            )


# --- its cells ------------------------------------------------------------------------------------


def code_cells_fit_on_a_screen(notebook):
    for name, cell in code_cells(notebook):
        limit = MAX_FOLDED_LINES if FOLDED & set(tags(cell)) else MAX_LINES
        if (lines := len(source(cell).splitlines())) > limit:
            yield (
                f"{name} has {lines} lines; at most {limit} fit on a screen: "
                "split the cell, or move plotting into resnorm.figures"
            )


def code_lines_fit_the_page(notebook):
    for name, cell in code_cells(notebook):
        for line in source(cell).splitlines():
            if len(line) > MAX_COLUMNS:
                yield (
                    f"{name} has a line of {len(line)} characters ({line.strip()[:40]!r} …); at "
                    f"most {MAX_COLUMNS} fit the page: format the notebook with ruff, break what "
                    "is left by hand, then run make notebooks"
                )


def tags_are_known(notebook):
    known = {*FOLDED, IGNORED, VARIES}
    for cell in notebook["cells"]:
        if unknown := set(tags(cell)) - known:
            yield (
                f"the cell {first_line(cell)} has the tags {sorted(unknown)}: use "
                f"{sorted(known)} only, because other tags hide a cell from the reader"
            )


def few_outputs_are_ignored(notebook):
    ignored = [name for name, cell in code_cells(notebook) if IGNORED in tags(cell)]
    if len(ignored) > MAX_IGNORED:
        yield (
            f"{len(ignored)} cells have the tag {IGNORED}, but at most {MAX_IGNORED} may: "
            f"print what is the same on every machine ({'; '.join(ignored)})"
        )


def exercises(text):
    """(title, label, body) of each exercise directive."""
    fences = r"^(?P<fence>:{3,}|`{3,})\{exercise\} ?(?P<title>.*?)\n(?P<body>.*?)^(?P=fence)\s*$"
    for found in re.finditer(fences, text, re.MULTILINE | re.DOTALL):
        label = re.search(r"^:label: *(\S+)", found["body"], re.MULTILINE)
        yield found["title"], label and label[1], found["body"]


def exercises_have_stars_label_and_hint(notebook):
    for title, label, body in exercises(prose(notebook)):
        if not re.match(r"★{1,3} \w|★{1,3} \$", title):
            yield f"the exercise {title!r} does not begin with one to three stars and a name"
        if not label:
            yield f"the exercise {title!r} has no :label:"
        if not re.search(r"\{dropdown\} *Hint", body):
            yield f"the exercise {title!r} has no hint: add :::{{dropdown}} Hint"


def exercises_have_solutions(notebook):
    text = prose(notebook)
    labels = [label for _, label, _ in exercises(text) if label]
    solved = re.findall(r"\{solution(?:-start)?\} *(\S+)", text)
    if wrong := set(labels) ^ set(solved):
        yield f"exercises without a solution, or solutions without an exercise: {sorted(wrong)}"
    if len(solved) != len(set(solved)):
        yield "an exercise has two solutions"
    starts, ends = (len(re.findall(rf"\{{solution-{word}\}}", text)) for word in ("start", "end"))
    if starts != ends:
        yield f"{starts} solutions start and {ends} end"


def solutions_are_checked(notebook):
    inside, any_code, checked, label = False, False, True, ""
    for cell in notebook["cells"]:
        text = source(cell)
        if found := re.search(r"\{solution-start\} *(\S+)", text):
            inside, any_code, checked, label = True, False, False, found[1]
        if inside and cell["cell_type"] == "code":
            any_code = True
            checked = checked or bool(re.search(r"\bassert\b|checking\.|gradcheck", text))
            if "solution" not in tags(cell):
                yield f"a code cell of the solution {label} lacks the tag solution"
        if inside and "{solution-end}" in text:
            inside = False
            if any_code and not checked:
                yield f"the code of the solution {label} checks nothing: add an assert"


def shape_is_that_of_a_chapter(notebook):
    if not re.match(r"\(ch-[\w-]+\)=\n# \d\.\d ", source(notebook["cells"][0])):
        yield "the first cell must begin with (ch-name)= and a title such as '# 2.1 Title'"
    text = prose(notebook)
    for part in PARTS:
        if part not in text:
            yield f"it lacks {part!r}, which every chapter has"
    if not re.search(r"\bpredict", text, re.IGNORECASE):
        yield "it never asks the reader to predict"


#: Relations inside indices and text do not make an equation wide.
RELATION = re.compile(
    r"[=<>]|\\(?:leq?|geq?|approx|sim|equiv|to|ll|gg|propto|neq?|Rightarrow|iff)\b"
)


def equations_have_at_most_two_relations_per_line(notebook):
    for equation in re.findall(r"\$\$(.*?)\$\$", prose(notebook), re.DOTALL):
        for line in re.sub(r"(?:[_^]|\\text)\{[^{}]*\}|&", "", equation).split(r"\\"):
            if len(RELATION.findall(line)) > 2:
                yield f"split this line of an equation, it is too wide for a phone: {line.strip()}"


CHECKS = [
    first_cell_is_the_setup,
    kernel_is_python3,
    metadata_is_the_same_on_every_machine,
    cells_ran_in_order,
    outputs_are_stored,
    no_cell_failed,
    nothing_went_to_stderr,
    cells_have_ids_of_their_own,
    pictures_have_alternative_text,
    widgets_go_through_explore,
    figures_keep_what_they_read,
    outputs_are_what_strict_nbval_compares,
    outputs_are_the_same_on_every_machine,
    code_cells_fit_on_a_screen,
    code_lines_fit_the_page,
    tags_are_known,
    few_outputs_are_ignored,
    exercises_have_stars_label_and_hint,
    exercises_have_solutions,
    solutions_are_checked,
    shape_is_that_of_a_chapter,
    equations_have_at_most_two_relations_per_line,
]
