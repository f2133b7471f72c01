"""The transferor talks to both and connects them, by REFER with Replaces (RFC 3891, RFC 5359 section 2.5)."""

from table.moving import asked, moved, target_rings

TITLE = "attended transfer"


def play(stage):
    alice, bob, carol = stage.alice, stage.bob, stage.carol
    stage.talk(alice, bob)
    mark = stage.mark()
    alice.consult(carol.uri)
    target_rings(stage, carol, mark)
    carol.answer()
    stage.hear_each_other(alice, carol, "while bob waits")
    refer = stage.mark()
    alice.complete()
    asked(stage, alice, refer)
    moved(stage, alice, bob, carol, refer)
