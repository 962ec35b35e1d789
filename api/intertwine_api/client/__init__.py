"""The Python client of the service: ``from intertwine_api.client import Client``.

Importing it loads neither the solver nor a web library. The first client imports httpx.
"""

from intertwine_api.client.client import AsyncClient, Client, remote
from intertwine_api.client.datasets import StoredDataset
from intertwine_api.client.following import JobEvent
from intertwine_api.client.job import AsyncJob, Job
from intertwine_api.client.remote_model import AsyncRemoteModel, RemoteModel
from intertwine_api.client.trainings import Training

__all__ = [
    "AsyncClient",
    "AsyncJob",
    "AsyncRemoteModel",
    "Client",
    "Job",
    "JobEvent",
    "RemoteModel",
    "StoredDataset",
    "Training",
    "remote",
]
