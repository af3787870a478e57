"""Settings: their schema, the checks of them, their composition by Hydra, and the words for what is wrong."""
