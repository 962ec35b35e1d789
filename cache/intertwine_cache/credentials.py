"""The API keys of services: in the environment, or kept by `intertwine login`.

They are in ``credentials.json`` in the user's configuration folder, by the address of the service.
Only the user may read the file.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

KEY = "INTERTWINE_KEY"
"""The environment variable with the caller's key for services. It overrides all kept keys."""
_FILE = "credentials.json"
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def config_folder() -> Path:
    """Return the platform's folder for the user's configuration of Intertwine."""
    from platformdirs import user_config_path

    return user_config_path("intertwine", appauthor=False)


def service_key(address: str) -> str | None:
    """Return the caller's key for a service: that in `INTERTWINE_KEY`, else the kept one, if any.

    A kept key is returned for the same address only. Raises `ValueError` if the file is invalid.
    """
    return os.environ.get(KEY, "").strip() or _read().get(_service(address))


def keep_key(address: str, key: str) -> Path:
    """Keep a key for a service, instead of any before. Return the file.

    Raises `ValueError` if the file is invalid, and `OSError` if it cannot be written.
    """
    return _change(_service(address), key)


def forget_key(address: str) -> bool:
    """Delete the kept key of a service. Return whether there was one.

    Raises the errors of `keep_key`.
    """
    service = _service(address)
    if service not in _read():
        return False
    _change(service, None)
    return True


def _service(address: str) -> str:
    """Return an address in its usual form, without user, password, default port and query."""
    parts = urlsplit(address.strip())
    host = parts.netloc.rpartition("@")[2].lower()
    host = host.removesuffix(_DEFAULT_PORTS.get(parts.scheme, ""))
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}"


def _read() -> dict[str, str]:
    try:
        path = config_folder() / _FILE
        content = path.read_text("utf-8")
    except (OSError, RuntimeError):  # there is none, or no home
        return {}
    try:
        keys: Any = json.loads(content)
    except ValueError:
        keys = None
    if not (isinstance(keys, dict) and all(isinstance(key, str) for key in keys.values())):
        raise ValueError(f"{path} does not have keys of services: delete it, and log in again")
    return keys


def _change(service: str, key: str | None) -> Path:
    """Write the file anew, with another key of a service, or without one."""
    from filelock import FileLock

    path = config_folder() / _FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):  # two processes may log in at the same time
        keys = {name: kept for name, kept in _read().items() if name != service}
        if key is not None:
            keys[service] = key
        new = path.with_name(f"{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
        try:
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                json.dump(keys, file, indent=2)
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)
    return path
