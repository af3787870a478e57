"""Commands about sweeps: report, status, logs, fetch."""
