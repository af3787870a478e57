"""The LLM as a process (server) and as calls (client): see `japagen.llm.server.serve` and `japagen.llm.client.Client`."""
