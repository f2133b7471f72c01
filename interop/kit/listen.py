"""What a phone is sent and sends, told from the RTP on its cable: the tones of G.711."""

import math

ULAW, ALAW = 0, 8
RATE = 8000
LOUD = 10 ** (-40 / 20)
"""Under -40 dBFS nobody would call it audible."""
PURE = 0.7
"""The part of the power that must lie in the tone that is named."""


def _ulaw(byte):
    byte = ~byte & 0xFF
    size = ((((byte & 0x0F) << 3) + 0x84) << ((byte & 0x70) >> 4)) - 0x84
    return -size if byte & 0x80 else size


def _alaw(byte):
    byte ^= 0x55
    size, segment = (byte & 0x0F) << 4, (byte & 0x70) >> 4
    size = size + 8 if segment == 0 else (size + 0x108) << (segment - 1)
    return size if byte & 0x80 else -size


TABLES = {ULAW: [_ulaw(byte) / 32768 for byte in range(256)], ALAW: [_alaw(byte) / 32768 for byte in range(256)]}


def is_rtp(packet):
    payload = packet.payload
    return packet.sip is None and len(payload) > 12 and payload[0] >> 6 == 2 and not 72 <= payload[1] & 0x7F <= 79


def samples(packets):
    """Of the G.711 among the packets, in the order in which they came."""
    sound = []
    for packet in packets:
        table = TABLES.get(packet.payload[1] & 0x7F)
        if table:
            head = 12 + 4 * (packet.payload[0] & 15)
            sound += [table[byte] for byte in packet.payload[head:]]
    return sound


def level(sound):
    """RMS, 1 being full scale."""
    return math.sqrt(sum(sample * sample for sample in sound) / len(sound)) if sound else 0.0


def share(sound, hertz):
    """How much of the power is in a tone (Goertzel's filter), 0 to 1, over pieces of 50 ms."""
    piece, total, inside = 400, 0.0, 0.0
    factor = 2 * math.cos(2 * math.pi * hertz / RATE)
    for start in range(0, len(sound) - piece + 1, piece):
        one = two = 0.0
        part = sound[start : start + piece]
        for sample in part:
            one, two = sample + factor * one - two, one
        total += sum(sample * sample for sample in part)
        inside += (one * one + two * two - factor * one * two) * 2 / piece
    return inside / total if total else 0.0


def tone(packets, candidates):
    """Which of the frequencies is heard in RTP packets; 0 if it is quiet, None if it is something else."""
    sound = samples(packets)
    if level(sound) < LOUD:
        return 0
    best = max(candidates, key=lambda hertz: share(sound, hertz))
    return best if share(sound, best) > PURE else None
