//! One shard of the switch: rings 0-2 composed into one sans-IO machine.
