"""A STUN server that is not ours: coturn, with the two addresses that RFC 5780 needs, or with one."""

import socket

from . import network, programs, verdict

PORT = 3478


class Stun:
    """Answers at the first of these addresses, which become this network's own; the second is its other one."""

    def __init__(self, *addresses):
        self.addresses = addresses
        for address in addresses:
            network.ip("addr", "add", f"{address}/32", "dev", "lo")
        listens = [f"--listening-ip={address}" for address in addresses]
        log = verdict.SCRATCH / f"coturn-{addresses[0]}.log"
        folder = verdict.SCRATCH / f"coturn-{addresses[0]}"
        folder.mkdir(parents=True, exist_ok=True)
        self.program = programs.start(
            ["turnserver", "-n", "--stun-only", "--no-tls", "--no-dtls", "--no-cli", f"--listening-port={PORT}",
             "--alt-listening-port=3479", "--log-file=stdout", f"--userdb={folder}/db", f"--pidfile={folder}/pid", *listens],
            log, cwd=folder)
        verdict.wait_for(self._answers, 10, "coturn answers")

    def _answers(self):
        """Whether it says where a Binding request came from."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asks:
            asks.settimeout(0.5)
            asks.connect((self.addresses[0], PORT))
            try:
                asks.send(bytes.fromhex("000100002112a442") + b"twelve bytes")
                return asks.recv(1500)[:2] == b"\1\1"
            except OSError:
                return False
