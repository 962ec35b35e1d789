"""What an API key may be for."""

#: The scopes of keys; `admin` stands for all of them.
SCOPES = ("bases:read", "bases:solve", "jobs:write", "models:forward", "admin")
