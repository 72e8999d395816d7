"""One waiting kernel process: started, warmed at low priority, handed over once.

The hand-over is one message on its standard input, then the end of it, as a kernel's standard input has. The
message is text between NUL bytes, which neither a path nor an environment can contain: MAGIC, umask (octal),
working directory, the number of words of the command, these words, NAME=VALUE for each variable, END.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from hubagent.wire import WARM_PROCESSOR_S, WARM_SILENT_S

from .recipes import Recipe

MAGIC: Final = "hubagent 1"
END: Final = "end\n"
ASK_S: Final = 5.0
"""How often a process that gets warm is asked what it has used (seconds)."""

WORKS_S: Final = 1.0
"""Of processor time: one that has used so much more does compute."""

ENDS_S: Final = 5.0
"""So long a process that has closed its report may take to end."""

_LOW: Final = 19
_SYS_NICE: Final = 1 << 23  # capabilities(7)


class Spare:
    """A process that waits to become a kernel. Raises OSError when it cannot be started."""

    def __init__(self, recipe: Recipe, base: Mapping[str, str], scratch: str) -> None:
        self.recipe = recipe
        self.fault = ""  # why it did not become warm
        self.lacks = ""  # what of it did not, in words
        self.environment: Final = recipe.environment(base)
        started = dict(self.environment)
        if recipe.depot:
            # Where none are set, an empty entry behind another stands for Julia's own without the user's, since 1.11.
            others = started.get("JULIA_DEPOT_PATH", f"{started.get('HOME', '~')}/.julia:")
            started["JULIA_DEPOT_PATH"] = f"{scratch}:{others}"
        self._reports, report = os.pipe()
        try:
            self.process = subprocess.Popen(  # noqa: S603 - the image's own kernelspec
                [*recipe.waiting, str(report), *recipe.arguments],
                stdin=subprocess.PIPE,
                cwd="/",
                env=started,
                start_new_session=True,
                pass_fds=(report,),
            )
        except BaseException:
            os.close(self._reports)
            raise
        finally:
            os.close(report)
        self._priority = os.getpriority(os.PRIO_PROCESS, 0)
        if _may_return_to(self._priority):
            _set_priority(self.process.pid, _LOW)

    def wait_warm(
        self, processor_s: float = WARM_PROCESSOR_S, silent_s: float = WARM_SILENT_S, ask_s: float = ASK_S
    ) -> bool:
        """Whether it became warm; else it is ended, and `fault` says why. It may use so much processor time, and
        compute nothing for so long."""
        used_s, worked_s = 0.0, time.monotonic()
        readable: list[int] = []
        while not (readable or self.fault):
            readable, _, _ = select.select([self._reports], [], [], ask_s)
            now_s, uses_s = time.monotonic(), _processor_s(self.process.pid)
            if uses_s - used_s >= WORKS_S:
                used_s, worked_s = uses_s, now_s
            if not readable and used_s >= processor_s:
                self.fault = f"gave up after {processor_s:.0f} s of processor time"
            elif not readable and now_s - worked_s > silent_s:
                self.fault = f"gave up after {silent_s:.0f} s without any work"
        said = os.read(self._reports, select.PIPE_BUF) if readable else b""
        warm, self.lacks = said[:1] == b"w", said[1:].decode(errors="replace")
        os.close(self._reports)
        if not warm:
            self.fault = self.fault or self._ending()
            self.end()
        return warm

    def _ending(self) -> str:
        """How a process that closed its report ended, in words."""
        try:
            status = self.process.wait(ENDS_S)
        except subprocess.TimeoutExpired:
            return "closed its report but kept running"
        if status == -signal.SIGKILL:
            return "was killed; did it run out of memory?"
        return f"ended with status {status}" if status >= 0 else f"ended by signal {-status}"

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def hand_over(
        self,
        command: Sequence[str],
        directory: str,
        environment: Mapping[str, str],
        *,
        close: bool = True,
    ) -> bool:
        """Make it this kernel; False when it is dead instead. Not closed, it sees the end of this process."""
        stdin = self.process.stdin
        if stdin is None or not self.alive:
            return False
        _set_priority(self.process.pid, self._priority)
        words = [MAGIC, _umask(), directory, str(len(command)), *command]
        words += [f"{key}={value}" for key, value in environment.items()]
        try:
            stdin.write(b"\0".join(os.fsencode(word) for word in (*words, END)))
            stdin.flush()
            if close:
                stdin.close()
        except OSError:
            self.end()
            return False
        return True

    def end(self) -> None:
        """End it, if it did not end itself, with all that it has started: a compiler of its own, for one."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(
                    self.process.pid, signal.SIGKILL
                )  # the leader of its session, and of a group of its own
        self.process.wait()
        if self.process.stdin:
            with contextlib.suppress(OSError):  # what was not written yet
                self.process.stdin.close()


def _processor_s(session: int) -> float:
    """What all processes of a session have used, with those that have ended and were waited for; proc(5)."""
    ticks = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, IndexError):  # it has ended meanwhile
                words = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
                if int(words[3]) == session:
                    ticks += sum(map(int, words[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _may_return_to(priority: int) -> bool:
    """Whether a process may be lowered now and raised again later (setpriority(2), RLIMIT_NICE)."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NICE)
    if soft == resource.RLIM_INFINITY or soft >= 20 - priority:
        return True
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) & _SYS_NICE)
    return False


def _set_priority(pid: int, priority: int) -> None:
    """For all threads: Linux keeps a priority for each, and BLAS starts some while warming."""
    deadline = time.monotonic() + 1.0
    while time.monotonic() < deadline:
        changed = False
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                if os.getpriority(os.PRIO_PROCESS, int(task)) != priority:
                    os.setpriority(os.PRIO_PROCESS, int(task), priority)
                    changed = True
        except (FileNotFoundError, ProcessLookupError):
            continue
        if not changed:
            return


def _umask() -> str:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("Umask:"):
            return line.split()[1]
    return "0022"
