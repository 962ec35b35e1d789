"""What an API key may be for."""

#: The scopes of keys; `admin` stands for all of them.
SCOPES = ("bases:read", "bases:solve", "jobs:write", "models:forward", "admin")


def meant(scopes: frozenset[str]) -> frozenset[str]:
    """The scopes, and those that they would be of no use without."""
    return scopes | {"bases:read"} if "bases:solve" in scopes else scopes
