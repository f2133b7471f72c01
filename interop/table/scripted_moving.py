"""What the scripts of transfer have in common."""

from urllib.parse import quote

from .script import DOMAIN, Callee, Caller, Later, sdp

SECOND_PORT = 5061


def refer(script, to=f"sip:carol@{DOMAIN}", status=202):
    """Adds a REFER and its answer."""
    script.request("REFER", headers=[f"Refer-To: <{to}>", f"Referred-By: <sip:{script.user}@{DOMAIN}>"])
    return script.receive(status)


def consulted(stage, carol):
    """Alice holds bob and dials carol, from a SIPp of its own; the results are the mark before and the 200 of the first call."""
    alice, bob = stage.alice, stage.bob
    holds = Caller("alice", "bob").calls().pause(0.5).exchange("INVITE", sdp("sendonly", version=2))
    mark = stage.cast(carol=carol, bob=Callee("bob").is_called().rings(0).answers().until_bye(), alice=holds)
    first = stage.sees(alice, False, "is answered", mark, method="INVITE", status=200)
    stage.hear_each_other(alice, bob, "before the hold")
    alice.finish(4)
    return mark, first


def replaces(dialog):
    """A dialog of the one who transfers, as the target knows it: its own tag is in To."""
    own, far = (dialog.get(name).split(";tag=")[1].split(";")[0] for name in ("From", "To"))
    return f"{dialog.get('Call-ID')};to-tag={far};from-tag={own}"


def connect(stage, first, second):
    """Alice's REFER with Replaces, within the first call. It was her second request but for ACK."""
    to = f"sip:carol@{DOMAIN}?Replaces={quote(replaces(second), safe='')}"
    stage.alice.plays(refer(Later("alice", first, 2), to).until_bye(), call_id=first.get("Call-ID"))
