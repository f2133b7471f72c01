"""A place whose cable is in our hands: every packet is seen, and any of them may be lost or held back for a while.

Two pairs of veth with a pump between them, because what a program measures of itself is not evidence: what is judged is what
passed here.
"""

import ctypes
import fcntl
import os
import selectors
import socket
import struct
import threading
import time

from . import network, verdict
from .rawsip import Message

ETH_IP, ETH_ALL = 0x0800, 0x0003
OUTGOING = 4
"""The type that a packet socket gives to a packet which we sent ourselves."""
UDP = 17
MTU = 9000
"""Large enough that no SIP message is cut up."""
SIOCETHTOOL = 0x8946
OFFLOADS = (0x17, 0x1F, 0x25)
"""ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO."""
SIP_PORTS = (5060, 5061)


class Packet:
    """A UDP datagram on a cable. `up` is towards the switch; `lost` if a rule threw it away."""

    def __init__(self, at, place, up, frame, addresses, payload):
        self.at, self.place, self.up, self.frame = at, place, up, frame
        self.source, self.target = addresses
        self.payload, self.lost = payload, False
        self.sip = self._message()

    def _message(self):
        ported = self.source[1] in SIP_PORTS or self.target[1] in SIP_PORTS
        if not ported or not self.payload.strip():
            return None
        return Message(self.payload)


def read(at, place, up, frame):
    """The datagram in an Ethernet frame, or None if it is something else."""
    if len(frame) < 42 or struct.unpack_from("!H", frame, 12)[0] != ETH_IP or frame[23] != UDP:
        return None
    start = 14 + (frame[14] & 15) * 4
    source_port, target_port, length = struct.unpack_from("!HHH", frame, start)
    addresses = (socket.inet_ntoa(bytes(frame[26:30])), source_port), (socket.inet_ntoa(bytes(frame[30:34])), target_port)
    return Packet(at, place, up, frame, addresses, bytes(frame[start + 8 : start + length]))


def _of_a_call(packet):
    return packet.sip is not None and packet.sip.method in ("INVITE", "ACK", "BYE", "CANCEL", "PRACK", "UPDATE")


class Held:
    """Packets that a rule keeps, until they are released in the order in which they came, or those of one direction before."""

    def __init__(self, pump, wanted, most=None):
        self._pump, self._wanted, self._most = pump, wanted, most
        self.packets = []

    def __call__(self, packet):
        if self._most is not None and len(self.packets) >= self._most or not self._wanted(packet):
            return False
        self.packets.append(packet)
        return True

    def release_first(self, up):
        """Lets go those of one direction, and keeps the others and nothing more."""
        self._most = 0
        self._let_go([packet for packet in self.packets if packet.up is up])
        self.packets = [packet for packet in self.packets if packet.up is not up]

    def release(self):
        self._pump.rules.remove(self)
        self._let_go(self.packets)

    def _let_go(self, packets):
        for packet in packets:
            packet.at = time.monotonic()
            self._pump.pass_on(packet)
            self._pump.packets.append(packet)


class Lost:
    """Loses the packets that are wanted, `most` of them."""

    def __init__(self, pump, wanted, most=1):
        self._pump, self._wanted, self._most = pump, wanted, most
        self.packets = []

    def __call__(self, packet):
        if len(self.packets) >= self._most or not self._wanted(packet):
            return False
        packet.lost = True
        self.packets.append(packet)
        self._pump.packets.append(packet)
        return True

    def release(self):
        self._pump.rules.remove(self)


