"""What a grading process that was killed could not remove is removed by a later one."""

import os
import subprocess
import sys
import time

from resnorm.course.sandbox.leftovers import AGE, left_over


def test_only_old_folders_of_processes_that_have_ended_are_left_over(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    names = [f"box-{ended.pid}-old", f"box-{ended.pid}-new", f"box-{os.getpid()}-old", "box-x-old"]
    for name in [*names, f"other-{ended.pid}-old"]:
        (tmp_path / name).mkdir()
    (tmp_path / f"box-{ended.pid}-old-file").write_text("")
    (tmp_path / f"box-{ended.pid}-old-link").symlink_to(tmp_path)
    then = time.time() - AGE - 1
    for path in tmp_path.glob("*-old*"):
        os.utime(path, (then, then), follow_symlinks=False)
    assert [path.name for path in left_over(tmp_path, "box-")] == [f"box-{ended.pid}-old"]
    assert list(left_over(tmp_path / "nowhere", "box-")) == []
