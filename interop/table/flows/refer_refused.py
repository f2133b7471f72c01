"""A transfer to somebody who does not exist: the REFER is refused, or accepted and then reported as failed; the call goes on."""

from table.moving import back, outcome

TITLE = "REFER refused"
NOBODY = "sip:nobody@example.test"


def play(stage):
    alice, bob = stage.alice, stage.bob
    stage.talk(alice, bob)
    mark = stage.mark()
    alice.transfer(NOBODY)
    stage.sees(alice, True, "sends REFER", mark, request="REFER")
    answer = stage.wait(lambda: _answer(stage, alice, mark), 4, "the REFER is answered")
    if answer < 300:
        found = outcome(stage, alice, mark)
        stage.must(found is not None and found >= 400, f"{alice.name} is told {found}")
    back(stage, alice, bob, mark)


def _answer(stage, phone, mark):
    statuses = [packet.sip.status for packet in stage.seen(phone, False, mark, method="REFER") if packet.sip.is_response]
    return next((status for status in statuses if status not in (401, 407)), None)
