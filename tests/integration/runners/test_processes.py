"""CPU time of a process and of everything below it."""

from __future__ import annotations

import subprocess
import sys

from embedded_scheduler.runners.processes import cpu_below

# The grandchild computes, and the parent waits for it.
BUSY = (
    "import subprocess, sys, time; "
    "subprocess.run([sys.executable, '-c', 'import time\\nwhile time.process_time() < 0.3: pass']); "
    "print('done', flush=True); time.sleep(60)"
)
IDLE = "import time; print('up', flush=True); time.sleep(60)"


def test_what_children_used_counts_and_waiting_does_not() -> None:
    processes = {
        name: subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        for name, code in (("busy", BUSY), ("idle", IDLE))
    }
    try:
        for process in processes.values():
            assert process.stdout is not None
            process.stdout.readline()
        roots = {name: process.pid for name, process in processes.items()}
        first, second = cpu_below(roots), cpu_below(roots)
        assert first["busy"] >= 0.3
        assert second["idle"] - first["idle"] < 0.05
        assert cpu_below({}) == {}
    finally:
        for process in processes.values():
            process.kill()
            process.communicate()
    assert cpu_below(roots) == {"busy": 0.0, "idle": 0.0}
