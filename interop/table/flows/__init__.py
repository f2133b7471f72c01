"""One file per row: `TITLE`, and `play(stage)`, which raises `Wrong` at the first thing that is not as it must be."""
