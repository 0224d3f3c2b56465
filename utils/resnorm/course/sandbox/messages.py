"""What the kernel says: counted, checked, and free of what a file or a page cannot hold.

The code in the box can send whatever it likes over the kernel's sockets. Everything that reads the
messages after this module may rely on their form.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from jupyter_client.session import Session

from .incidents import Incident
from .limits import Limits

#: Type of message -> its fields that are used, and the type that each must have.
FIELDS: Mapping[str, Mapping[str, type]] = {
    "stream": {"name": str, "text": str},
    "display_data": {"data": dict, "metadata": dict},
    "update_display_data": {"data": dict, "metadata": dict},
    "execute_result": {"data": dict, "metadata": dict, "execution_count": int},
    "error": {"ename": str, "evalue": str, "traceback": list},
    "execute_input": {"execution_count": int},
    "execute_reply": {"status": str},
    "status": {"execution_state": str},
    "clear_output": {"wait": bool},
    "kernel_info_reply": {"protocol_version": str},
    "shutdown_reply": {},
}
#: Messages that become outputs of a cell.
OUTPUTS = {"stream", "display_data", "update_display_data", "execute_result", "error"}
#: What a message takes here beyond its text.
OVERHEAD = 1000
#: The notebook is stopped at this many times the output that one cell may keep.
FLOOD = 16
MAX_DEPTH = 50
#: Types of data that nbformat lets be more than text.
JSON = re.compile(r"^application/(.*\+)?json$")


class Meter:
    """Keeps account of what one kernel says.

    ``incidents`` gets what an instructor should know and what does not stop the notebook.

    Args:
        limits: those of the submission.
        stop: kills the kernel, for the reason that it is given.
    """

    def __init__(self, limits: Limits, stop: Callable[[Incident], None]):
        self.limit, self.most, self.stop = limits.output, FLOOD * limits.output, stop
        self.total = 0
        self.kept: dict[str, int] = {}
        self.incidents: dict[str, Incident] = {}
        self.stopped = False

    def count(self, size: int) -> None:
        """Count a message, and stop the kernel when it has said too much.

        Args:
            size: bytes of the message.
        """
        self.total += size + OVERHEAD
        if self.total > self.most and not self.stopped:
            self.stopped = True
            message = f"stopped: more than {self.most:,} bytes of output"
            self.stop(Incident(-1, "output", message))

    def room(self, request: str, size: int) -> int:
        """Take room for an output of a cell.

        Args:
            request: id of the message that asked to execute the cell.
            size: bytes of the output.

        Returns:
            How many of these bytes the cell may keep.
        """
        left = max(0, self.limit - self.kept.get(request, 0))
        self.kept[request] = self.kept.get(request, 0) + size + OVERHEAD
        if size > left:
            self.note("cut", f"output beyond {self.limit:,} bytes of one cell was cut")
        return min(size, left)

    @contextmanager
    def aside(self, size: int) -> Iterator[None]:
        """Give what runs in a ``with`` statement an account of its own, as for the grader's calls.

        Args:
            size: bytes that it may say, in one message or in many.
        """
        before = self.limit, self.most, self.total
        self.limit, self.most, self.total = size, size + 100 * OVERHEAD, 0
        try:
            yield
        finally:
            self.limit, self.most, self.total = before

    def note(self, kind: str, message: str) -> None:
        """Note an incident after which the notebook goes on, once.

        Args:
            kind: of the incident.
            message: what happened, in words.
        """
        self.incidents.setdefault(message, Incident(-1, kind, message))


class CheckedSession(Session):
    """Reads the messages of a kernel in which anything may run.

    A message that does not have the form of its type is dropped. In its place comes one that
    belongs to no request, which every client ignores.
    """

    meter: Meter | None = None

    def feed_identities(self, msg_list: list[Any], copy: bool = True) -> tuple[list, list]:
        """Count a message as it comes, and split off its address.

        Args:
            msg_list: parts of the message.
            copy: whether they are bytes, and not messages of ZeroMQ.
        """
        if self.meter:
            self.meter.count(sum(len(part) for part in msg_list))
        try:
            return super().feed_identities(msg_list, copy)
        except ValueError:
            return [], []

    def deserialize(
        self, msg_list: list[Any], content: bool = True, copy: bool = True
    ) -> dict[str, Any]:
        """Read a message, or drop it.

        Args:
            msg_list: parts of the message, without its address.
            content: whether to read its content.
            copy: whether the parts are bytes, and not messages of ZeroMQ.
        """
        if self.meter and self.meter.stopped:
            return _nothing()  # which may be one of a gigabyte
        try:
            message = super().deserialize(msg_list, content, copy)
            return _checked(message, self.meter) if content else message
        except Exception:  # whatever hostile bytes provoke in the reader
            if self.meter:
                self.meter.note("unreadable", "the kernel sent messages that cannot be read")
            return _nothing()


def _nothing() -> dict[str, Any]:
    """A message that belongs to no request."""
    header = {"msg_id": "", "msg_type": "nothing"}
    rest: dict[str, Any] = {"parent_header": {}, "metadata": {}, "content": {}, "buffers": []}
    return {"header": header, **header, **rest}


def _checked(message: dict[str, Any], meter: Meter | None) -> dict[str, Any]:
    """A message whose fields are those of its type; ``_nothing`` for a type that is not used.

    Raises:
        ValueError: a field is missing, has another type, or is nested too deep.
    """
    kind, parent = message["msg_type"], message["parent_header"]
    if not isinstance(kind, str) or kind not in FIELDS:
        return _nothing()  # widgets and debuggers
    request = parent.get("msg_id", "") if isinstance(parent, dict) else None
    content = clean(message["content"])
    if not isinstance(request, str) or not isinstance(message["metadata"], dict):
        raise ValueError("the header of a message has another form")
    for name, expected in FIELDS[kind].items():
        # bool is a kind of int, and no execution count.
        if not isinstance(content[name], expected) or type(content[name]) is bool is not expected:
            raise ValueError(f"{name} of {kind} is not of type {expected.__name__}")
    if (content.get("execution_count") or 0) < 0:
        raise ValueError("an execution count is negative")
    if kind in OUTPUTS:
        content = _output(kind, content)
        if meter and not _fits(content, request, meter):
            return _nothing()
    return {
        **_nothing(),
        "header": message["header"],
        "msg_id": str(message["msg_id"]),
        "msg_type": kind,
        "parent_header": {"msg_id": request},
        "content": content,
    }


def _output(kind: str, content: dict[str, Any]) -> dict[str, Any]:
    """An output with the fields that nbformat has for it, and no others."""
    output = {name: content[name] for name in FIELDS[kind]}
    if kind == "stream" and output["name"] != "stderr":
        output["name"] = "stdout"
    if kind == "error":
        output["traceback"] = [str(line) for line in output["traceback"]]
    if "data" in output:
        output["data"] = {
            mime: value if JSON.search(mime) else _text(value)
            for mime, value in output["data"].items()
        }
        transient = content.get("transient")
        display = transient.get("display_id") if isinstance(transient, dict) else None
        output["transient"] = {"display_id": display} if isinstance(display, str) else {}
    return output


def _text(value: Any) -> str:
    """The text of an output, which may come as a list of lines."""
    return "".join(map(str, value)) if isinstance(value, list) else str(value)


def _fits(content: dict[str, Any], request: str, meter: Meter) -> bool:
    """Whether a cell may keep an output. Printed text is cut to what it may keep."""
    size = len(repr(content))
    room = meter.room(request, size)
    if room < size and "text" in content:
        content["text"] = content["text"][:room] + "\n… (cut)\n" if room else ""
    return room == size or bool(content.get("text"))


def clean(value: Any, depth: int = 0) -> Any:
    """Replace half characters, which no file and no page can hold, by question marks.

    Args:
        value: as JSON has it.
        depth: how deep it is nested itself.

    Raises:
        ValueError: it is nested deeper than ``MAX_DEPTH``.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {clean(str(key)): clean(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(item, depth + 1) for item in value]
    return value
