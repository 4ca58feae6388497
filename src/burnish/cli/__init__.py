"""The `burnish` command: parse, one library call, render."""
