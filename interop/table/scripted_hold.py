"""What the scripts of hold have in common."""

from .holding import fits
from .script import Callee, Caller, sdp


def hold(stage, style, description):
    """Held by the caller, then by the callee; ended by the other one while it is held."""
    alice, bob = stage.alice, stage.bob
    holds = Caller("alice", "bob").calls().pause(0.8).exchange("INVITE", description).until_bye()
    mark = stage.cast(bob=Callee("bob").is_called().rings(0).answers().pause(2.2).exchange("BYE"), alice=holds)
    _judge(stage, alice, bob, style, mark, number=2)
    stage.finish()
    stage.clean()
    holds = Callee("bob").is_called().rings(0).answers().pause(0.8).exchange("INVITE", description).until_bye()
    mark = stage.cast(bob=holds, alice=Caller("alice", "bob").calls().pause(2.2).exchange("BYE"))
    _judge(stage, bob, alice, style, mark, number=1)
    stage.finish()


def _judge(stage, holder, other, style, mark, number):
    asked = stage.sees(holder, True, "asks for hold", mark, request="INVITE", number=number)
    answer = stage.wait(lambda: _answer(stage, holder, mark, asked), 3, f"{holder.name} has its hold accepted")
    wrong = fits(asked, answer, style)
    stage.must(not wrong, wrong)
    stage.does_not_hear(holder, other, "on hold", seconds=1.2)


def _answer(stage, holder, mark, asked):
    found = stage.seen(holder, False, mark, method="INVITE", status=200)
    return next((packet.sip for packet in found if packet.sip.sequence == asked.sequence), None)


def resumed(holder):
    """Adds hold, resume, hold and resume to a party that talks."""
    for version in (2, 4):
        holder.exchange("INVITE", sdp("sendonly", version=version)).pause(0.3).exchange("INVITE", sdp(version=version + 1)).pause(0.3)
    return holder
