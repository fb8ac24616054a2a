"""Sources: what turns a bot's traces into its config and `passivbot_hooks.Statistics`."""
