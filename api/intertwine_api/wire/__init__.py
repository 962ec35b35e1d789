"""What travels between a service and its callers: documents, problems, reps and groups as text.

No FastAPI and no database: the client, the command line and the server read the same modules.
"""
