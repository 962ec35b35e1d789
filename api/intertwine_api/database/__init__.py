"""The database of record: jobs, their events and metrics, datasets, models, keys.

Large things (data, weights, checkpoints) are files beside it, never rows.
"""

from intertwine_api.database.database import Database

__all__ = ["Database"]
