"""The store of bases of a service, where its settings put it."""

from __future__ import annotations

from intertwine.errors import InvalidSetting
from intertwine_cache import Store, default_place
from intertwine_cache.place import default_limit

from intertwine_api.settings import Settings


def open_store(settings: Settings) -> Store:
    """The store in the folder of the data, or the user's where none is named.

    Raises `InvalidSetting` where there is none.
    """
    try:
        place = settings.home / "cache" if settings.data is not None else default_place()
        limit = default_limit()
    except ValueError as error:
        raise InvalidSetting(str(error)) from error
    if place is None:
        raise InvalidSetting(
            "the service needs a store, and INTERTWINE_CACHE=off says that there is none: "
            "name a folder with --data"
        )
    store = Store(place, limit)
    store.layout.create()
    return store
