"""Hold by a=sendonly (RFC 3264 section 8.4, RFC 5359 section 2.1): answered with recvonly, and heard."""

from table.holding import hold

TITLE = "hold (sendonly)"


def play(stage):
    hold(stage, stage.alice, stage.bob, "sendonly")
