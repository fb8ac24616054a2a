"""Sources: what turns a bot's files into its config, its `Statistics` and its `Event`s."""
