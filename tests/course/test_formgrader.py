"""The pages that an instructor opens, in a real browser, with what hostile students handed in.

Every attack is tried twice: as it was written, which shows that the test would notice it, and as
the grader hands it on.
"""

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest
from hostile_markup import ALL, DO, EVIL, WORKS
from playwright.sync_api import Error as PlaywrightError
from test_sanitizing import ORDINARY, named, picture

from chromium import launched
from resnorm.course.markup import ELEMENTS, safe_markdown
from resnorm.course.sandbox import bubblewrap

ROOT = Path(__file__).resolve().parents[2]
v4 = nbformat.v4
HERE = "http://formgrader.example/"
IMAGE, SCRIPT = WORKS["image"], WORKS["script"]
ANSWER = ".text_cell_render"
#: Does to every element what a marker could do to it without meaning any harm.
USE = """() => document.querySelectorAll(
    ".text_cell_render *, .jp-MarkdownOutput *").forEach(element => {
    for (const kind of ["mouseover", "focus", "toggle", "click"])
        element.dispatchEvent(new MouseEvent(kind, {bubbles: true, cancelable: true}));
})"""
#: Gives full marks, starts a kernel outside of any sandbox, and says that it is done.
TAKE_OVER = """
const headers = {"X-XSRFToken": document.cookie.match(/_xsrf=([^;]*)/)[1],
                 "Content-Type": "application/json"};
const send = (method, address, body) =>
    fetch(address, {method, headers, body: JSON.stringify(body)});
fetch("/formgrader/api/grades?submission_id=" + submission_id)
    .then(answer => answer.json())
    .then(grades => Promise.all(grades.map(grade =>
        send("PUT", "/formgrader/api/grade/" + grade.id, {manual_score: 3}))))
    .then(() => send("POST", "/api/kernels", {name: "python3"}))
    .then(() => { top.pwned = 1; });
"""


class Browsing:
    """A browser's profile, and what its pages did that no page should."""

    def __init__(self, context):
        self.context, self.deeds, self.content = context, [], ""
        context.route("**/*", self._route)
        context.on("page", lambda page: page.on("dialog", self._dialog))

    def _route(self, route):
        address = route.request.url
        if address.startswith(("http://127.0.0.1:", "file:")):
            route.continue_()
            return
        if address == HERE:
            route.fulfill(body=self.content, content_type="text/html; charset=utf-8")
            return
        if EVIL.removeprefix("https:") in address:
            self.deeds.append(f"asked for {address}")
        route.abort()

    def show(self, content):
        """Open this page as if a server had sent it."""
        self.content, page = content, self.context.new_page()
        with contextlib.suppress(PlaywrightError):  # some leave the page before it is complete
            page.goto(HERE)
        return page

    def _dialog(self, dialog):
        self.deeds.append(f"said {dialog.message}")
        dialog.dismiss()

    def did(self, page, seconds):
        """What the page did within this time; a page that was left has done something."""
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(PlaywrightError):
                page.wait_for_timeout(50)
                page.evaluate(USE)
                page.wait_for_timeout(50)
                if page.evaluate("window.pwned"):
                    self.deeds.append("ran a script")
            if self.deeds or time.monotonic() > end:
                return self.deeds


@pytest.fixture(scope="module")
def browser(missing):
    with launched(missing) as browser:
        yield browser


@pytest.fixture
def browsing(browser):
    context = browser.new_context()
    yield Browsing(context)
    context.close()


@pytest.fixture(scope="module")
def exporter():
    """The one that Formgrader uses."""
    from nbconvert.exporters import HTMLExporter
    from nbgrader.server_extensions.formgrader import handlers

    return HTMLExporter(template_name="formgrade", extra_template_basedirs=[handlers.template_path])


def as_formgrader(exporter, markdown):
    """Formgrader's page of a notebook with one written answer."""
    cell = named(v4.new_markdown_cell(markdown), "written", grade=True, solution=True, points=3)
    about = dict.fromkeys(("notebook_id", "submission_id", "assignment_id", "base_url"), "a")
    notebook = nbformat.from_dict(v4.new_notebook(cells=[cell]))
    return exporter.from_notebook_node(notebook, {"index": 0, "total": 1, **about})[0]


