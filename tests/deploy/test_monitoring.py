"""The dashboard and the alerts name metrics that the service exports, and their labels."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.documents import ROOT
from intertwine_api.work.service_metrics import ServiceMetrics

FOLDER = ROOT / "deploy"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "grafana-dashboard.json").read_text("utf-8"))
ALERTS: dict[str, Any] = yaml.safe_load((FOLDER / "alerts.yml").read_text("utf-8"))
PANELS = DASHBOARD["panels"]
EXPRESSIONS = {
    **{panel["title"]: [t["expr"] for t in panel["targets"]] for panel in PANELS},
    **{rule["alert"]: [rule["expr"]] for group in ALERTS["groups"] for rule in group["rules"]},
}
#: Those that Prometheus adds to every metric, and those of a histogram's series.
EVERY = {"instance", "job", "le"}


def exported() -> dict[str, set[str]]:
    """The names of all series that the service can export, and their labels."""
    series: dict[str, set[str]] = {}
    for metric in vars(ServiceMetrics()).values():
        if hasattr(metric, "_labelnames"):
            for family in metric.describe():
                suffixes = {
                    "counter": ("_total",),
                    "gauge": ("",),
                    "histogram": ("_bucket", "_sum", "_count"),
                }[family.type]
                for suffix in suffixes:
                    series[family.name + suffix] = set(metric._labelnames)
    return series


@pytest.mark.parametrize("title", EXPRESSIONS)
def test_every_metric_is_exported_with_its_labels(title: str) -> None:
    known = exported()
    for expression in EXPRESSIONS[title]:
        named = re.findall(r"\b(intertwine_\w+)", expression)
        assert named or expression.startswith("up{"), expression
        for name in named:
            assert name in known, name
        labels = {
            *re.findall(r"[{,](\w+)=~?\"", expression),
            *re.split(r",\s*", ",".join(re.findall(r"\bby \(([^)]*)\)", expression)) or "le"),
        }
        assert labels <= EVERY.union(*(known[name] for name in named)), expression


@pytest.mark.parametrize("panel", PANELS, ids=[panel["title"] for panel in PANELS])
def test_legends_show_the_labels_of_their_series(panel: dict[str, Any]) -> None:
    assert panel["targets"]
    for target in panel["targets"]:
        by = re.findall(r"\bby \(([^)]*)\)", target["expr"])
        kept = {label for labels in by for label in re.split(r",\s*", labels)}
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) == kept - {"le"}


def test_panels_do_not_overlap() -> None:
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in PANELS]
    assert len(set(places)) == len({p["id"] for p in PANELS}) == len(PANELS)


def test_alerts_have_a_severity_and_a_summary() -> None:
    for group in ALERTS["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("page", "ticket")
            assert rule["annotations"]["summary"].endswith(".")


@pytest.mark.skipif(not shutil.which("promtool"), reason="Prometheus's promtool is not installed")
def test_prometheus_accepts_its_files(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("itw_x")
    config = (FOLDER / "prometheus.yml").read_text("utf-8")
    config = config.replace("/etc/prometheus/intertwine.key", str(key))
    (tmp_path / "prometheus.yml").write_text(config)
    shutil.copy(FOLDER / "alerts.yml", tmp_path)
    checked = subprocess.run(
        ["promtool", "check", "config", tmp_path / "prometheus.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_prometheus_reads_with_a_key() -> None:
    (scrape,) = yaml.safe_load((FOLDER / "prometheus.yml").read_text("utf-8"))["scrape_configs"]
    assert scrape["job_name"] == "intertwine"  # as the alerts name it
    assert scrape["authorization"].keys() == {"credentials_file"}
