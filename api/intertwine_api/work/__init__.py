"""Jobs: their kinds, queue, executors and processes; and the worker processes of short solves."""
