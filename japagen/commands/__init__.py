"""The command `japagen`: what stands around an experiment. `main` dispatches; each command is a module of its own."""
