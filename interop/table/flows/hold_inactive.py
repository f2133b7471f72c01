"""Hold by a=inactive: answered with inactive, nothing flows."""

from table.holding import hold

TITLE = "hold (inactive)"


def play(stage):
    hold(stage, stage.alice, stage.bob, "inactive")
