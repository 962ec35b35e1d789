"""The pages of the store: what they list, what they say of an entry, and who may evict."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest
from helpers.driven_jobs import DrivenJobs
from helpers.example_lab import Lab, form_of, log_in
from helpers.example_stores import age, key, overwrite, publish
from helpers.service import SO3, problem, service_process
from intertwine.bases import from_bytes
from intertwine.invariants import solve
from intertwine.reps import basis_key, read_rep
from intertwine_cache import Store, read_statistics

HTML = {"accept": "text/html"}
EVIL = "<script>alert(1)</script>"
#: Larger than any store, so that nothing is evicted: then the pages are read anew.
HUGE = "999TB"


@pytest.fixture(scope="module")
def store(lab: Lab) -> Store:
    """The store of the service."""
    return Store(lab.data / "cache")


@pytest.fixture(scope="module")
def solved(store: Store) -> str:
    """The key of a basis that was solved with its request."""
    rep = read_rep("V**2*V.T+5V0", "SO(3)")
    solve(rep, store=store, progress=False)
    return basis_key(rep)


@pytest.fixture(scope="module")
def many(store: Store) -> list[str]:
    """The keys of 200 entries, used long ago, the first ones last."""
    for number in range(200):
        details = {"canonical": f"V^{number}", "group": "Many(7)"}
        publish(store, f"many {number}", b"%d" % number * 10, **details)
        age(store.layout.manifest(key(f"many {number}")), 1e6 + number)
    return [key(f"many {number}") for number in range(200)]


def page(driven: DrivenJobs, path: str, owner: str = "root") -> str:
    answer = driven.client.get(path, headers={**HTML, **driven.keys[owner]})
    assert answer.status_code == 200, answer.text
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert "<script>" not in answer.text
    assert not re.search(r"<style|\sstyle=|\son\w+=", answer.text)
    return answer.text


def listed(text: str) -> list[str]:
    """The keys of the entries in the tables."""
    return re.findall(r'<th scope="row" class="why"><a href="/lab/cache/(\w+)"', text)


def facts(text: str) -> dict[str, str]:
    found = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", text)
    return {name: unescape(re.sub(r"<[^>]+>", "", value)) for name, value in found}


def shrink(driven: DrivenJobs, size: str) -> httpx.Response:
    """Shrink the store as an admin does."""
    form = form_of(page(driven, f"/cache/shrink?to={size}"), rf"cache/shrink\?to={size}")
    return driven.client.post(f"/cache/shrink?to={size}", data=form, follow_redirects=False)


class TestOverview:
    def test_its_numbers_are_those_of_the_store(
        self, driven: DrivenJobs, store: Store, solved: str, many: list[str]
    ) -> None:
        assert shrink(driven, HUGE).headers["location"] == "/lab/cache?freed=0"
        text, there = page(driven, "/cache"), store.statistics()
        assert facts(text)["Entries"] == f"{there['entries']:,}"
        assert facts(text)["Files"] == f"{there['blobs']:,}, with {there['bytes']:,} bytes"
        assert facts(text)["Limit"].startswith(f"{there['limit']:,} bytes")
        assert re.search(r'<meter min="0" max="1" value="0\.0\d+" aria-label="How full', text)
        largest, least = (text.split("<h3>")[number] for number in (1, 2))
        sizes = {manifest.key: manifest.size for manifest in store.manifests()}
        assert len(listed(largest)) == 25
        assert [sizes[each] for each in listed(largest)] == sorted(sizes.values())[:-26:-1]
        assert listed(least) == many[:-26:-1]

    def test_the_near_tier_counts_lookups(self, driven: DrivenJobs, solved: str) -> None:
        def near() -> list[int]:
            row = re.search(r"is on this machine</td>(.*?)</tr>", page(driven, "/cache"))
            assert row is not None
            return [int(cell) for cell in re.findall(r'class="n">([\d,]+)</td>', row[1])[:2]]

        hits, misses = near()
        assert driven.client.get(f"/v1/bases/{solved}").status_code == 200
        assert driven.client.get(f"/v1/bases/{key('unknown')}").status_code == 404
        assert near() == [hits + 1, misses + 1]

    def test_without_the_scope_there_are_no_forms(self, driven: DrivenJobs, solved: str) -> None:
        for path in ("/cache", f"/cache/{solved}"):
            assert "cache/shrink" not in page(driven, path, "reader")
            assert 'method="post"' not in page(driven, path, "reader")
        assert 'action="/lab/cache/shrink"' in page(driven, "/cache")
        assert f'action="/lab/cache/{solved}/evict"' in page(driven, f"/cache/{solved}")


class TestLists:
    def test_pages_have_all_entries_in_order(
        self, driven: DrivenJobs, store: Store, many: list[str]
    ) -> None:
        path, found, count = "/cache/entries", [], 0
        while path:
            text = page(driven, path)
            found += listed(text)
            count += 1
            following = re.search(r'href="([^"]+)" rel="next"', text)
            path = "" if following is None else urljoin("/cache/", following[1])[len("/lab") :]
        assert found == list(store.layout.keys())
        assert set(many) < set(found)
        assert count == -(-len(found) // 50)

    def test_a_search_looks_at_reps_and_groups(
        self, driven: DrivenJobs, many: list[str], solved: str
    ) -> None:
        shrink(driven, HUGE)
        assert listed(page(driven, "/cache/entries?search=V^199")) == [many[199]]
        text = page(driven, "/cache/entries?search=many(7)")
        assert len(listed(text)) == 50
        assert "More than 50 entries have “many(7)”" in text
        assert solved in listed(page(driven, "/cache/entries?search=SO(3)"))
        assert "0 entries have “a &lt;b” in the rep" in page(driven, "/cache/entries?search=a+<b")

    @pytest.mark.parametrize(
        "query", ["after=nonsense", f"after={'A' * 64}", f"search={'x' * 129}", "search=%00"]
    )
    def test_other_queries_are_refused(self, driven: DrivenJobs, query: str) -> None:
        problem(driven.client.get(f"/cache/entries?{query}"), 422, "invalid-request")

    def test_looking_is_no_use(self, driven: DrivenJobs, store: Store, solved: str) -> None:
        before = store.last_used(solved)
        for path in ("/cache", "/cache/entries", f"/cache/{solved}"):
            page(driven, path)
        assert store.last_used(solved) == before


class TestEntry:
    def test_it_says_what_the_manifest_says(
        self, driven: DrivenJobs, store: Store, solved: str
    ) -> None:
        text = page(driven, f"/cache/{solved}")
        manifest = store.manifest(solved)
        assert manifest is not None
        found = facts(text)
        assert (found["Rep"], found["Group"]) == ("5V⁰+V³", "SO(3)")
        assert (found["Size × rank"], found["Key"]) == ("32\u00a0×\u00a06", solved)
        assert found["File"] == f"{manifest.size:,} bytes"
        assert found["Method"] == manifest.details["certificate"]["method"]
        assert found["Version of the solver"] == str(manifest.details["certificate"]["solver"])
        assert (found["Signature"], "The basis is orthonormal" in text) == ("none", True)
        assert "There are no far tiers." in text
        link = re.search(r'href="/lab/(\?[^"]+)">Show in the explorer', text)
        assert link is not None
        asked = parse_qs(urlsplit(unescape(link[1])).query)
        assert basis_key(read_rep(asked["rep"][0], asked["group"][0])) == solved
        file = driven.client.get(f"/v1/bases/{solved}/file.safetensors")
        assert f'href="/lab/v1/bases/{solved}/file.safetensors"' in text
        assert from_bytes(file.content).shape == (32, 6)

    @pytest.mark.parametrize(
        ("changes", "is_linked"),
        [
            ({}, True),
            ({"group": {"lie_algebra": [[[0, 1], [-1, 0]]]}}, True),
            ({"method": "krylov"}, False),
            ({"tolerance": 1e-3}, False),
            ({"reps": {"V": {"images": []}}}, False),
            ({"rep": 7}, False),
            ({"rep": "V" * 7000}, False),
            ({"rep": "\ud800"}, True),
        ],
    )
    def test_only_requests_that_are_an_address_lead_to_the_explorer(
        self, driven: DrivenJobs, store: Store, changes: dict[str, Any], is_linked: bool
    ) -> None:
        request = {"rep": "V", "group": "SO(3)", **changes}
        name = json.dumps(request)
        publish(store, name, name.encode(), canonical="V", group=None, request=request)
        text = page(driven, f"/cache/{key(name)}")
        assert ("Show in the explorer" in text) == is_linked
        assert "The manifest cannot be used." in text  # it has no certificate

    def test_names_are_shown_as_text(self, driven: DrivenJobs, store: Store) -> None:
        certificate = {"size": EVIL, "rank": EVIL, "method": EVIL, "solver": EVIL}
        names = {"canonical": f"{EVIL}\ud800", "group": EVIL, "certificate": certificate}
        publish(store, "evil", b"evil", **names, request={"rep": EVIL, "group": EVIL})
        shrink(driven, HUGE)
        for path in ("/cache", "/cache/entries?search=alert", f"/cache/{key('evil')}"):
            page(driven, path)
        text = page(driven, "/cache/entries?search=alert")
        assert listed(text) == [key("evil")]
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text

    @pytest.mark.parametrize("name", ["canonical", "group", "request", "certificate"])
    def test_details_of_another_form_break_no_page(
        self, driven: DrivenJobs, store: Store, name: str
    ) -> None:
        """As a far tier may have them that others write to."""
        manifest, _ = publish(store, f"deep {name}", b"deep")
        deep = "[" * 700 + "]" * 700
        value = {"request": f'{{"rep": "V", "group": {deep}}}'}.get(name, deep)
        fields = f'"version": 1, "key": "{manifest.key}", "digest": "{manifest.digest}"'
        document = f'{{{fields}, "size": 4, "created": 1e11, "details": {{"{name}": {value}}}}}'
        overwrite(store.layout.manifest(manifest.key), document.encode())
        shrink(driven, HUGE)
        found = facts(page(driven, f"/cache/{manifest.key}"))
        assert (found["Rep"], found["Written"]) == ("–", "5138-11-16 09:46:40 UTC")
        before = f"{int(manifest.key, 16) - 1:064x}"
        assert listed(page(driven, f"/cache/entries?after={before}"))[0] == manifest.key
        page(driven, "/cache")
        known = driven.client.get("/v1/bases", params={"after": before})
        assert known.status_code == 200
        assert manifest.key not in known.text

    def test_irreps_have_a_page_too(self, driven: DrivenJobs, store: Store) -> None:
        details = {"canonical": "12 irreps", "group": "SO(3)", "kind": "irreps"}
        manifest, _ = publish(store, "irreps", b"irreps", **details)
        text = page(driven, f"/cache/{manifest.key}")
        assert facts(text)["Content"] == "12 irreps"
        assert "The manifest cannot be used." not in text
        assert f'href="/lab/v1/blobs/{manifest.digest}"' in text

    def test_what_has_vanished(self, driven: DrivenJobs, store: Store) -> None:
        manifest, blob = publish(store, "vanishes", b"vanishes", canonical="V", group="Vanishing")
        shrink(driven, HUGE)
        blob.unlink()
        assert "The file is missing." in page(driven, f"/cache/{manifest.key}")
        store.layout.manifest(manifest.key).unlink()
        assert listed(page(driven, "/cache/entries?search=Vanishing")) == []
        answer = driven.client.get(f"/cache/{manifest.key}", headers=HTML)
        assert answer.status_code == 404
        assert "it may have been evicted" in answer.text

    def test_unknown_keys(self, driven: DrivenJobs) -> None:
        problem(driven.client.get(f"/cache/{key('unknown')}"), 404, "not-found")
        for malformed in ("0", "A" * 64, "g" * 64, "..%2f..%2fetc"):
            assert driven.client.get(f"/cache/{malformed}").status_code in (404, 422)


class TestEvictions:
    def entry(self, store: Store, name: str, content: bytes = b"") -> str:
        """The key of a new entry, used longer ago than all others."""
        publish(store, name, content or name.encode(), canonical="V", group="Evicted")
        age(store.layout.manifest(key(name)), 1e7)
        return key(name)

    def test_one_entry(self, driven: DrivenJobs, store: Store, lab: Lab) -> None:
        evicted, other = self.entry(store, "one", b"same"), self.entry(store, "other", b"same")
        form = form_of(page(driven, f"/cache/{evicted}"), f"cache/{evicted}/evict")
        path = f"/cache/{evicted}/evict"
        answer = driven.client.post(path, data=form, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/lab/cache?freed=0")
        assert store.manifest(evicted) is None
        assert store.read(other) is not None
        assert listed(page(driven, "/cache/entries?search=Evicted")) == [other]
        problem(driven.client.post(path, data=form), 404, "not-found")
        last = json.loads((lab.data / "audit.jsonl").read_text().splitlines()[-1])
        assert (last["message"], last["by"], last["key"]) == ("basis evicted", "root", evicted)
        assert "The eviction freed 4 bytes." in page(driven, "/cache?freed=4")

    def test_the_store_is_shrunk(self, driven: DrivenJobs, store: Store, lab: Lab) -> None:
        old = [self.entry(store, f"old {number}", b"%d" % number * 1000) for number in range(3)]
        shrink(driven, HUGE)
        size = store.statistics()["bytes"] - 1500
        text = page(driven, f"/cache/shrink?to={size}")
        assert "The 2 least recently used\nentries are evicted" in text
        assert "frees about 2 kB" in text
        answer = shrink(driven, str(size))
        assert (answer.status_code, answer.headers["location"]) == (303, "/lab/cache?freed=2000")
        assert sum(store.manifest(each) is not None for each in old) == 1
        assert store.statistics()["bytes"] == size - 500
        last = json.loads((lab.data / "audit.jsonl").read_text().splitlines()[-1])
        assert (last["message"], last["limit"], last["freed"]) == ("store shrunk", size, 2000)
        assert "nothing has to be evicted" in page(driven, f"/cache/shrink?to={size}")

    def test_other_callers_and_forms_are_refused(self, driven: DrivenJobs, store: Store) -> None:
        evicted, other = self.entry(store, "refused"), self.entry(store, "with another token")
        form = form_of(page(driven, f"/cache/{evicted}"), f"cache/{evicted}/evict")
        foreign = form_of(page(driven, f"/cache/{other}"), f"cache/{other}/evict")
        shrinking = form_of(page(driven, f"/cache/shrink?to={HUGE}"), rf"cache/shrink\?to={HUGE}")
        post, path = driven.client.post, f"/cache/{evicted}/evict"
        for target in (path, "/cache/shrink?to=0"):
            for owner, status in (("ada", 403), ("reader", 403)):
                answer = post(target, data=form, headers=driven.keys[owner])
                problem(answer, status, "forbidden")
            problem(post(target, data=form, headers={"authorization": ""}), 401, "unauthorized")
            for wrong in (foreign, shrinking, {"token": ""}):
                problem(post(target, data=wrong), 403, "origin-not-allowed")
            problem(post(target, json=form), 415, "unsupported-media-type")
            answer = post(target, data=form, headers={"sec-fetch-site": "cross-site"})
            problem(answer, 403, "origin-not-allowed")
        assert driven.client.get(path).status_code == 405
        problem(
            driven.client.get("/cache/shrink?to=0", headers=driven.keys["ada"]), 403, "forbidden"
        )
        assert store.manifest(evicted) is not None

    @pytest.mark.parametrize("size", ["", "many", "-1", "1e9", "5 GiB", "NaN"])
    def test_other_sizes_are_refused(self, driven: DrivenJobs, size: str) -> None:
        answer = driven.client.get("/cache/shrink", params={"to": size})
        assert "a size such as 500MB" in problem(answer, 422, "invalid-request")["detail"]

    def test_a_session_may_evict(self, driven: DrivenJobs, store: Store, lab: Lab) -> None:
        evicted = self.entry(store, "by a session")
        path = f"/lab/cache/{evicted}"
        with httpx.Client(base_url=lab.address, headers=HTML, timeout=60) as visitor:
            log_in(visitor, lab.keys.create("eve", ["admin"])[1])
            form = form_of(visitor.get(path).text, f"cache/{evicted}/evict")
            assert visitor.post(f"{path}/evict", data={"token": "x"}).status_code == 403
            assert store.manifest(evicted) is not None
            assert visitor.post(f"{path}/evict", data=form).status_code == 303
        assert store.manifest(evicted) is None


@pytest.mark.parametrize("path", ["/cache", "/cache/entries", f"/cache/{'0' * 64}"])
def test_the_pages_need_the_scope_of_bases(driven: DrivenJobs, path: str, lab: Lab) -> None:
    problem(driven.client.get(path, headers={"authorization": ""}), 401, "unauthorized")
    key = {"authorization": f"Bearer {lab.tokens['jobs:write']}"}
    problem(driven.client.get(path, headers=key), 403, "forbidden")


@pytest.mark.slow
def test_far_tiers_are_counted_and_asked(tmp_path: Path) -> None:
    shared = Store(tmp_path / "shared")
    rep = read_rep(SO3["rep"], SO3["group"])
    solve(rep, store=shared, progress=False)
    gone = tmp_path / "gone"
    gone.mkdir()
    (gone / "v1").write_text("a file where the folder should be")
    far = f"{gone},{shared.name}?read-only"
    cache = f"{tmp_path / 'unused'},{far}"
    with service_process(tmp_path / "data", cache=cache, workers="1", jobs="0") as service:
        with httpx.Client(base_url=service.address, headers=HTML, timeout=120) as client:
            text = client.get("/cache").text
            assert text.count("was not asked since the workers started") == 2
            assert client.post("/v1/bases", json=SO3).json()["cached"]
            rows = re.findall(
                r'<tr><th scope="row" class="value">(.*?)</tr>', client.get("/cache").text
            )
            near, first, second = ([*re.split(r"(?:</?t[hd][^>]*>)+", row)] for row in rows)
            assert near[0] == str(tmp_path / "data" / "cache")
            assert first[0] == str(gone)
            assert re.fullmatch(
                r"is skipped by all workers that have used it until [\d:]{8} UTC: .*gone.*",
                first[1],
            )
            assert first[2:7] == ["0", "0", "–", "0", "1"]
            assert second[:7] == [
                shared.name, "is read-only; answers", "1", "0", "100%", "0", "0"
            ]  # fmt: skip
            path = f"/cache/{basis_key(rep)}"
            assert "Ask the far tiers for it" in client.get(path).text
            asked = client.get(path, params={"ask": "1"}).text
            assert re.search(rf"{gone}</th><td[^>]*>cannot be reached: ", asked)
            assert re.search(rf"{shared.name}</th><td[^>]*>has it</td>", asked)
            assert "only if it can be proven complete" in asked
        service.end()
    counts = read_statistics(Store(tmp_path / "data" / "cache").layout)
    assert (counts[shared.name].hits, counts[str(gone)].failures) == (1, 1)
