"""Commands about what the store holds: ls, show, gc, export, verify."""
