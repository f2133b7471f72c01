"""The ACK is lost on both legs: each 200 is repeated until it is acknowledged again."""

from table.script import Callee, Caller

TITLE = "200 retransmitted"


def play(stage):
    alice, bob = stage.alice, stage.bob
    lost = [
        stage.pump.lose(lambda packet: _is_ack(packet) and packet.place is bob.place and not packet.up),
        stage.pump.lose(lambda packet: _is_ack(packet) and packet.place is alice.place and packet.up),
    ]
    callee = Callee("bob").is_called().respond(180).answers().until_bye()
    mark = stage.cast(bob=callee, alice=Caller("alice", "bob").calls().pause(2).exchange("BYE"))
    stage.sees(bob, True, "repeats its 200", mark, number=2, method="INVITE", status=200)
    stage.sees(bob, False, "is sent the ACK again", mark, number=2, request="ACK")
    stage.sees(alice, False, "is sent the 200 again", mark, number=2, method="INVITE", status=200)
    stage.must(all(rule.packets for rule in lost), "an ACK is lost on each leg")
    stage.hear_each_other(alice, bob, "after the second ACK")
    stage.finish()


def _is_ack(packet):
    return packet.sip and not packet.sip.is_response and packet.sip.method == "ACK"
