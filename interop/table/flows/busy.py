"""The callee refuses: the caller is told so (RFC 5359 has none; RFC 3665 section 3.9)."""

TITLE = "busy"


def play(stage):
    alice, bob = stage.alice, stage.bob
    mark = stage.ring(alice, bob)
    bob.refuse()
    said = stage.wait(lambda: _refusal(stage, bob, True, mark), 4, f"{bob.name} refuses")
    stage.must(said.status in (486, 600, 603), f"{bob.name} refuses with {said.first}")
    told = stage.wait(lambda: _refusal(stage, alice, False, mark), 4, f"{alice.name} is told")
    stage.must(told.status == said.status, f"the callee said {said.status}, the caller was told {told.status}")
    stage.sees(bob, False, "has its refusal acknowledged", mark, request="ACK")
    stage.nothing_is_left()


def _refusal(stage, phone, up, mark):
    """The final response other than a challenge."""
    found = [packet.sip for packet in stage.seen(phone, up, mark, method="INVITE") if packet.sip.is_response]
    return next((message for message in found if message.status >= 300 and message.status not in (401, 407)), None)
