"""Guesses the password of a user: REGISTERs with digest, thousands a second, from one port. A program, to be run in a place:

    python3 -m kit.guesser SWITCH PORT USER RATE SECONDS

When that is over, or upon SIGTERM, it prints how many it has sent, and how many answers came. With RATE 0 it asks once, with OPTIONS, and sends nothing more.
"""

import re
import signal
import socket
import sys
import time

BURST = 50

to_end = False


def end(*_):
    global to_end
    to_end = True


def message(method, here, host, user, number, more=""):
    uri = f"sip:{host}"
    return (
        f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK-g{number};rport\r\nMax-Forwards: 70\r\n"
        f"From: <sip:{user}@example.test>;tag=g\r\nTo: <sip:{user}@example.test>\r\nCall-ID: guess-{here}\r\n"
        f"CSeq: {number} {method}\r\nContact: <sip:{user}@{here}>\r\n{more}Content-Length: 0\r\n\r\n"
    ).encode()


def answers(link):
    """How many have come."""
    count = 0
    try:
        while link.recv(65536):
            count += 1
    except OSError:
        return count


def guess(switch, port, user, rate, seconds):
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    link.connect((switch, port))
    here = "{}:{}".format(*link.getsockname())
    link.settimeout(3)
    link.send(message("REGISTER" if rate else "OPTIONS", here, "example.test", user, 1))
    try:
        challenge = link.recv(65536).decode()
    except TimeoutError:
        return 1, 0
    if not rate:
        return 1, 1
    nonce = re.search(r'nonce="([^"]+)"', challenge).group(1)
    link.setblocking(False)
    sent, heard, start = 1, 1, time.monotonic()
    while not to_end and (passed := time.monotonic() - start) < seconds:
        if sent > passed * rate:
            time.sleep(0.002)
            continue
        for _ in range(BURST):
            sent += 1
            digest = (
                f'Authorization: Digest username="{user}", realm="example.test", nonce="{nonce}", uri="sip:example.test", '
                f'algorithm=MD5, qop=auth, nc={sent:08x}, cnonce="c", response="{sent:032x}"\r\n'
            )
            try:
                link.send(message("REGISTER", here, "example.test", user, sent, digest))
            except OSError:
                # Nobody is to be believed here but the answers.
                pass
        heard += answers(link)
    return sent, heard


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, end)
    switch, port, user, rate, seconds = sys.argv[1:]
    print(*guess(switch, int(port), user, int(rate), int(seconds)), flush=True)
