"""The comparison of jobs: settings side by side, results, and their curves in one picture."""

from __future__ import annotations

import re
from copy import deepcopy
from html import unescape

import pytest
from helpers.driven_jobs import TRAINING, DrivenJobs
from helpers.service import problem
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine_api.server.console.job_settings import compare_settings, settings_of

VALUES = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers())
DOCUMENTS = st.dictionaries(
    st.sampled_from("abc"),
    VALUES | st.dictionaries(st.sampled_from("xyz"), VALUES, max_size=3),
)


@pytest.fixture(scope="module")
def query(driven: DrivenJobs) -> str:
    """Two trainings with different learning rates; the second has the lower losses."""
    ids = []
    for scale, rate in ((1.0, 0.003), (0.5, 0.01)):
        request = deepcopy(TRAINING)
        request["training"]["learning_rate"] = rate
        job = driven.running(request=request, name=f"$\\frac_{rate}<b>")
        driven.train(job, range(1, 5), scale)
        ids.append(job.id)
    return "&".join(f"job={each}" for each in ids)


class TestPage:
    def test_it_marks_what_differs(self, driven: DrivenJobs, query: str) -> None:
        text = driven.client.get(f"/jobs/compare?{query}").text
        rows = re.findall(r'<tr( class="differs")?><th scope="row"><code>([\w.]+)<', text)
        assert rows[0] == (' class="differs"', "training.learning_rate")
        assert {name for mark, name in rows if mark} == {"training.learning_rate"}
        assert "<strong>0.125</strong> lowest" in text
        assert "<b>" not in text
        assert 'data-refresh="5"' in text

    @pytest.mark.slow
    def test_one_picture_has_the_curves_of_all(self, driven: DrivenJobs, query: str) -> None:
        answer = driven.client.get(f"/jobs/losses.svg?{query}")
        assert answer.headers["content-type"] == "image/svg+xml"
        for label in ("1. $\\frac_0.003", "2. $\\frac_0.01", "train loss", "test loss"):
            assert label in answer.text

    def test_curves_are_smoothed_on_a_scale_that_the_address_names(
        self, driven: DrivenJobs, query: str
    ) -> None:
        chosen = "smooth=0.9&scale=linear"
        job = query.partition("&")[0].partition("=")[2]
        for path in (f"/jobs/compare?{query}&{chosen}", f"/jobs/{job}?{chosen}"):
            text = unescape(driven.client.get(path).text)
            assert re.search(r'src="/lab/jobs/losses.svg\?[^"]+&smooth=0.9&scale=linear"', text)
            assert "on a linear scale, smoothed by 0.9" in text
            assert re.search(r'<input id="smooth"[^>]* value="0.9"', text)
            assert '<option value="linear" selected>' in text
        text = driven.client.get(f"/jobs/compare?{query}").text
        assert "smooth=" not in text
        assert "on a logarithmic scale" in text
        assert '<option value="log" selected>' in text

    @pytest.mark.parametrize("chosen", ["smooth=1", "smooth=-0.1", "smooth=nan", "scale=cubic"])
    def test_other_options_of_curves_are_refused(
        self, driven: DrivenJobs, query: str, chosen: str
    ) -> None:
        for page in ("compare", "losses.svg"):
            answer = driven.client.get(f"/jobs/{page}?{query}&{chosen}")
            problem(answer, 422, "invalid-request")

    @pytest.mark.slow
    def test_a_smoothed_picture_has_both_curves(self, driven: DrivenJobs, query: str) -> None:
        plain = driven.client.get(f"/jobs/losses.svg?{query}").text
        text = driven.client.get(f"/jobs/losses.svg?{query}&smooth=0.5").text
        assert text.count("opacity: 0.3") - plain.count("opacity: 0.3") == 4  # two losses of each

    def test_jobs_without_losses_have_no_picture(self, driven: DrivenJobs) -> None:
        text = driven.client.get(f"/jobs/compare?job={driven.queued().id}").text
        assert "<img" not in text
        assert driven.client.get("/jobs/compare").status_code == 200

    def test_too_many_or_unknown_jobs_are_refused(self, driven: DrivenJobs, query: str) -> None:
        problem(driven.client.get("/jobs/compare?job=0"), 404, "not-found")
        many = "&".join(f"job={i}" for i in range(9))
        problem(driven.client.get(f"/jobs/compare?{many}"), 422, "invalid-request")


class TestSettings:
    @settings(max_examples=20)
    @given(DOCUMENTS)
    def test_equal_documents_do_not_differ(self, document: dict[str, object]) -> None:
        rows, more = compare_settings([document, deepcopy(document)])
        assert not any(row.differs for row in rows)
        assert [row.name for row in rows] == [row.name for row in settings_of(document)[0]]
        assert more == 0

    @settings(max_examples=20)
    @given(DOCUMENTS, DOCUMENTS)
    def test_rows_that_differ_come_first(self, a: dict[str, object], b: dict[str, object]) -> None:
        rows, _ = compare_settings([a, b])
        marks = [row.differs for row in rows]
        assert marks == sorted(marks, reverse=True)
        assert {row.name for row in rows} == {
            row.name for each in (a, b) for row in settings_of(each)[0]
        }

    def test_long_values_are_compared_as_a_whole(self) -> None:
        rows, _ = compare_settings([{"a": "x" * 999 + "y"}, {"a": "x" * 999 + "z"}])
        assert rows[0].differs
        assert all(len(value) < 400 for value in rows[0].values)

    def test_many_rows_are_counted(self) -> None:
        rows, more = settings_of({str(i): i for i in range(1000)})
        assert len(rows) + more == 1000
        assert more > 0
