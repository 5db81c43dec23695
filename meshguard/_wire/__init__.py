"""What both clients share, without I/O."""
