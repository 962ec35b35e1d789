"""Where the store is: the environment says, else the platform's convention."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from helpers.support import run_python
from hypothesis import given
from hypothesis import strategies as st
from intertwine_cache import (
    Chain,
    Keyring,
    Manifest,
    Places,
    default_place,
    default_places,
    default_store,
)
from intertwine_cache.place import DEFAULT_LIMIT, default_keyring, default_limit

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the convention of Linux")


class Environment:
    """The two variables, set for one test."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.patch = patch

    def place(self, value: str | None) -> Path | None:
        if value is None:
            self.patch.delenv("INTERTWINE_CACHE", raising=False)
        else:
            self.patch.setenv("INTERTWINE_CACHE", value)
        return default_place()

    def limit(self, value: str) -> int:
        self.patch.setenv("INTERTWINE_CACHE_SIZE", value)
        return default_limit()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Environment:
    return Environment(monkeypatch)


@pytest.mark.parametrize("value", ["off", "OFF", "Off", " off "])
def test_off_turns_it_off(environment: Environment, value: str) -> None:
    assert environment.place(value) is None
    assert default_store() is None


FAR = "https://lab.example.org/bases/"


class TestTiers:
    @pytest.mark.parametrize(
        ("text", "near", "far"),
        [
            ("/a", "/a", ()),
            (f"/a,{FAR}", "/a", (FAR,)),
            (f" /a , {FAR} , s3://lab/x?read-only ,", "/a", (FAR, "s3://lab/x?read-only")),
            ("/a,/b", "/a", ("/b",)),
        ],
    )
    def test_are_separated_by_commas_nearest_first(
        self, text: str, near: str, far: tuple[str, ...]
    ) -> None:
        assert Places.parse(text) == Places(Path(near), far)

    @pytest.mark.parametrize("near", ["/a", "/a,b", "/a\\b", "/,"])
    @pytest.mark.parametrize("far", [(), (FAR,), ("s3://lab/x,y?read-only", "/c, d")])
    def test_are_read_back_from_their_text(self, near: str, far: tuple[str, ...]) -> None:
        assert Places.parse(Places(Path(near), far).to_text()) == Places(Path(near), far)

    @pytest.mark.parametrize("first", [FAR, "s3://lab", "/shared?read-only"])
    def test_without_a_folder_in_front_the_near_one_is_the_platforms(
        self, environment: Environment, tmp_path: Path, first: str
    ) -> None:
        environment.patch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert Places.parse(first) == Places(tmp_path / "intertwine", (first,))

    def test_make_a_chain_and_the_same_one_again(
        self, environment: Environment, tmp_path: Path
    ) -> None:
        environment.place(f"{tmp_path / 'near'},{tmp_path / 'far'},{FAR}")
        chain = default_store()
        assert isinstance(chain, Chain)
        assert chain.near.layout.root == tmp_path / "near"
        assert [(tier.address, tier.is_writable) for tier, _ in chain.tiers] == [
            (str(tmp_path / "far"), True),
            (FAR, False),
        ]
        assert default_store() is chain  # so that it knows which tiers are down
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("address", ["file:///tmp/x", "ftp://host"])
    def test_of_other_kinds_are_refused(self, environment: Environment, address: str) -> None:
        environment.place(address)
        with pytest.raises(ValueError, match=r"a cache cannot be at '.*': give a folder, or one"):
            default_store()

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            (f"off,{FAR}", "INTERTWINE_CACHE is either off or a list of tiers"),
            ("/a,s3://lab/x?readonly", r"the only option of an address is \?read-only"),
            ("/a,lab.example.org", "write https://lab.example.org for a service, or ./lab"),
            ("/a,s3://", "a cache cannot be at s3:: Unable to recognise URL"),
        ],
    )
    def test_that_are_misspelt_are_refused(
        self, environment: Environment, text: str, why: str
    ) -> None:
        environment.patch.setenv("INTERTWINE_CACHE", text)
        with pytest.raises(ValueError, match=why):
            default_store()

    @pytest.mark.parametrize(
        ("missing", "address"), [("obstore", "s3://lab"), ("cryptography", "/shared")]
    )
    def test_need_the_extra(self, tmp_path: Path, missing: str, address: str) -> None:
        program = """
            import importlib.abc, sys

            class Missing(importlib.abc.MetaPathFinder):
                def find_spec(self, name, *_):
                    if name.partition(".")[0] == sys.argv[2]:
                        raise ModuleNotFoundError(name)

            sys.meta_path.insert(0, Missing())
            from intertwine_cache import Places, open_store
            from pathlib import Path
            try:
                open_store(Places(Path(sys.argv[1]), (sys.argv[3],)))
            except ValueError as error:
                answer(str(error))
        """
        done = run_python(program, str(tmp_path), missing, address)
        assert done.value == (
            f"a cache at {address} needs the extra `lab`: pip install 'intertwine[lab]'"
        )


