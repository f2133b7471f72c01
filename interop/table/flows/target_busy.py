"""The target of a transfer is busy: the transferor is told so, and the two talk as before (RFC 5589 section 6.2)."""

from table.moving import asked, back, outcome, target_rings

TITLE = "transfer target busy"


def play(stage):
    alice, bob, carol = stage.alice, stage.bob, stage.carol
    stage.talk(alice, bob)
    mark = stage.mark()
    alice.transfer(carol.uri)
    asked(stage, alice, mark)
    target_rings(stage, carol, mark)
    carol.refuse()
    found = outcome(stage, alice, mark)
    stage.must(found in (486, 600, 603), f"{alice.name} is told {found}")
    back(stage, alice, bob, mark)
