"""No test uses the cache of whoever runs it, nor does a process that a test starts; and which cases
are slow.
"""

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator

import hypothesis
import pytest
from helpers.checked_annotations import check_annotations
from helpers.compiled import let_compiled_programs_go

# a busy machine may stop a test for seconds at any example
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")

os.environ["INTERTWINE_CACHE"] = "off"
os.environ.pop("INTERTWINE_CACHE_SIZE", None)


#: From here on, as the conftest.py of a folder imports the library before pytest is configured.
CHECKED_ANNOTATIONS = check_annotations("intertwine", "intertwine_cache")


def pytest_configure(config: pytest.Config) -> None:
    """Check annotations except in the slow tests, which then take a sixth less time.

    Processes that tests start share a folder of compiled programs, for this run alone.
    """
    if not hasattr(config, "workerinput"):  # the workers of xdist inherit the variable
        folder = tempfile.TemporaryDirectory(
            prefix="intertwine-programs-", ignore_cleanup_errors=True
        )
        os.environ["INTERTWINE_TESTS_PROGRAMS"] = folder.name  # read by `environment`
        config.add_cleanup(folder.cleanup)
    if config.getoption("markexpr") == "slow":
        sys.meta_path.remove(CHECKED_ANNOTATIONS)


@pytest.fixture(scope="module", autouse=True)
def _compiled_programs_are_let_go() -> Iterator[None]:
    yield
    let_compiled_programs_go()


@pytest.hookimpl(tryfirst=True)  # before slow tests are left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    cases: Counter[str] = Counter()
    for item in items:
        sampled = item.get_closest_marker("sampled")
        if sampled:
            test = item.nodeid.partition("[")[0]
            if cases[test] % sampled.args[0]:
                item.add_marker(pytest.mark.slow)
            cases[test] += 1
