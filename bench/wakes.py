# SPDX-License-Identifier: Apache-2.0
"""How long a worker that was woken waited for the processor because other threads of its own process had it, from the kernel's
scheduler events (perf, root). What other processes do to it is not counted, so this holds on a machine that others use too."""
import os
import re
import subprocess

EVENT = re.compile(r"\[(\d+)\]\s+(\d+\.\d+):\s+sched:(\w+):\s+(.*)$")


def threads(pid):
    """{thread id: name}"""
    names = {}
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/comm", encoding="utf-8") as file:
            names[int(tid)] = file.read().strip()
    return names


def record(path, seconds):
    return subprocess.Popen(["perf", "record", "-q", "-a", "-o", path, "-e", "sched:sched_switch", "-e", "sched:sched_waking",
                             "--filter", 'comm=="worker 0"', "--", "sleep", str(seconds)], stderr=subprocess.DEVNULL)


def number(pattern, text):
    return int(re.search(pattern, text).group(1))


def delays(path, pid, cpu):
    """For each time that worker 0 was woken, or was not let go on: microseconds in which others of pid ran on its processor."""
    names = threads(pid)
    worker = next(tid for tid, name in names.items() if name == "worker 0")
    text = subprocess.run(["perf", "script", "-i", path, "--ns"], capture_output=True, text=True, check=True).stdout
    found, woken, running, since, lost = [], False, None, 0.0, 0.0
    for match in filter(None, map(EVENT.search, text.splitlines())):
        now, kind, rest = float(match[2]), match[3], match[4]
        if kind == "sched_waking":
            if number(r"\bpid=(\d+)", rest) == worker and not woken and running != worker:
                woken, since, lost = True, now, 0.0
        elif int(match[1]) == cpu:
            before, running = number(r"prev_pid=(\d+)", rest), number(r"next_pid=(\d+)", rest)
            if woken and before in names:
                lost += now - since
            since = now
            if woken and running == worker:
                found.append(lost * 1e6)
                woken = False
            elif before == worker and re.search(r"prev_state=R", rest):
                woken, lost = True, 0.0
    return sorted(found)


def of_messages(waits, gap_us):
    """The same for messages that come every gap_us: those that come while the worker waits, wait for the rest of it."""
    return sorted(wait - at for wait in waits for at in range(0, max(1, int(wait)), gap_us))
