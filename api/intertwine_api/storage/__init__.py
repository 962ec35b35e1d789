"""What must not be lost: the database, with keys, datasets and models, and large objects as files.

Large things (data, weights, checkpoints) are files beside the database, never rows.
"""
