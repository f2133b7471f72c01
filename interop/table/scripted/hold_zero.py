"""Hold as RFC 2543 had it: the answer agrees about the direction, and the holder is sent nothing of the other one."""

from table.scripted_hold import hold
from table.script import sdp

TITLE = "hold (c=0.0.0.0)"


def play(stage):
    hold(stage, "zero", sdp(address="0.0.0.0", version=2))
