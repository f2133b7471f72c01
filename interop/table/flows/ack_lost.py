"""The ACK is lost: the 200 is repeated until it is acknowledged again (RFC 3261 section 13.3.1.4), on both legs."""

TITLE = "200 retransmitted"


def play(stage):
    alice, bob = stage.alice, stage.bob
    mark = stage.ring(alice, bob)
    lost = [
        stage.pump.lose(lambda packet: _is_ack(packet) and packet.place is bob.place and not packet.up),
        stage.pump.lose(lambda packet: _is_ack(packet) and packet.place is alice.place and packet.up),
    ]
    bob.answer()
    stage.wait(lambda: all(rule.packets for rule in lost), 4, "an ACK is lost on each leg")
    stage.sees(bob, True, "repeats its 200", mark, number=2, method="INVITE", status=200)
    stage.sees(bob, False, "is sent the ACK again", mark, number=2, request="ACK")
    stage.sees(alice, False, "is sent the 200 again", mark, number=2, method="INVITE", status=200)
    stage.sees(alice, True, "sends its ACK again", mark, number=3 if _challenged(stage, alice, mark) else 2, request="ACK")
    stage.hear_each_other(alice, bob, "after the second ACK")
    stage.ends(alice, bob)


def _is_ack(packet):
    # The ACK of a challenge has no part in this: both rules are made after it.
    return packet.sip and not packet.sip.is_response and packet.sip.method == "ACK"


def _challenged(stage, phone, mark):
    return any(stage.seen(phone, False, mark, method="INVITE", status=401))
