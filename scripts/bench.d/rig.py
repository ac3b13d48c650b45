"""What scripts/bench measures with: terminals, processes, and the tools under test.  Standard library only."""
import fcntl
import os
import select
import shutil
import signal
import statistics
import struct
import subprocess
import tempfile
import termios
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(HERE, "build")
ROWS, COLS = 50, 200
# Every process of a run inherits this variable; so a tool's own processes are found, whatever they do.
MARK = "STANDUP_BENCH_RUN"
WORKLOADS = ("gen", "screen", "echo", "sleep")


def build():
    """compiles the workloads, if they changed"""
    os.makedirs(BUILD, exist_ok=True)
    compiler = os.environ.get("CC", "cc")
    for name in ("gen", "raw", "screen", "echo", "floor"):
        source, out = os.path.join(HERE, name + ".c"), workload(name)
        if not os.path.exists(out) or os.path.getmtime(out) < os.path.getmtime(source):
            subprocess.run([compiler, "-O2", "-Wall", "-o", out, source, "-lutil"], check=True)


def workload(name):
    return os.path.join(BUILD, name)


def median(xs):
    return statistics.median(xs) if xs else float("nan")


def percentile(xs, p):
    xs = sorted(xs)
    if not xs:
        return float("nan")
    k = (len(xs) - 1) * p / 100
    low = int(k)
    return xs[low] + (xs[min(low + 1, len(xs) - 1)] - xs[low]) * (k - low)


def wait_file(path, timeout=20.0):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if os.path.exists(path):
            return True
        time.sleep(0.002)
    return False


class Client:
    """A terminal: runs argv on a fresh PTY, reads what comes and answers the usual queries."""

    ANSWERS = (
        (b"\x1b[c", b"\x1b[?62;22c"), (b"\x1b[>c", b"\x1b[>1;10;0c"), (b"\x1b[6n", b"\x1b[1;1R"),
        (b"\x1b[>q", b"\x1bP>|term(1)\x1b\\"), (b"\x1b]10;?\x1b\\", b"\x1b]10;rgb:ffff/ffff/ffff\x1b\\"),
        (b"\x1b]11;?\x1b\\", b"\x1b]11;rgb:0000/0000/0000\x1b\\"),
    )

    def __init__(self, argv, env):
        master, slave = os.openpty()
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLS, 0, 0))
        self.began = time.perf_counter()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setsid()
                fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
                for fd in (0, 1, 2):
                    os.dup2(slave, fd)
                os.closerange(3, 64)
                os.execvpe(argv[0], argv, env)
            finally:
                os._exit(127)
        os.close(slave)
        os.set_blocking(master, False)
        self.fd, self.bytes, self.over = master, 0, False

    def read(self, timeout):
        if not select.select([self.fd], [], [], timeout)[0]:
            return b""
        try:
            data = os.read(self.fd, 1 << 16)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self.over = True
            return b""
        self.bytes += len(data)
        for query, answer in self.ANSWERS if b"\x1b" in data else ():
            if query in data:
                self.send(answer)
        return data

    def send(self, data):
        try:
            os.write(self.fd, data)
        except OSError:
            pass

    def wait_for(self, needle, timeout):
        """seconds from the start until it was shown, or None"""
        end, tail = time.perf_counter() + timeout, b""
        while time.perf_counter() < end and not self.over:
            data = self.read(max(0.0, end - time.perf_counter()))
            if data:
                tail = tail[-256:] + data
                if needle in tail:
                    return time.perf_counter() - self.began
        return None

    def drain(self, seconds):
        end = time.perf_counter() + seconds
        while not self.over and time.perf_counter() < end:
            self.read(max(0.0, end - time.perf_counter()))

    def settle(self, quiet=0.4, timeout=5.0):
        """reads until nothing has come for a while"""
        end = time.perf_counter() + timeout
        while not self.over and time.perf_counter() < end and self.read(quiet):
            pass

    def attached(self, timeout=5.0):
        """whether the client has its terminal in raw mode: only then is it really attached"""
        end = time.perf_counter() + timeout
        while not self.over and time.perf_counter() < end:
            self.read(0.02)
            if not termios.tcgetattr(self.fd)[3] & termios.ECHO:
                return True
        return False

    def close(self):
        """closes the window, and sees to it that the client goes"""
        os.close(self.fd)
        for sig, wait in ((None, 0.4), (signal.SIGHUP, 0.4), (signal.SIGKILL, 2.0)):
            try:
                if sig:
                    os.kill(self.pid, sig)
                end = time.monotonic() + wait
                while time.monotonic() < end:
                    if os.waitpid(self.pid, os.WNOHANG)[0]:
                        return
                    time.sleep(0.002)
            except (ProcessLookupError, ChildProcessError):
                return


