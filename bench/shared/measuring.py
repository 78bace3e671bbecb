"""Running a process and saying what it took; copies of a database; facts about the machine."""
import os
import pathlib
import platform
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import threading
import time

ENDINGS = ("", "-wal", "-shm", "-journal")


class Failed(Exception):
    """A competitor ended with an error; the text has its last words."""


# --- processes ------------------------------------------------------------------------------------


def children_of(pid):
    try:
        text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8")
    except OSError:
        return []
    return [int(child) for child in text.split()]


def memory_kb(pid):
    """The peak so far of one process, as the kernel keeps it.

    ru_maxrss would be of no use: it begins with the size of the process that forked, that is ours.
    """
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    for line in text.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0


def memory_of_all_kb(pid):
    """The same of a process and the children that live now: a shell's are what a pipe needs."""
    return memory_kb(pid) + sum(memory_of_all_kb(child) for child in children_of(pid))


def cpu_so_far(pid, reaped=False):
    """User and system seconds of one living process; with `reaped` those of its dead children too."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2]
    except OSError:
        return None
    return sum(int(field) for field in fields.split()[11:15 if reaped else 13]) / os.sysconf("SC_CLK_TCK")


class Process:
    """One child; `wait` gives seconds, CPU (its own and its children's) and peak memory.

    `cpu_samples` says when it had used how much CPU, so that a stretch of its life can be judged
    on a machine where others are at work too.
    """

    def __init__(self, command, log, stdin=None, env=None):
        self.command = [str(part) for part in command]
        self.log = pathlib.Path(log)
        self.stdin = open(stdin, "rb") if stdin else subprocess.DEVNULL
        self.output = open(self.log, "wb")
        self.began = time.time()
        begun = time.perf_counter()
        self.child = subprocess.Popen(self.command, stdin=self.stdin, stdout=self.output,
                                      stderr=subprocess.STDOUT, env=env)
        self.peak_kb = 0
        self.cpu_samples = [(self.began, 0.0)]
        self.ended = threading.Event()
        self.result = None
        self.watcher = threading.Thread(target=self.watch)
        self.watcher.start()
        self.waiter = threading.Thread(target=self.reap, args=(begun,))
        self.waiter.start()

    def watch(self):
        pause = 0.005
        while not self.ended.wait(pause):
            self.peak_kb = max(self.peak_kb, memory_of_all_kb(self.child.pid))
            cpu_s = cpu_so_far(self.child.pid)
            if cpu_s:
                self.cpu_samples.append((time.time(), cpu_s))
            pause = min(0.1, pause * 1.5)

    def reap(self, begun):
        _, status, usage = os.wait4(self.child.pid, 0)
        seconds = time.perf_counter() - begun
        self.child.returncode = os.waitstatus_to_exitcode(status)
        self.result = {"seconds": seconds, "cpu_s": usage.ru_utime + usage.ru_stime,
                       "user_s": usage.ru_utime, "system_s": usage.ru_stime,
                       "read_mb": usage.ru_inblock * 512 / 1e6,
                       "written_mb": usage.ru_oublock * 512 / 1e6,
                       "began": self.began, "code": self.child.returncode}
        self.ended.set()

    def runs(self):
        return not self.ended.is_set()

    def wait(self, codes=(0,)):
        self.waiter.join()
        self.watcher.join()
        self.output.close()
        if self.stdin is not subprocess.DEVNULL:
            self.stdin.close()
        if self.result["code"] not in codes:
            text = self.log.read_text(encoding="utf-8", errors="replace").strip()
            raise Failed(f"{' '.join(self.command[:4])} ended with {self.result['code']}: "
                         f"{text[-600:]}")
        self.cpu_samples.append((self.began + self.result["seconds"], self.result["cpu_s"]))
        return {**self.result, "peak_mb": self.peak_kb * 1024 / 1e6}

    def cpu_between(self, begin, end):
        return max(0.0, self.cpu_at(end) - self.cpu_at(begin))

    def cpu_at(self, moment):
        earlier = self.cpu_samples[0]
        for later in self.cpu_samples:
            if later[0] >= moment:
                span = later[0] - earlier[0]
                share = (moment - earlier[0]) / span if span > 0 else 0
                return earlier[1] + share * (later[1] - earlier[1])
            earlier = later
        return earlier[1]

    def end(self):
        """Asks it to stop, and waits until it has."""
        if self.runs():
            self.child.send_signal(signal.SIGTERM)
        self.waiter.join()
        self.watcher.join()


def run(command, log, stdin=None, env=None, codes=(0,)):
    return Process(command, log, stdin, env).wait(codes)


def output_of(command, env=None, codes=(0,)):
    done = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, env=env, check=False)
    if done.returncode not in codes:
        raise Failed(f"{command[0]} {command[1]} ended with {done.returncode}: "
                     f"{(done.stderr + done.stdout).strip()[-600:]}")
    return done.stdout


# --- databases ------------------------------------------------------------------------------------


def remove(path):
    for ending in ENDINGS:
        pathlib.Path(str(path) + ending).unlink(missing_ok=True)


def fresh_copy(original, path):
    remove(path)
    shutil.copyfile(original, path)
    forget_pages(original)
    forget_pages(path)


def forget_pages(path):
    """Asks the kernel to drop what it has cached of a file; needs no rights, and may be ignored."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(file)


def size_mb(path):
    return sum(os.path.getsize(str(path) + ending) for ending in ENDINGS
               if os.path.exists(str(path) + ending)) / 1e6


def ask(path, sql):
    connection = sqlite3.connect(path, timeout=60)
    try:
        return connection.execute(sql).fetchone()[0]
    finally:
        connection.close()


# --- figures --------------------------------------------------------------------------------------


def percentile(values, share):
    """The value that this share of all is not above."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)] if ordered else None


def stalls(samples, begin=None, end=None):
    """What a writer waited, of the operations that were due in a stretch of time."""
    inside = [one for one in samples
              if (begin is None or one[0] >= begin) and (end is None or one[0] < end)]
    waits = [one[1] for one in inside]
    return {"operations": len(waits), "failed": sum(one[2] for one in inside),
            "p50_ms": percentile(waits, 50), "p99_ms": percentile(waits, 99),
            "max_ms": max(waits, default=None)}


def median_of(results):
    """Several results of one shape as one: figures are medians, the rest is of the first."""
    first = results[0]
    if isinstance(first, dict):
        return {name: median_of([one[name] for one in results if name in one])
                for name in first}
    figures = [one for one in results
               if isinstance(one, (int, float)) and not isinstance(one, bool)]
    return statistics.median(figures) if figures else first


def rotated(things, turn):
    turn %= len(things)
    return things[turn:] + things[:turn]


# --- the machine ----------------------------------------------------------------------------------


def file_system(path):
    best = ("", "unknown")
    for line in pathlib.Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, mount, kind = line.split()[:3]
        if str(path).startswith(mount) and len(mount) > len(best[0]):
            best = (mount, kind)
    return best[1]


def machine(work):
    cpu = "unknown"
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cores": len(os.sched_getaffinity(0)), "cpu": cpu, "memory_gb": round(memory / 1e9),
            "kernel": platform.release(), "file_system": file_system(work),
            "python": platform.python_version(), "python_sqlite": sqlite3.sqlite_version,
            "load_before": [round(one, 1) for one in os.getloadavg()]}


def note(text):
    print(text, file=sys.stderr, flush=True)
