"""Networks of our own: the test moves into one, each phone gets another, with a cable between.

None of them has a name: each goes away with its last process, however the test ends.
"""

import ctypes
import os
import signal
import subprocess

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def _unshare(flags):
    if _libc.unshare(flags) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def die_with_parent():
    """Runs in a child before it becomes its program."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def isolate():
    """Moves this process into an empty network. Without root it takes a user namespace, where the system allows one."""
    if os.geteuid() == 0:
        _unshare(CLONE_NEWNET)
    else:
        user, group = os.getuid(), os.getgid()
        _unshare(CLONE_NEWUSER | CLONE_NEWNET)
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
    ip("link", "set", "lo", "up")


def forward():
    """Lets phones reach each other past the switch."""
    with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as file:
        file.write("1")


class Place:
    """A network with one cable to the switch: 10.77.N.2 here, 10.77.N.1 over there; the same with fd77:N:: before it.

    `net` are other two numbers to begin the first pair with.
    """

    count = 0

    def __init__(self, mtu=1500, net="10.77"):
        Place.count += 1
        self.number = number = Place.count
        self.address, self.switch = f"{net}.{number}.2", f"{net}.{number}.1"
        self.address6, self.switch6 = f"fd77:{number}::2", f"fd77:{number}::1"
        self._holder = subprocess.Popen(
            ["sleep", "infinity"], preexec_fn=lambda: (die_with_parent(), _unshare(CLONE_NEWNET))
        )
        self.pid = self._holder.pid
        """A process that does nothing else than be there."""
        self._file = os.open(f"/proc/{self._holder.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        near, far = f"near{number}", f"far{number}"
        size = ("mtu", str(mtu))
        ip("link", "add", near, *size, "type", "veth", "peer", "name", far, *size, "netns", str(self._holder.pid))
        ip("addr", "add", f"{self.switch}/24", "dev", near)
        ip("addr", "add", f"{self.switch6}/64", "dev", near, "nodad")
        ip("link", "set", near, "up")
        for words in (
            ("link", "set", "lo", "up"),
            ("addr", "add", f"{self.address}/24", "dev", far),
            ("addr", "add", f"{self.address6}/64", "dev", far, "nodad"),
            ("link", "set", far, "up"),
            ("route", "add", "default", "via", self.switch),
            ("-6", "route", "add", "default", "via", self.switch6),
        ):
            subprocess.run(["ip", *words], check=True, preexec_fn=self.enter)

    def enter(self):
        """Runs in a child before it becomes its program."""
        if _libc.setns(self._file, CLONE_NEWNET) != 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
