"""make.py, which a clone is worked with: on an environment that stands ready, with an interpreter that only reports."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]


def test_a_task_takes_the_place_of_make_py_so_that_signals_reach_it(tmp_path: Path) -> None:
    wanted = hashlib.sha256()
    for name in ("constraints.txt", "pyproject.toml", "make.py"):
        shutil.copy(CHECKOUT / name, tmp_path)
        if name != "make.py":
            wanted.update((tmp_path / name).read_bytes())
    interpreter = tmp_path / ".venv" / "bin" / "python"
    interpreter.parent.mkdir(parents=True)
    interpreter.write_text('#!/bin/sh\necho "$$ $PWD $*"\nexit 3\n', encoding="utf-8")
    interpreter.chmod(0o755)
    (tmp_path / ".venv" / "installed-base").write_text(wanted.hexdigest(), encoding="utf-8")

    command = [sys.executable, str(tmp_path / "make.py"), "up", "--port", "3001"]
    with subprocess.Popen(command, cwd="/", stdout=subprocess.PIPE, text=True) as process:
        messages, _ = process.communicate(timeout=60)

    assert messages == f"{process.pid} {tmp_path} -m analytics_pipeline up --port 3001\n"
    assert process.returncode == 3
