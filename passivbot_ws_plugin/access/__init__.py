"""Who may come in, and who has to wait. No I/O."""
