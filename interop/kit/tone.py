"""A telephone's voice: a tone, sent as PCMU, and what came in of late."""

import math
import socket
import threading
import time

STEP = 0.02
KEPT = 25
"""Packets that came in last."""


def ulaw(sample):
    sign, sample = (0x80, -sample) if sample < 0 else (0, sample)
    sample = min(sample, 32635) + 0x84
    exponent = sample.bit_length() - 8
    return ~(sign | exponent << 4 | sample >> (exponent + 3) & 0x0F) & 0xFF


class Tone(threading.Thread):
    """Sends a tone to the address in `to`, as long as there is one. `came` are the last packets that came in."""

    def __init__(self, address, port, hertz, own=None):
        super().__init__(daemon=True)
        self.socket = own or socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if own is None:
            self.socket.bind((address, port))
        self.socket.setblocking(False)
        self.to, self.came, self._closed = None, [], False
        self._sound = bytes(ulaw(int(8000 * math.sin(2 * math.pi * hertz * at / 8000))) for at in range(8000))

    def run(self):
        sequence, due = 0, time.monotonic()
        while not self._closed:
            time.sleep(max(0.0, due - time.monotonic()))
            due += STEP
            start = sequence * 160 % 8000
            head = bytes([0x80, 0]) + (sequence & 0xFFFF).to_bytes(2, "big") + (sequence * 160 & 0xFFFFFFFF).to_bytes(4, "big")
            try:
                if self.to:
                    self.socket.sendto(head + b"tone" + self._sound[start : start + 160], self.to)
                while True:
                    self.came = [*self.came[1 - KEPT :], self.socket.recv(2048)]
            except OSError:
                # Nothing more to read, or nobody there.
                pass
            sequence += 1
        self.socket.close()

    def close(self):
        self._closed = True
        self.join()
