"""The table of docs/interop.md: flows by user agents. One file per agent, one per flow, and the stage they meet on."""
