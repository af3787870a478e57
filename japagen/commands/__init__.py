"""The command `japagen`: tools around experiments. `main` dispatches; each command is a module of its own."""
