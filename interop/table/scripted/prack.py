"""100rel required by the caller and used by the callee: every 183 is acknowledged by PRACK on its own leg; one PRACK is lost."""

from table.script import Callee, Caller, sdp

TITLE = "PRACK"


def play(stage):
    alice, bob = stage.alice, stage.bob
    callee = Callee("bob").is_called().respond(183, sdp(), ["Require: 100rel", "RSeq: 77"])
    callee.receive("PRACK").inside().respond(200).pause(0.5)
    callee.respond_to_invite(200, None).receive("ACK").until_bye()
    caller = Caller("alice", "bob").invites(headers=["Require: 100rel"]).receive(100, optional=True)
    rseq = '<ereg regexp="[0-9]+" search_in="hdr" header="RSeq:" check_it="true" assign_to="rseq"/>'
    caller.receive(183, actions=rseq, dialog=True).request("PRACK", headers=["RAck: [$rseq] 1 INVITE"]).receive(200)
    caller.is_answered_as(1).pause(1).exchange("BYE")
    lost = stage.pump.lose(lambda packet: packet.place is bob.place and not packet.up and _is_prack(packet))
    stage.cast(bob=callee, alice=caller)
    stage.hear_each_other(alice, bob, "after the answer")
    stage.must(lost.packets, "no PRACK was lost")
    stage.finish()


def _is_prack(packet):
    return packet.sip and not packet.sip.is_response and packet.sip.method == "PRACK"