class TestTheConfigurationFile:
    @pytest.fixture(autouse=True)
    def folder(self, environment: Environment, tmp_path: Path) -> Path:
        environment.patch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        folder = tmp_path / "intertwine"
        folder.mkdir()
        return folder

    @on_linux
    def test_has_tiers_and_a_size(self, environment: Environment, folder: Path) -> None:
        environment.place(None)
        (folder / "config.toml").write_text('[cache]\ntiers = ["/a", "/b"]\nsize = "20GB"\n')
        assert default_places() == Places(Path("/a"), ("/b",))
        assert default_limit() == 20 * 10**9
        environment.limit("1GB")
        environment.place("/c")
        assert (default_places(), default_limit()) == (Places(Path("/c")), 10**9)  # they win

    @on_linux
    @pytest.mark.parametrize(
        "content", ["tiers =", "cache = 3", "[cache]\ntiers = 3", "[cache]\ntiers = [3]"]
    )
    def test_that_is_invalid_is_named(
        self, environment: Environment, folder: Path, content: str
    ) -> None:
        environment.place(str(folder))
        environment.patch.delenv("INTERTWINE_CACHE")
        (folder / "config.toml").write_text(content)
        with pytest.raises(ValueError, match=r"config\.toml cannot be read: "):
            default_places()

    @on_linux
    def test_with_a_misspelt_name_is_refused(self, environment: Environment, folder: Path) -> None:
        environment.place(None)
        (folder / "config.toml").write_text('[cache]\ntier = ["/a", "/b"]\n')
        with pytest.raises(ValueError, match=r"the table cache has tiers and size, not tier$"):
            default_places()

    @on_linux
    def test_beside_it_are_the_keys_that_the_user_trusts(
        self, environment: Environment, folder: Path
    ) -> None:
        theirs, ours = (Keyring(folder / name).public_key for name in ("theirs", "ours"))
        (folder / "trusted-keys").write_text(f"# of the lab\n{theirs} https://lab.example.org\n")
        environment.patch.setenv("INTERTWINE_TRUSTED_KEYS", f" {ours} ,")
        manifest = Manifest("0" * 64, "0" * 64, 1, 1.0, {})
        for name in ("theirs", "ours"):
            assert default_keyring().trusts(Keyring(folder / name).sign(manifest))
        assert not default_keyring().trusts(Keyring(folder / "another").sign(manifest))


def test_the_tests_run_without_one() -> None:
    assert os.environ["INTERTWINE_CACHE"] == "off"
    assert default_store() is None


def test_the_variable_names_the_folder(environment: Environment, tmp_path: Path) -> None:
    assert environment.place(str(tmp_path)) == tmp_path
    store = default_store()
    assert store is not None
    assert store.layout.root == tmp_path
    assert list(tmp_path.iterdir()) == []  # nothing is made before there is something to keep


def test_a_tilde_is_the_home(environment: Environment, tmp_path: Path) -> None:
    environment.patch.setenv("HOME", str(tmp_path))
    assert environment.place("~/bases") == tmp_path / "bases"


def test_the_home_of_a_user_who_is_not_there_is_refused(environment: Environment) -> None:
    with pytest.raises(ValueError, match="INTERTWINE_CACHE"):
        environment.place("~nobody-has-this-name/bases")


