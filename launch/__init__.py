"""From one experiment or a sweep of them to results: checked together, LLM work shared, students after it."""
