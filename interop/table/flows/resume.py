"""Who held takes the call back: both hear each other as before; twice, and by either side."""

from table.holding import held

TITLE = "resume"


def play(stage):
    alice, bob = stage.alice, stage.bob
    stage.talk(alice, bob)
    for holder, other in ((alice, bob), (bob, alice)):
        held(stage, holder, other)
        mark = stage.mark()
        holder.resume()
        stage.sees(holder, False, "has its resuming accepted", mark, method="INVITE", status=200)
        stage.hear_each_other(alice, bob, "after resuming")
    stage.ends(alice, bob)
