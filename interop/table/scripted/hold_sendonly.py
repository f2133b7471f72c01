"""Hold by a=sendonly: the answer agrees about the direction, and the holder is sent nothing of the other one."""

from table.scripted_hold import hold
from table.script import sdp

TITLE = "hold (sendonly)"


def play(stage):
    hold(stage, "sendonly", sdp("sendonly", version=2))