@pytest.fixture(scope="module")
def around(browser, exporter):
    """Number of elements of the page, without those of the answer."""
    page = browser.new_page()
    page.set_content(as_formgrader(exporter, ""))
    return page.locator("body *").count()


@pytest.mark.parametrize("name", WORKS)
def test_the_attack_works_on_formgrader_as_it_is(name, browsing, exporter):
    page = browsing.show(as_formgrader(exporter, WORKS[name]))
    assert browsing.did(page, seconds=10)


@pytest.mark.parametrize("name", ALL)
def test_no_attack_works_on_what_the_grader_hands_on(name, browsing, exporter, around):
    page = browsing.show(as_formgrader(exporter, safe_markdown(ALL[name])))
    assert browsing.did(page, seconds=0.1) == []
    used = page.eval_on_selector_all(f"{ANSWER} *", "all => all.map(e => e.localName)")
    assert set(used) <= ELEMENTS
    assert page.locator("body *").count() - len(used) == around, (
        "the answer reached out of its cell"
    )


def assignment(folder):
    """An assignment of one written answer, and of code that is not graded."""
    folder.mkdir(parents=True)
    answer = {"solution": True, "locked": False, "task": False}
    cells = [
        v4.new_markdown_cell("# Task\n\nAbout $x_1<y$, by *hand*."),
        named(v4.new_code_cell("x = 1"), "code", grade=False, cell_type="code", **answer),
        named(v4.new_markdown_cell("So."), "written", grade=True, points=3, **answer),
    ]
    cells[2].metadata["nbgrader"]["cell_type"] = "markdown"
    cells[2].source = "### BEGIN SOLUTION\nSo.\n### END SOLUTION"
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(v4.new_notebook(cells=cells, metadata=metadata), folder / f"{folder.name}.ipynb")


BUNDLES = [
    {"text/html": SCRIPT},
    {"application/javascript": DO},
    {"image/svg+xml": WORKS["svg"]},
    {"text/markdown": WORKS["link"]},
    {"text/vnd.mermaid": IMAGE},
    {"text/latex": ALL["link in a formula"]},
    {"application/vnd.jupyter.widget-view+json": {"model_id": f"</script>{SCRIPT}"}},
    {"image/png": f'{picture()}" onload="{DO}'},
    {"image/jpeg": f'{picture("JPEG")}" onload="{DO}'},
]
OUTPUTS = f"""
from IPython.display import display
print({IMAGE!r}, "\\x1b[31mred\\x1b[0m")
for bundle in {BUNDLES!r}:
    display(bundle | {{"text/plain": "bundle"}}, raw=True)
    display(bundle, metadata={{kind: {{"alt": '" onload="{DO}'}} for kind in bundle}}, raw=True)
print("complete")
raise ValueError({SCRIPT!r})
"""
SHOW = f"""
from IPython.display import display
print("<printed>")
display({{"image/png": {picture()!r}}}, raw=True)
"""


def submissions(release):
    """Student -> name in the class list, notebook, other files."""

    def answered(markdown, code="x = 1", own=()):
        notebook = nbformat.from_dict(json.loads(json.dumps(release)))
        for cell in notebook.cells:
            name = cell.metadata.get("nbgrader", {}).get("grade_id")
            if name == "written":
                cell.source = markdown
            elif name == "code":
                cell.source = code
        notebook.cells += own
        return notebook

    own = [v4.new_markdown_cell(attack) for attack in WORKS.values()]
    own += [v4.new_raw_cell(attack) for attack in WORKS.values()]
    inside = f"data:image/png;base64,{picture(size=(40, 30))}"
    path = '<img src="/formgrader?path=submitted/s5/A">'
    config = "import pathlib\npathlib.Path(__file__).with_name('executed').touch()\n"
    return {
        "s1": (
            "Ada Lovelace",
            answered(f"{ORDINARY}\n\n![it]({inside})", SHOW),
            {},
        ),
        "s2": ("Ben B", answered("\n\n".join(WORKS.values()), own=own), {}),
        "s3": (f"{IMAGE} {IMAGE}", answered("All <b>good</b>.", OUTPUTS), {}),
        "s4": ("Cy C", answered(f"<script>{TAKE_OVER}</script>"), {}),
        "s5": ("Di D", answered(path), {"nbgrader_config.py": config}),
        "s6": ("Ed E", answered("![lost](attachment:lost.png)"), {}),
    }


