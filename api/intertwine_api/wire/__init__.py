"""The wire format: documents, problems, and the texts of reps and groups.

The client, the command line and the server share these modules, which import neither FastAPI nor a
database.
"""
