"""Jobs: rows in the database, each run in a process of its own."""
