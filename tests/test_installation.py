"""An installation is checked from Python as by `intertwine doctor`."""

from __future__ import annotations

from intertwine.installation import check_installation


def test_this_installation_is_in_order() -> None:
    findings = check_installation()
    assert all(finding.ok for finding in findings)
    assert [finding.check for finding in findings] == [
        *("versions", "processors", "memory", "jax", "solve")
    ]
