"""The config's settings, read and checked."""
