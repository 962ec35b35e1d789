"""The default store: its tiers and its size limit, from the environment or a configuration file."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from intertwine_cache.chain import Chain
from intertwine_cache.signing import SIGNING_KEY, Keyring
from intertwine_cache.store import Store
from intertwine_cache.tier import open_tier, scheme_of

PLACE = "INTERTWINE_CACHE"
"""The environment variable with the tiers of the store, nearest first; ``off`` disables it."""
LIMIT = "INTERTWINE_CACHE_SIZE"
"""The environment variable with the store's size limit, such as ``500MB`` or ``20GB``."""
TRUSTED = "INTERTWINE_TRUSTED_KEYS"
"""The environment variable with the public keys whose signatures count, separated by commas."""
DEFAULT_LIMIT = 10 * 10**9

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_READ_ONLY = "?read-only"


@dataclass(frozen=True)
class Places:
    """The tiers of a store: the near folder, and the addresses of far tiers, nearest first."""

    near: Path
    far: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Places | None:
        r"""Read ``folder,address,address?read-only``; None if there is no folder to keep bases in.

        Without a folder in front, the near folder is the platform's cache folder. A comma in a name
        is written ``\,``. Raises `ValueError` for an invalid path.
        """
        parts = (part.replace(r"\,", ",").strip() for part in re.split(r"(?<!\\),", text))
        named = [part for part in parts if part]
        if named and scheme_of(named[0]) is None and not named[0].endswith(_READ_ONLY):
            return cls(_folder(named[0]), tuple(named[1:]))
        near = _platform_folder()
        return None if near is None else cls(near, tuple(named))

    def to_text(self) -> str:
        """Return the text that `parse` reads."""
        return ",".join(part.replace(",", r"\,") for part in (str(self.near), *self.far))


def default_places() -> Places | None:
    """Return the tiers of `INTERTWINE_CACHE`, else of ``config.toml``, else the platform's folder.

    None if the store is off. Raises `ValueError` for invalid settings.
    """
    named = os.environ.get(PLACE, "").strip() or _configured("tiers")
    return None if named.lower() == "off" else Places.parse(named)


def far_tiers() -> tuple[str, ...]:
    """Return the far tiers of `default_places`."""
    places = default_places()
    return () if places is None else places.far


def default_place() -> Path | None:
    """Return the near folder of `default_places`; None if the store is off."""
    places = default_places()
    return None if places is None else places.near


def default_store() -> Store | Chain | None:
    """Return the default store, or None if it is off. Raises `ValueError` for invalid settings."""
    places = default_places()
    return None if places is None else _opened(places, default_limit(), os.environ.get(TRUSTED))


@lru_cache(4)
def _opened(places: Places, limit: int, _trusted: str | None) -> Store | Chain:
    """Return the same store for the same settings: a chain knows which tiers are down."""
    return open_store(places, limit)


def open_store(places: Places, limit: int = DEFAULT_LIMIT) -> Store | Chain:
    """Return the store of a near folder, in a chain if there are far tiers.

    Raises `ValueError` for an invalid address, and if the extra `lab` is not installed.
    """
    near = Store(places.near, limit=limit)
    if not places.far:
        return near
    tiers = [
        open_tier(
            address.removesuffix(_READ_ONLY),
            is_writable=not address.endswith(_READ_ONLY),
            limit=limit,
        )
        for address in places.far
    ]
    return Chain(near, tiers, default_keyring())


def open_store_at(near: Path, limit: int = DEFAULT_LIMIT) -> Store | Chain:
    """Return the store in a folder, followed by the far tiers of `default_places`.

    Raises the errors of `default_places` and of `open_store`.
    """
    return open_store(Places(near, far_tiers()), limit)


def default_keyring() -> Keyring:
    """Return the user's own signing key, and the keys that the user trusts.

    These are in `INTERTWINE_TRUSTED_KEYS`, and in ``trusted-keys`` in the configuration folder: a
    key in base64 on each line, and what it is of.
    """
    folder = config_folder()
    named = [key for each in os.environ.get(TRUSTED, "").split(",") if (key := each.strip())]
    try:
        lines = (folder / "trusted-keys").read_text("utf-8").splitlines()
    except FileNotFoundError:
        lines = []
    stored = [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]
    return Keyring(folder / SIGNING_KEY, [*named, *stored])


def trust(public_key: str, name: str) -> bool:
    """Add a public key to those that the user trusts. Return whether it is new.

    `name` is written beside it. Raises `ValueError` if it is not a public key.
    """
    Keyring(config_folder() / SIGNING_KEY, [public_key])  # raises
    path = config_folder() / "trusted-keys"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        file.seek(0)
        if any(line.split()[:1] == [public_key] for line in file):
            return False
        file.write(f"{public_key} {' '.join(name.split())}\n")
    return True


def default_limit() -> int:
    """Return the size limit in bytes."""
    text = os.environ.get(LIMIT, "").strip() or _configured("size")
    if not text:
        return DEFAULT_LIMIT
    match = re.fullmatch(r"(\d{1,18}(?:\.\d+)?)\s*([KMGT]?)B?", text.upper())
    if match is None:
        raise ValueError(f"{LIMIT} is a size such as 500MB or 20GB, not {text!r}")
    return int(float(match[1]) * _UNITS[match[2]])


def config_folder() -> Path:
    """Return the platform's folder for the user's configuration of Intertwine."""
    from platformdirs import user_config_path

    return user_config_path("intertwine", appauthor=False)


def _configured(name: str) -> str:
    """Return a value of the table `cache` of the user's ``config.toml``, as text; "" without one.

    Lists are joined by commas, as in the environment.
    """
    try:
        path = config_folder() / "config.toml"
        content = path.read_text("utf-8")
    except (OSError, RuntimeError):  # there is none, or no home
        return ""
    try:
        table: Mapping[str, Any] = tomllib.loads(content).get("cache", {})
        value: str | Sequence[str] = table.get(name, "")
        return value if isinstance(value, str) else ",".join(value)
    except (tomllib.TOMLDecodeError, AttributeError, TypeError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error


def _folder(named: str) -> Path:
    try:
        return Path(named).expanduser().absolute()  # it stays when the process moves
    except RuntimeError as error:
        raise ValueError(f"{PLACE} names no folder: {named!r} ({error})") from error


def _platform_folder() -> Path | None:
    from platformdirs import user_cache_path

    try:
        return user_cache_path("intertwine", appauthor=False)
    except RuntimeError:  # a user without a home has none
        return None
