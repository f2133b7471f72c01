"""One calls, the other answers, both hear each other; first the callee hangs up, then the caller."""

TITLE = "call"


def play(stage):
    alice, bob = stage.alice, stage.bob
    stage.talk(alice, bob)
    stage.ends(bob, alice)
    stage.talk(bob, alice)
    stage.ends(bob, alice)
