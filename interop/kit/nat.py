"""Networks behind address translators: routers made of nftables, each a network namespace between a phone and the switch.

A router is 198.18.N.2 outside, which is no private address, and 192.168.N.1 inside. The switch knows the way inwards, so that
tests reach the phones' control ports by TCP; datagrams that no phone has asked for are dropped on that way, as everywhere.
What kinds there are is said in the terms of RFC 4787.
"""

import os
import shutil
import subprocess

from . import network, verdict

PUBLIC = "198.18"
"""Addresses that are neither private nor anybody's (RFC 2544)."""

KINDS = {
    # Mapping, then filtering: each independent of the other end, dependent on its address, on address and port.
    "full cone": ("masquerade", "open"),
    "address-restricted": ("masquerade", "address"),
    "port-restricted": ("masquerade", "none"),
    "symmetric": ("masquerade random,fully-random", "none"),
}

RULES = """
table ip nat {{
    map ports {{ type inet_service : ipv4_addr; flags dynamic,timeout; timeout 120s; size 4096; }}
    set talked {{ type inet_service . ipv4_addr; flags dynamic,timeout; timeout 120s; size 4096; }}
    chain out {{
        type nat hook postrouting priority 100;
        oifname "outside" {mapping}
    }}
    chain seen {{
        type filter hook forward priority -10;
        iifname "inside" meta l4proto udp update @ports {{ udp sport : ip saddr }}
        iifname "inside" meta l4proto udp update @talked {{ udp sport . ip daddr }}
    }}
    chain in {{
        type nat hook prerouting priority -100;
        {opening}
    }}
    chain guard {{
        type filter hook forward priority 0;
        iifname "outside" meta l4proto udp ct state new ct status & dnat == 0 counter drop
    }}
    chain own {{
        type filter hook input priority 0;
        iifname "outside" meta l4proto udp drop
    }}
    chain cut {{
        type filter hook forward priority 10;
    }}
}}
"""

OPENINGS = {
    "none": "",
    "address": 'iifname "outside" udp dport . ip saddr @talked dnat to udp dport map @ports',
    "open": 'iifname "outside" meta l4proto udp dnat to udp dport map @ports',
}


def needs_routers():
    """Skips the test where no network can translate addresses. To be called after `verdict.begin`."""
    for word in ("nft", "sysctl"):
        if not shutil.which(word):
            verdict.skip(f"no {word}: routers are made of nftables")
    rules = "table ip probe { chain out { type nat hook postrouting priority 100; masquerade; }; }"
    done = subprocess.run(["nft", rules], capture_output=True, text=True)
    if done.returncode:
        verdict.skip(f"this system does not let us translate addresses: {done.stderr.strip()}")
    subprocess.run(["nft", "delete table ip probe"], check=True)


class Behind:
    """A place like `network.Place`, behind a router of its own, or with others behind the same, or behind another one."""

    count = 0

    def __init__(self, kind, behind=None, udp_timeout=30):
        Behind.count += 1
        self.number = Behind.count
        self.kind = kind
        mapping, opening = KINDS[kind]
        self.inner = f"192.168.{self.number}"
        self.router = router = network.Place(net=PUBLIC) if behind is None else behind.room()
        self.switch = router.switch
        self._rooms = 1
        cable = "eth" if behind else f"far{router.number}"
        self._run("ip", "link", "set", cable, "down")
        self._run("ip", "link", "set", cable, "name", "outside")
        self._run("ip", "link", "set", "outside", "up")
        self._run("ip", "route", "replace", "default", "via", router.gateway if behind else router.switch)
        self._run("ip", "link", "add", "inside", "type", "bridge")
        self._run("ip", "addr", "add", f"{self.inner}.1/24", "dev", "inside")
        self._run("ip", "link", "set", "inside", "up")
        self._run("sysctl", "-qw", "net.ipv4.ip_forward=1", f"net.netfilter.nf_conntrack_udp_timeout={udp_timeout}",
                  f"net.netfilter.nf_conntrack_udp_timeout_stream={udp_timeout}")
        self._run("nft", RULES.format(mapping=mapping, opening=OPENINGS[opening]))
        self.route_from_switch(router)

    def route_from_switch(self, router):
        """For the tests' own way to the phones."""
        first = router
        while isinstance(first, Room):
            first.parent._run("ip", "route", "replace", f"{self.inner}.0/24", "via", first.address)
            first = first.parent.router
        network.ip("route", "replace", f"{self.inner}.0/24", "via", first.address)

    def _run(self, *words):
        done = subprocess.run(list(words), capture_output=True, text=True, preexec_fn=self.router.enter)
        if done.returncode:
            verdict.fail(f"{' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def room(self):
        """Another network with a cable to the inside of this router."""
        self._rooms += 1
        return Room(self, self._rooms)

    def nft(self, text):
        """More rules for this router."""
        self._run("nft", text)

    def move(self, address):
        """The router gets another address outside: what it had translated is forgotten, as after a new dial-in."""
        self._run("ip", "addr", "del", f"{self.router.address}/24", "dev", "outside")
        self._run("ip", "addr", "add", f"{address}/24", "dev", "outside")
        self.router.address = address
        # With the last address of the cable its routes went as well.
        self._run("ip", "route", "replace", "default", "via", self.router.switch)
        network.ip("route", "replace", f"{self.inner}.0/24", "via", address)


class Room:
    """A network behind a router, for one phone: 192.168.N.M."""

    def __init__(self, parent, number):
        self.parent = parent
        self.number = number
        self.gateway = f"{parent.inner}.1"
        self.address = f"{parent.inner}.{number}"
        self.switch = parent.switch
        self._holder = subprocess.Popen(
            ["sleep", "infinity"],
            preexec_fn=lambda: (network.die_with_parent(), network._unshare(network.CLONE_NEWNET)),
        )
        self.pid = self._holder.pid
        self._file = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        port = f"room{number}"
        parent._run("ip", "link", "add", port, "type", "veth", "peer", "name", "eth", "netns", str(self.pid))
        parent._run("ip", "link", "set", port, "master", "inside", "up")
        for words in (
            ("link", "set", "lo", "up"),
            ("addr", "add", f"{self.address}/24", "dev", "eth"),
            ("link", "set", "eth", "up"),
            ("route", "add", "default", "via", self.gateway),
        ):
            subprocess.run(["ip", *words], check=True, preexec_fn=self.enter)

    def enter(self):
        """Runs in a child before it becomes its program."""
        network.Place.enter(self)

