"""The rows, as scripts of SIPp: `TITLE`, and `play(stage)`. A SIPp that meets anything but its script fails."""