def test_a_relative_place_stays_when_the_process_moves(
    environment: Environment, tmp_path: Path
) -> None:
    environment.patch.chdir(tmp_path)
    place = environment.place("bases")
    assert place == tmp_path / "bases"


@on_linux
@pytest.mark.parametrize("value", [None, "", "  "])
def test_without_the_variable_it_is_below_xdg_cache_home(
    environment: Environment, tmp_path: Path, value: str | None
) -> None:
    environment.patch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert environment.place(value) == tmp_path / "caches" / "intertwine"


@on_linux
@pytest.mark.parametrize("value", [None, ""])
def test_without_that_too_it_is_below_the_home(
    environment: Environment, tmp_path: Path, value: str | None
) -> None:
    environment.patch.setenv("HOME", str(tmp_path))
    if value is None:
        environment.patch.delenv("XDG_CACHE_HOME", raising=False)
    else:
        environment.patch.setenv("XDG_CACHE_HOME", value)
    assert environment.place(None) == tmp_path / ".cache" / "intertwine"


@on_linux
def test_a_relative_xdg_cache_home_is_ignored_as_its_convention_says(
    environment: Environment, tmp_path: Path
) -> None:
    environment.patch.setenv("HOME", str(tmp_path))
    environment.patch.setenv("XDG_CACHE_HOME", "caches")
    assert environment.place(None) == tmp_path / ".cache" / "intertwine"


@on_linux
@pytest.mark.skipif(os.name == "posix" and os.geteuid() != 0, reason="only root becomes another")
def test_a_user_without_a_home_gets_no_folder_called_tilde(tmp_path: Path) -> None:
    """As in a container that runs under a number of its own."""
    program = """
        import os, platformdirs, resource, sys  # later they may be out of its reach
        from intertwine_cache import default_place
        os.chdir(sys.argv[1])
        os.environ.clear()
        os.setuid(54321)
        place = default_place()
        answer(place and str(place))
    """
    done = run_python(program, str(tmp_path))
    assert done.status == 0, done.stderr
    assert done.value is None or (Path(done.value).is_absolute() and "~" not in done.value)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1", 1),
        ("1000", 1000),
        ("500MB", 500 * 10**6),
        ("500mb", 500 * 10**6),
        (" 20 GB ", 20 * 10**9),
        ("20G", 20 * 10**9),
        ("1.5TB", 1_500_000_000_000),
        ("3k", 3000),
        ("7B", 7),
        ("", DEFAULT_LIMIT),
        ("   ", DEFAULT_LIMIT),
    ],
)
def test_the_limit_is_a_number_with_a_unit(environment: Environment, text: str, size: int) -> None:
    assert environment.limit(text) == size
    environment.place("somewhere")
    store = default_store()
    assert store is not None
    assert store.limit == size


def test_without_the_variable_the_limit_is_ten_gigabytes() -> None:
    assert default_limit() == DEFAULT_LIMIT == 10**10


@pytest.mark.parametrize(
    "text",
    ["-1", "lots", "1XB", "GB", "1e9", "nan", "inf", "1,5GB", "1 0 GB", "0x10", "10GB!", "9" * 400],
)
def test_a_limit_that_is_no_size_is_an_error_that_says_what_one_is(
    environment: Environment, text: str
) -> None:
    with pytest.raises(ValueError, match="INTERTWINE_CACHE_SIZE is a size such as 500MB or 20GB"):
        environment.limit(text)


@given(st.integers(0, 10**12))
def test_a_plain_number_is_bytes(size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        assert Environment(patch).limit(str(size)) == size


@given(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=8))
def test_any_text_is_a_size_or_is_quoted_in_the_error(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if re.fullmatch(r"\s*|\s*[0-9]+(\.[0-9]+)?\s*[kmgt]?b?\s*", text, re.IGNORECASE):
            assert Environment(patch).limit(text) >= 0
        else:
            with pytest.raises(ValueError, match=re.escape(repr(text.strip()))):
                Environment(patch).limit(text)
