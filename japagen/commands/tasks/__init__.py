"""`japagen new-task`: a task's YAML from answers, a file or a prompt file."""
