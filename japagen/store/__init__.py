"""The store on the disk: artifacts by key, locks, append-only rows."""
