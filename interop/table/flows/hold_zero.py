"""Hold by c=0.0.0.0, as RFC 2543 had it: no audio is sent there."""

from table.holding import hold

TITLE = "hold (c=0.0.0.0)"


def play(stage):
    # Of twinkle's phones it is bob who holds in this style.
    holder, other = (stage.bob, stage.alice) if getattr(stage.alice, "style", "zero") != "zero" else (stage.alice, stage.bob)
    hold(stage, holder, other, "zero")