@pytest.fixture(scope="module")
def course(tmp_path_factory, missing):
    if reason := bubblewrap.unavailable():
        missing(reason)
    folder = tmp_path_factory.mktemp("formgrader")
    assignment(folder / "source" / "A")
    course = folder / "course"
    command("init", course, "--from", folder / "source")
    command("release", "A", "-c", course)
    handed_in = submissions(nbformat.read(course / "release" / "A" / "A.ipynb", as_version=4))
    rows = [f'{student},"{name}",,' for student, (name, *_) in handed_in.items()]
    (course / "students.csv").write_text("\n".join(["id,name,email,lms_id", *rows, ""]))
    for student, (_, notebook, files) in handed_in.items():
        submitted = course / "submitted" / student / "A"
        submitted.mkdir(parents=True)
        nbformat.write(notebook, submitted / "A.ipynb")
        for name, content in files.items():
            (submitted / name).write_text(content)
    command("grade", "A", "-c", course, "--jobs", "2")
    command("feedback", "A", "-c", course)
    return course


def command(*arguments):
    """Run resnorm-course in a process of its own, as it needs an event loop."""
    result = subprocess.run(
        [sys.executable, "-m", "resnorm.course.cli", *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "utils")},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="module")
def server(course, tmp_path_factory):
    """Address and token of a Jupyter server with Formgrader, started in the course's folder."""
    folder = tmp_path_factory.mktemp("jupyter")
    names = ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "HOME")
    extensions = "{'nbgrader.server_extensions.formgrader': True}"
    command = [sys.executable, "-m", "jupyter", "server", "--no-browser", "--allow-root"]
    command += ["--ServerApp.ip=127.0.0.1", "--ServerApp.port=0", "--IdentityProvider.token=t0ken"]
    command += [f"--ServerApp.jpserver_extensions={extensions}"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=course,
            env=os.environ | dict.fromkeys(names, str(folder)),
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + 300
        while not (found := list(folder.glob("jpserver-*.json"))):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        time.sleep(0.5)  # the file is written before the server listens
        yield json.loads(found[0].read_text())["url"].rstrip("/"), "t0ken"
    finally:
        process.terminate()
        process.wait(60)


def ask(server, path):
    address, token = server
    request = urllib.request.Request(address + path)
    request.add_header("Authorization", f"token {token}")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def scores(course):
    with contextlib.closing(sqlite3.connect(course / "gradebook.db")) as database:
        return database.execute(
            "SELECT id, auto_score, manual_score FROM grade ORDER BY id"
        ).fetchall()


def pages(server):
    """Name of each page of Formgrader that shows something of a student -> its path."""
    found = {
        "assignments": "/formgrader/manage_assignments",
        "submissions": "/formgrader/manage_submissions/A",
        "gradebook": "/formgrader/gradebook",
        "gradebook of A": "/formgrader/gradebook/A",
        "notebooks of A": "/formgrader/gradebook/A/A",
        "students": "/formgrader/manage_students",
    }
    for entry in ask(server, "/formgrader/api/submitted_notebooks/A/A"):
        student = entry["student"]
        found[f"work of {student}"] = f"/formgrader/submissions/{entry['id']}/"
        found[f"assignments of {student}"] = f"/formgrader/manage_students/{student}"
        found[f"notebooks of {student}"] = f"/formgrader/manage_students/{student}/A"
    return found


@pytest.fixture
def logged_in(browsing, server):
    page = browsing.context.new_page()
    page.goto(f"{server[0]}/api/status?token={server[1]}")
    return page


def test_no_page_of_formgrader_runs_what_a_student_wrote(course, server, browsing, logged_in):
    before, kernels = scores(course), ask(server, "/api/kernels")
    found = pages(server)
    assert len(found) == 6 + 3 * 6
    for name, path in found.items():
        answer = logged_in.goto(server[0] + path, wait_until="networkidle")
        assert answer.ok, name
        assert browsing.did(logged_in, seconds=0.2) == [], name
        logged_in.goto("about:blank")  # leave before a click is answered by another page
    for student in ("s1", "s2", "s3", "s4", "s5", "s6"):
        feedback = course / "feedback" / student / "A" / "A.html"
        logged_in.goto(feedback.as_uri())
        assert browsing.did(logged_in, seconds=0.2) == [], student
    assert scores(course) == before
    assert ask(server, "/api/kernels") == kernels
    assert not list(course.rglob("executed"))


def test_the_marker_sees_all_of_an_ordinary_answer(course, server, logged_in):
    logged_in.goto(server[0] + pages(server)["work of s1"])
    cell = logged_in.locator(".nbgrader_cell", has_text="Both values")
    text = cell.inner_text()
    for shown in ("$x_1<x_2$", "a_1 < b", "\\frac{x-\\mu}{\\sigma}", "a page", "漢字", "©", "x_y"):
        assert shown in text, shown
    assert cell.locator("table td").count() == 4 and cell.locator("li li").count() == 1
    assert cell.locator("span.k", has_text="def").count() == 1
    assert cell.locator("img").evaluate("image => image.naturalWidth") == 40
    assert cell.locator("a", has_text="a page").get_attribute("rel") == "noopener noreferrer"
    assert cell.locator("input.score").count() == 1
    output = logged_in.locator(".output_wrapper")
    assert "<printed>" in output.inner_text() and output.locator("img").count() == 1


def test_the_marker_sees_what_hostile_code_printed(server, logged_in):
    logged_in.goto(server[0] + pages(server)["work of s3"])
    outputs = logged_in.locator(".output_wrapper").inner_text()
    for shown in (IMAGE, "red", "complete", f"ValueError: {SCRIPT}"):
        assert shown in outputs, shown
    assert outputs.splitlines().count("bundle") == len(BUNDLES)  # and in the traceback


def test_jupyterlab_shows_the_same_and_runs_nothing(server, browsing, logged_in):
    for student, text in (("s1", "Both values"), ("s2", "alert"), ("s3", "All good.")):
        page = browsing.context.new_page()
        page.goto(f"{server[0]}/lab/tree/autograded/{student}/A/A.ipynb?reset")
        answer = page.locator(".jp-MarkdownOutput", has_text=text)
        answer.first.wait_for(timeout=120_000)
        if student == "s1":
            answer.locator("mjx-container").nth(2).wait_for(timeout=60_000)
            assert answer.locator("td").count() == 4 and answer.locator("img").count() == 1
        assert browsing.did(page, seconds=0.5) == [], student
        page.close()


def test_mathjax_typesets_formulas_and_finds_no_command_that_leaves_them(
    server, browsing, exporter
):
    """The book's copy of MathJax stands for the one that Formgrader loads from the internet."""
    code = (ROOT / "book/static/vendor/mathjax/tex-chtml.js").read_text()
    attack = f"{ORDINARY}\n\nand {ALL['link in a formula']} {ALL['commands in a formula']}"
    page = browsing.show(as_formgrader(exporter, safe_markdown(attack)))
    page.evaluate("MathJax = {tex: {inlineMath: [['$', '$']]}}")
    page.add_script_tag(content=code)
    page.evaluate("MathJax.startup.promise.then(() => 1)")
    answer = page.locator(ANSWER)
    assert answer.locator("mjx-container").count() >= 6
    assert answer.locator("mjx-merror, mjx-container a, mjx-container [href]").count() == 0
    assert answer.locator("#written, .score").count() == 0


def test_the_same_answers_take_over_where_they_are_not_sanitized(
    course, server, browsing, logged_in
):
    """Last, because it changes the course. It shows that the tests above would have noticed."""
    before, found = scores(course), pages(server)
    kernels = [kernel["id"] for kernel in ask(server, "/api/kernels")]
    for student in ("s4", "s5"):
        graded = course / "autograded" / student / "A" / "A.ipynb"
        notebook = nbformat.read(graded, as_version=4)
        submitted = nbformat.read(course / "submitted" / student / "A" / "A.ipynb", 4)
        notebook.cells[-1].source = submitted.cells[-1].source
        nbformat.write(notebook, graded)
    logged_in.goto(server[0] + found["work of s4"])
    assert browsing.did(logged_in, seconds=60) == ["ran a script"]
    assert scores(course) != before
    now = [kernel["id"] for kernel in ask(server, "/api/kernels")]
    assert len(now) == len(kernels) + 1
    logged_in.goto(server[0] + found["work of s5"], wait_until="networkidle")
    assert (course / "submitted" / "s5" / "A" / "executed").exists()