def marked(run):
    """{pid: name of its program} of every process of a run"""
    out, want = {}, f"{MARK}={run}".encode()
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open(f"/proc/{entry}/environ", "rb") as f:
                if want in f.read().split(b"\0"):
                    out[int(entry)] = os.path.basename(os.readlink(f"/proc/{entry}/exe"))
        except OSError:
            pass
    return out


def _sum(pids, read):
    total = 0
    for pid in pids:
        try:
            total += read(pid)
        except (OSError, ValueError):
            pass  # gone meanwhile
    return total


def pss_kib(pids):
    def one(pid):
        with open(f"/proc/{pid}/smaps_rollup") as f:
            return sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
    return _sum(pids, one)


def cpu_seconds(pids):
    """the scheduler's own count, finer than clock ticks"""
    def one(pid):
        total = 0
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat") as f:
                total += int(f.read().split()[0])
        return total / 1e9
    return _sum(pids, one)


def wakeups(pids):
    def one(pid):
        total = 0
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/status") as f:
                total += sum(int(line.split()[1]) for line in f if "voluntary_ctxt" in line)
        return total
    return _sum(pids, one)


class Tool:
    """A tool in a folder and an environment of its own; used with `with`."""

    name = "?"

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="bench-")
        self.run_id = uuid.uuid4().hex[:12]
        self.env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "xterm-256color", "SHELL": "/bin/sh",
                    "HOME": self.dir, MARK: self.run_id}
        self.prepare()
        return self

    def __exit__(self, *_):
        for sig in (signal.SIGTERM, signal.SIGKILL):
            for pid in marked(self.run_id):
                try:
                    os.kill(pid, sig)
                except ProcessLookupError:
                    pass
            end = time.monotonic() + 2
            while marked(self.run_id) and time.monotonic() < end:
                time.sleep(0.02)
        shutil.rmtree(self.dir, ignore_errors=True)

    def prepare(self):
        pass

    def path(self, name):
        return os.path.join(self.dir, name)

    def call(self, argv):
        out = subprocess.run(argv, env=self.env, cwd=self.dir, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, timeout=60)
        if out.returncode:
            raise RuntimeError(f"{' '.join(argv[:4])} …: exit code {out.returncode}: {out.stderr.decode()[-300:]}")

    def own(self):
        """the pids of the tool itself, without what runs inside it"""
        return [pid for pid, name in marked(self.run_id).items() if name not in WORKLOADS]

    def attach(self, name):
        return Client(self.attach_argv(name), self.env)


class Floor(Tool):
    name = "floor"

    def start(self, name, argv):
        self.call([workload("floor"), "serve", self.path(name + ".s"), *argv])

    def attach_argv(self, name):
        return [workload("floor"), "attach", self.path(name + ".s")]


class Tmux(Tool):
    name = "tmux"

    def cmd(self, *args):
        return ["tmux", "-f", self.path("conf"), "-S", self.path("sock"), *args]

    def prepare(self):
        with open(self.path("conf"), "w") as f:
            f.write("set -g history-limit 10000\nset -sg escape-time 0\n")

    def start(self, name, argv):
        self.call(self.cmd("new-session", "-d", "-x", str(COLS), "-y", str(ROWS), "-s", name, *argv))

    def attach_argv(self, name):
        return self.cmd("attach", "-t", name)

    def list(self):
        self.call(self.cmd("ls"))


class Standup(Tool):
    name = "standup"
    binary = None

    def prepare(self):
        self.env["STANDUP_HOME"] = self.path("h")

    def start(self, name, argv):
        self.call([self.binary, "host", "start", "--rows", str(ROWS), "--cols", str(COLS), name, "--", *argv])

    def attach_argv(self, name):
        return [self.binary, "host", "attach", name]

    def list(self):
        self.call([self.binary, "host", "list"])