class Pump:
    """Carries frames between both halves of all cables, in one thread."""

    def __init__(self):
        self.packets = []
        self.rules = []
        self._past = set()
        self._selector = selectors.DefaultSelector()
        self._wake, wakes = socket.socketpair()
        self._selector.register(wakes, selectors.EVENT_READ, None)
        self._waiting = []
        self._other = {}
        threading.Thread(target=self._run, daemon=True).start()

    def connect(self, place, near, far):
        self._other[(place, True)], self._other[(place, False)] = near, far
        self._waiting += [(far, (place, True)), (near, (place, False))]
        self._wake.send(b"x")

    def hold(self, wanted, most=None):
        self.rules.append(Held(self, wanted, most))
        return self.rules[-1]

    def lose(self, wanted, most=1):
        self.rules.append(Lost(self, wanted, most))
        return self.rules[-1]

    def forget(self):
        """Starts anew: no rule, nothing seen. What is still said of calls that were seen (a proxy repeats itself for long) is lost."""
        for rule in list(self.rules):
            rule.release()
        self._past |= {packet.sip.get("Call-ID") for packet in self.packets if _of_a_call(packet)}
        self.packets = []

    def _run(self):
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    key.fileobj.recv(64)
                    while self._waiting:
                        end, data = self._waiting.pop()
                        self._selector.register(end, selectors.EVENT_READ, data)
                else:
                    self._take(key.fileobj, *key.data)

    def _take(self, end, place, up):
        try:
            frame, address = end.recvfrom(65536)
        except OSError:
            return
        if address[2] == OUTGOING:
            return
        frame = bytearray(frame)
        packet = read(time.monotonic(), place, up, frame)
        if packet is None:
            self._send(place, up, frame)
        elif _of_a_call(packet) and packet.sip.get("Call-ID") in self._past:
            return
        elif not any(rule(packet) for rule in list(self.rules)):
            self.pass_on(packet)
            self.packets.append(packet)

    def pass_on(self, packet):
        self._send(packet.place, packet.up, packet.frame)

    def _send(self, place, up, frame):
        try:
            self._other[(place, up)].send(frame)
        except OSError as error:
            verdict.say(f"cable of {place.address}: {error}")


class CabledPlace(network.Place):
    """Like any place (10.77.N.2 here, 10.77.N.1 over there), with a pump in its cable."""

    def __init__(self, pump):
        super().__init__(mtu=MTU)
        self.pump = pump
        number = self.number
        # The cable of `Place` is cut: its near end becomes the far half's end, and the address moves to a new pair.
        network.ip("addr", "flush", "dev", f"near{number}")
        network.ip("link", "add", f"sw{number}", "mtu", str(MTU), "type", "veth", "peer", "name", f"in{number}", "mtu", str(MTU))
        network.ip("addr", "add", f"{self.switch}/24", "dev", f"sw{number}")
        network.ip("link", "set", f"sw{number}", "up")
        # The kernel would answer here too, for an address that is on another interface.
        for name in (f"near{number}", f"in{number}"):
            network.ip("link", "set", name, "up", "arp", "off")
        _finish_packets(f"sw{number}")
        self._inside(lambda: _finish_packets(f"far{number}"))
        pump.connect(self, _packets_of(f"in{number}"), _packets_of(f"near{number}"))

    def socket(self, port, kind=socket.SOCK_DGRAM):
        """A socket that lives in this place."""

        def make():
            one = socket.socket(socket.AF_INET, kind)
            one.bind((self.address, port))
            return one

        return self._inside(make)

    def _inside(self, action):
        """Does something in this network: each thread may be in another."""
        results = []

        def act():
            self.enter()
            results.append(action())

        thread = threading.Thread(target=act)
        thread.start()
        thread.join()
        return results[0]


def _finish_packets(interface):
    """veth leaves checksums and cutting to a network card, which is not there between its halves and ours."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for offload in OFFLOADS:
            off = ctypes.create_string_buffer(struct.pack("=II", offload, 0))
            request = struct.pack("=16sQ16x", interface.encode(), ctypes.addressof(off))
            try:
                fcntl.ioctl(any_socket, SIOCETHTOOL, request)
            except OSError as error:
                verdict.say(f"{interface}: offload {offload:#x} stays: {error}")


def _packets_of(interface):
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_ALL))
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    end.bind((interface, 0))
    os.set_inheritable(end.fileno(), False)
    return end
