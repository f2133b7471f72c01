"""Hold by a=inactive: the answer agrees about the direction, and the holder is sent nothing of the other one."""

from table.scripted_hold import hold
from table.script import sdp

TITLE = "hold (inactive)"


def play(stage):
    hold(stage, "inactive", sdp("inactive", version=2))
