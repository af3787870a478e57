"""What an LLM is sent, and how its replies are read: pure functions over text."""
