"""The default store: its tiers and its size limit, from the environment or a configuration file."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from intertwine_cache.chain import Chain
from intertwine_cache.credentials import config_folder
from intertwine_cache.signing import SIGNING_KEY, Keyring
from intertwine_cache.store import Store
from intertwine_cache.tiers.address import scheme_of
from intertwine_cache.tiers.opening import open_tier

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
        is written ``\,``. Raises `ValueError` for an invalid path, and for ``off`` in a list.
        """
        parts = (part.replace(r"\,", ",").strip() for part in re.split(r"(?<!\\),", text))
        named = [part for part in parts if part]
        if any(part.lower() == "off" for part in named):
            raise ValueError(f"{PLACE} is either off or a list of tiers, not both")
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
    for address in places.far:
        _require_place(address)
    tiers = [
        open_tier(
            address.removesuffix(_READ_ONLY),
            is_writable=not address.endswith(_READ_ONLY),
            limit=sys.maxsize,  # each user's size is that of the near folder
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
    try:
        return parse_size(text)
    except ValueError as error:
        raise ValueError(f"{LIMIT} is {error}") from None


def parse_size(text: str) -> int:
    """Return the bytes of a size such as ``20GB``. Raises `ValueError`."""
    match = re.fullmatch(r"(\d{1,18}(?:\.\d+)?)\s*([KMGT]?)B?", text.strip().upper())
    if match is None:
        raise ValueError(f"a size such as 500MB or 20GB, not {text!r}")
    return int(float(match[1]) * _UNITS[match[2]])


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
        table: object = tomllib.loads(content).get("cache", {})
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if not isinstance(table, dict):
        raise ValueError(f"{path} cannot be read: cache is a table, not {table!r}")
    if unknown := sorted(set(table) - {"tiers", "size"}):
        raise ValueError(f"{path}: the table cache has tiers and size, not {', '.join(unknown)}")
    value = table.get(name, "")
    parts = value if isinstance(value, list) else [value]
    if not all(isinstance(part, str) for part in parts):
        raise ValueError(f"{path} cannot be read: {name} is not a text or a list: {value!r}")
    return ",".join(parts)


def _require_place(address: str) -> None:
    """Raise `ValueError` for a far folder that is relative, as a URL without ``https://`` is."""
    if scheme_of(address) is None and not address.startswith((".", "~", os.sep)):
        raise ValueError(
            f"{address!r} in {PLACE} is neither a URL nor an absolute folder: write "
            f"https://{address} for a service, or ./{address} for a folder"
        )


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
