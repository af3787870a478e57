"""Streams: every reply of the LLM to a task's prompts, planned, asked for, appended and resumed."""
