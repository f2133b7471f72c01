"""Two phones call each other through the switch, and each must hear the other's tone."""

import time

from . import ears, verdict

TALK = 4.4
"""Seconds that a call stands: the moments of connecting and hanging up are not listened to."""


def call(caller, callee, who_ends=None, noise=1):
    """The caller dials the callee, both talk, one of them hangs up (the callee, if nobody is named)."""
    verdict.say(f"{caller.name} ({caller.transport}) dials {callee.name} ({callee.transport})")
    from_caller, from_callee = caller.mark(), callee.mark()
    caller.dial(callee.uri)
    callee.expect("CALL_ESTABLISHED", from_callee)
    caller.expect("CALL_ESTABLISHED", from_caller)
    time.sleep(TALK)
    (who_ends or callee).hang_up()
    callee.expect("CALL_CLOSED", from_callee)
    caller.expect("CALL_CLOSED", from_caller)
    time.sleep(0.3)
    ears.hears(caller.name, caller.recording(), callee.hertz, noise=noise)
    ears.hears(callee.name, callee.recording(), caller.hertz, noise=noise)
