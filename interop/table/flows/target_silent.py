"""The target of a transfer never answers: it is cancelled, the transferor told, and the two talk as before (RFC 5589 section 6.3)."""

from table.moving import asked, back, outcome, target_rings, unanswered

TITLE = "transfer target silent"


def play(stage):
    alice, bob, carol = stage.alice, stage.bob, stage.carol
    stage.talk(alice, bob)
    mark = stage.mark()
    alice.transfer(carol.uri)
    asked(stage, alice, mark)
    target_rings(stage, carol, mark)
    unanswered(stage, carol, mark)
    found = outcome(stage, alice, mark)
    stage.must(found in (408, 480, 487), f"{alice.name} is told {found}")
    back(stage, alice, bob, mark)
