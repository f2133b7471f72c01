"""What the flows of hold have in common."""

import time

from .stage import WINDOW

DIRECTIONS = {"sendonly": ("recvonly", "inactive"), "inactive": ("inactive",)}


def held(stage, holder, other, style="sendonly"):
    """Puts the other one on hold; the result is the answer of the switch."""
    mark = stage.mark()
    holder.hold(style)
    asked = stage.sees(holder, True, "asks for hold", mark, request="INVITE")
    answer = stage.sees(holder, False, "has its hold accepted", mark, method="INVITE", status=200)
    stage.must(is_hold(asked.body), f"{holder.name} does not ask for hold: {asked.body!r}")
    # A phone that is not done with its hold takes no other command.
    stage.sees(holder, True, "acknowledges the 200", mark, request="ACK")
    # The other one hears the switch's hold, or what the holder plays: RFC 3264 leaves it to both.
    stage.does_not_hear(holder, other, "on hold")
    return asked, answer


def is_hold(body):
    return any(word in body for word in ("a=sendonly", "a=inactive", "c=IN IP4 0.0.0.0"))


def fits(asked, answer, style):
    """What is wrong with the answer to a hold of a style, or nothing."""
    lines = answer.body.split("\r\n")
    wanted = "c=IN IP4 0.0.0.0" if style == "zero" else f"a={style}"
    if wanted not in asked.body:
        return f"this is another style: {asked.body!r}"
    if style != "zero" and not any(f"a={word}" in lines for word in DIRECTIONS[style]):
        return f"the answer to {style} is {answer.body!r}"
    return None


def sound(stage, holder, other):
    """In words, what the other one is sent while it is held; what it was sent before is over by then."""
    time.sleep(WINDOW)
    heard = stage.heard(other)
    names = {0: "silence", None: "music", holder.hertz: "what the holder plays"}
    return " and ".join(sorted(names.get(hertz, f"{hertz} Hz") for hertz in heard)) or "nothing"


def hold(stage, holder, other, style):
    """A call, held in a style, checked, and ended while it is held."""
    stage.talk(stage.alice, stage.bob)
    asked, answer = held(stage, holder, other, style)
    wrong = fits(asked, answer, style)
    stage.must(not wrong, wrong)
    stage.note(f"who is held is sent {sound(stage, holder, other)}")
    if style != "sendonly":
        stage.wait(lambda: not any(stage.heard(holder)), 3, f"{holder.name} is sent nothing but silence")
    # It must be the same call that ends, from the other side.
    stage.ends(other, holder)
