"""Session timers (RFC 4028): one that is too small is refused with 422; else the refresher is told, and refreshes by UPDATE."""

from table.script import Callee, Caller, sdp

TITLE = "session refresh"


def play(stage):
    alice, bob = stage.alice, stage.bob
    small = Caller("alice", "bob").invites(headers=["Supported: timer", "Session-Expires: 30"]).receive(100, optional=True).refused(422)
    alice.plays(small)
    stage.finish()
    alice.tidy()
    caller = Caller("alice", "bob").calls(headers=["Supported: timer", "Session-Expires: 120;refresher=uac"]).pause(0.5)
    caller.exchange("UPDATE", headers=["Supported: timer", "Session-Expires: 120;refresher=uac"]).pause(0.3)
    caller.exchange("INVITE", sdp(), headers=["Supported: timer", "Session-Expires: 120;refresher=uac"]).pause(0.7).exchange("BYE")
    mark = stage.cast(bob=Callee("bob").is_called().rings(0).answers().until_bye(), alice=caller)
    for method, number in (("INVITE", 1), ("UPDATE", 1), ("INVITE", 2)):
        answer = stage.sees(alice, False, "is answered", mark, method=method, status=200, number=number)
        expires = answer.get("Session-Expires") or answer.get("x") or ""
        stage.must(expires.startswith("120") and "refresher=uac" in expires, f"the 200 of {method} says Session-Expires: {expires!r}")
        stage.must("timer" in ",".join(answer.all("Require")), f"the 200 of {method} lacks Require: timer")
    stage.hear_each_other(alice, bob, "after the refreshes")
    stage.finish()
