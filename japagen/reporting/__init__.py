"""Results for people: the table on the terminal."""
