"""Namespaces and the processes in them. Nothing has a name and nothing is on disk: a namespace lives as long as its
holder process, and every process dies with the thread that started it, so a runner killed -9 leaves nothing behind.
Start and use a Lab from one thread that outlives it."""
import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import time

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
PR_SET_PDEATHSIG = 1
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"

_libc = ctypes.CDLL(None, use_errno=True)


class LabError(Exception):
    """The lab itself went wrong: not what is being tested in it."""


def _check(result, what):
    if result < 0:
        err = ctypes.get_errno()
        raise OSError(err, f"{what}: {os.strerror(err)}")


def _mount(source, target, kind, flags, data=""):
    _check(_libc.mount(source.encode(), target.encode(), kind.encode() if kind else None, ctypes.c_ulong(flags),
                       data.encode()), f"mount {target}")


def _die_with(parent):
    _check(_libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
    if os.getppid() != parent:
        os._exit(1)


def mount_point(avoid):
    """An empty folder that every Debian has and that none of `avoid` lies below: the lab's files go over it."""
    for path in ("/mnt", "/media", "/srv"):
        if os.path.isdir(path) and not any(os.path.realpath(a).startswith(path + "/") for a in avoid):
            return path
    raise LabError("no folder to mount the lab's files on")


class Namespace:
    """A network namespace, held by a sleeping process. The first of a lab also makes the lab's own mounts: a tmpfs
    for its files, and an /etc/hosts and resolv.conf of its own; the others share them."""

    def __init__(self, name, files=None, first=None):
        self.name = name
        self._files = files
        self._first = first
        self._parent = os.getpid()
        self._procs = []
        self.holder = subprocess.Popen(["/usr/bin/sleep", "infinity"], preexec_fn=self._become, cwd="/",
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
        self.pid = self.holder.pid
        self._fd = os.pidfd_open(self.pid)

    def _become(self):
        _die_with(self._parent)
        if self._first:
            _check(_libc.setns(self._first._fd, CLONE_NEWNS), "setns")
            _check(_libc.unshare(CLONE_NEWNET), "unshare")
            return
        _check(_libc.unshare(CLONE_NEWNS | CLONE_NEWNET), "unshare")
        _mount("none", "/", None, MS_REC | MS_PRIVATE)
        _mount("lab", self._files, "tmpfs", 0, "mode=755,size=256m")
        _mount("shm", "/dev/shm", "tmpfs", 0, "mode=1777,size=256m")  # a squid that is killed leaves its memory there
        for name in ("hosts", "resolv.conf"):
            copy = os.path.join(self._files, name)
            with open(copy, "w", encoding="ascii") as f:
                f.write("127.0.0.1 localhost\n::1 localhost\n" if name == "hosts" else "")
            if os.path.exists("/etc/" + name):
                _mount(copy, "/etc/" + name, None, MS_BIND)

    @property
    def net_path(self):
        return f"/proc/{self.pid}/ns/net"

    def outside(self, path):
        """The lab's file `path`, as the runner sees it."""
        return f"/proc/{self.pid}/root{path}"

    def _enter(self, ids, cwd):
        _check(_libc.setns(self._fd, CLONE_NEWNS | CLONE_NEWNET), "setns")
        os.chdir(cwd)
        if ids:
            os.setgroups([])
            os.setresgid(ids[1], ids[1], ids[1])
            os.setresuid(ids[0], ids[0], ids[0])
        _die_with(self._parent)  # after the change of user, which would undo it

    def start(self, argv, user=None, cwd="/", stop_signal=signal.SIGTERM, **kw):
        """Starts a program in here, as `user`. It must not change its user, and what it forks must end when it does:
        only the process itself is sure to die with us."""
        ids = None
        if user:
            entry = pwd.getpwnam(user)
            ids = (entry.pw_uid, entry.pw_gid)
        kw.setdefault("stdin", subprocess.DEVNULL)
        if kw.get("env") is None:
            kw["env"] = clean_env()
        proc = subprocess.Popen([str(a) for a in argv], preexec_fn=lambda: self._enter(ids, cwd), **kw)
        proc.stop_signal = stop_signal
        self._procs.append(proc)
        return proc

    def run(self, argv, timeout=20, stdin=None, check=True, user=None, env=None):
        """Runs a program to its end: a CompletedProcess with text. LabError when `check` and it fails."""
        proc = self.start(argv, user=user, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, errors="replace")
        try:
            out, err = proc.communicate(stdin or "", timeout=timeout)
        except subprocess.TimeoutExpired:
            proc.kill()
            out, err = proc.communicate()
            raise LabError(f"{self.name}: {argv[0]}: not done within {timeout} s\n{out[-2000:]}\n{err[-2000:]}") \
                from None
        finally:
            self._procs.remove(proc)
        if check and proc.returncode != 0:
            raise LabError(f"{self.name}: {' '.join(map(str, argv))}: exit {proc.returncode}\n{out[-2000:]}\n"
                           f"{err[-2000:]}\n{(stdin or '')[-3000:]}")
        return subprocess.CompletedProcess(argv, proc.returncode, out, err)

    def processes(self):
        return self._procs + [self.holder]

    def forget(self):
        os.close(self._fd)


def stop_all(namespaces, grace=2.0):
    """Ends every process in the namespaces, and so them: SIGTERM for all at once, SIGKILL for who needs longer."""
    procs = [p for ns in namespaces for p in ns.processes()]
    for proc in procs:
        if proc.poll() is None:
            proc.send_signal(getattr(proc, "stop_signal", signal.SIGTERM))
    deadline = time.monotonic() + grace
    for proc in procs:
        try:
            proc.wait(max(deadline - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            proc.kill()
            proc.wait()
        close_pipes(proc)
    for ns in namespaces:
        ns.forget()


def clean_env(**more):
    """What the lab's programs see of the environment: nothing that could steer them by accident."""
    keep = {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}
    return {"PATH": PATH, "LANG": "C.UTF-8", "HOME": "/nonexistent", "BERTH_STATE": "none", **keep, **more}


def close_pipes(proc):
    for pipe in (proc.stdin, proc.stdout, proc.stderr):
        if pipe:
            pipe.close()


def end(proc, grace=2.0):
    """SIGTERM, then SIGKILL, and its pipes closed."""
    if proc.poll() is None:
        proc.terminate()
        try:
            proc.wait(grace)
        except subprocess.TimeoutExpired:
            proc.kill()
            proc.wait()
    close_pipes(proc)


def wait_until(condition, seconds, what):
    """Polls until `condition()` is true and returns its value; LabError after `seconds`. `what`: a text, or what gives one then."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise LabError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(0.01)


def why_not():
    """Why no lab can be built here, or None."""
    if os.geteuid() != 0:
        return "the lab needs root"
    for path in ("/dev/net/tun", "/proc/sys/net/ipv4/ip_forward"):
        if not os.access(path, os.R_OK | os.W_OK):
            return f"the lab needs {path}, writable"
    for tool in ("nft", "ip"):
        if not shutil.which(tool, path=PATH):
            return f"the lab needs {tool}"
    probe = subprocess.run(["/usr/bin/unshare", "--net", "--mount", "nft", "-f", "-"], text=True,
                           capture_output=True, check=False, timeout=20, env={"PATH": PATH},
                           input="table inet t { chain c { type nat hook postrouting priority srcnat; masquerade; }; }")
    if probe.returncode != 0:
        return f"the lab needs network namespaces and nftables: {probe.stderr.strip()[:200]}"
    return None
