"""Watch the processes of a server until told to stop by SIGTERM.

sample.py POSTMASTER_PID

Prints, for each kind of process of venice's, the most private memory that one
had (RssAnon: without shared buffers, without files), the most there were at
one time, and the processor time of all.
"""
import collections
import os
import signal
import sys
import time

INTERVAL_S = 0.05
TICKS = os.sysconf("SC_CLK_TCK")
KINDS = ("launcher", "supervisor", "maintenance", "ingest worker")


def read(pid, name):
    with open(f"/proc/{pid}/{name}", errors="replace") as file:
        return file.read()


def kind_of(pid):
    title = read(pid, "cmdline")
    for kind in KINDS:
        if f"venice {kind}" in title:
            return kind
    return "parallel worker" if "parallel worker" in title else None


def sample(postmaster, memory_kb, ticks, most):
    count = collections.Counter()
    for pid in read(postmaster, f"task/{postmaster}/children").split():
        try:
            kind = kind_of(pid)
            if kind is None:
                continue
            count[kind] += 1
            for line in read(pid, "status").splitlines():
                if line.startswith("RssAnon:"):
                    memory_kb[kind] = max(memory_kb[kind], int(line.split()[1]))
            fields = read(pid, "stat").rpartition(")")[2].split()
            ticks[kind, pid] = int(fields[11]) + int(fields[12])
        except (FileNotFoundError, ProcessLookupError):
            pass
    for kind in count:
        most[kind] = max(most[kind], count[kind])


def main():
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    memory_kb, ticks, most = collections.Counter(), {}, collections.Counter()
    before = {}
    while not stopped:
        sample(sys.argv[1], memory_kb, ticks, most)
        before = before or dict(ticks)
        time.sleep(INTERVAL_S)
    for kind in sorted(memory_kb):
        spent = sum(
            ticks[key] - before.get(key, 0) for key in ticks if key[0] == kind
        )
        print(
            "  %-16s at most %d, %4d MiB, %6.2f s of processor time"
            % (kind, most[kind], memory_kb[kind] / 1024, spent / TICKS)
        )


main()
