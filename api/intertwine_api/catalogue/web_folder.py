"""The web folder of a catalogue: signed bases, their pictures, and a page with a table of them."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from math import prod
from pathlib import Path
from typing import Any

import intertwine
from intertwine.errors import Unavailable
from intertwine.invariants import solve
from intertwine.reps import Rep, basis_key, canonical
from intertwine.reps.syntax import atoms
from intertwine.whole_files import whole_file
from intertwine_cache import Chain, Keyring, Manifest, Store, fingerprint
from intertwine_cache.layout import blob_path, manifest_path
from intertwine_cache.tiers.object_store import ObjectTier

from intertwine_api.catalogue.entries import Entry

_LARGEST_PICTURE = 10_000  # entries: a larger picture shows no more


@dataclass(frozen=True)
class Row:
    """A basis in the table: `rep` is in canonical form, whose coordinates the file has.

    Paths are relative to the folder; `picture` is "" if there is none.
    """

    group: str
    rep: str
    size: int
    rank: int
    method: str
    residual: float
    bytes: int
    key: str
    manifest: str
    blob: str
    picture: str

    def bibtex(self, year: int) -> str:
        """Return the citation of the basis: its digest identifies it."""
        return (
            f"@misc{{intertwine-{self.key[:12]},\n"
            f"  title = {{Equivariant basis of {self.rep} over {self.group}}},\n"
            f"  note = {{{self.size} \\texttimes{{}} {self.rank}, sha256 "
            f"{Path(self.blob).name}}},\n"
            f"  howpublished = {{Intertwine {intertwine.__version__}}},\n"
            f"  year = {{{year}}}\n}}"
        )


class Catalogue:
    """A folder of bases, in the layout of a tier, that any web server can publish.

    Each basis is solved with `store`, signed with the keyring's own key, and written with its
    picture. Bases that the folder has already are kept, so that an interrupted build goes on.

    Raises `ValueError` if the extra `lab` is not installed.
    """

    def __init__(self, folder: Path, store: Store | Chain, keyring: Keyring) -> None:
        self.folder, self._store, self._keyring = folder.absolute(), store, keyring
        (self.folder / "pictures").mkdir(parents=True, exist_ok=True)
        self._tier = ObjectTier(self.folder.as_uri(), is_writable=True)

    def add(self, entry: Entry) -> Row:
        """Return the row of an entry, which is solved if the folder does not have its basis.

        Raises the errors of a solve, and `OSError` if the folder or the store cannot be written to.
        """
        rep = canonical(entry.parse()).rep  # the coordinates of the file
        key = basis_key(rep)
        manifest = self._tier.manifest(key)
        if manifest is None or not self._keyring.trusts(manifest):
            manifest = self._publish(key, rep)
        picture = f"pictures/{key}.svg"
        if not (self.folder / picture).exists():
            picture = self._draw(picture, rep)
        certificate = manifest.details["certificate"]
        return Row(
            group=entry.group,
            rep=str(rep),
            size=certificate["size"],
            rank=certificate["rank"],
            method=certificate["method"],
            residual=certificate["residual"],
            bytes=manifest.size,
            key=key,
            manifest=manifest_path(key),
            blob=blob_path(manifest.digest),
            picture=picture,
        )

    def write_page(self, rows: Sequence[Row], created: float | None = None) -> None:
        """Write ``index.html`` with a table of the rows, and the same as ``catalogue.json``."""
        created = time.time() if created is None else created
        public_key = self._keyring.public_key
        document = {
            "version": intertwine.__version__,
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(created)),
            "public_key": public_key,
            "bases": [asdict(row) for row in rows],
        }
        content = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
        for name, text in (
            ("catalogue.json", content),
            ("index.html", _page(rows, public_key, time.gmtime(created).tm_year)),
        ):
            with whole_file(self.folder / name) as file:
                file.write(text.encode())

    def _publish(self, key: str, rep: Rep) -> Manifest:
        solve(rep, store=self._store, progress=False)
        found = self._store.near.read(key)
        if found is None:
            raise OSError(f"the store {self._store.name} did not keep the basis of {rep}")
        manifest = self._keyring.vouch_for(found[0])
        self._tier.publish(manifest, found[1])
        published = self._tier.manifest(key)
        if published is None or not self._keyring.trusts(published):
            raise OSError(
                f"{self.folder} has a basis of {rep} with the signature of another key: give an "
                f"empty folder"
            )
        return published

    def _draw(self, path: str, rep: Rep) -> str:
        """Draw the basis of a rep as matrices, in a file. Return its path, or "" without one."""
        rows, columns = _matrix_shape(rep)
        if not 0 < rows * columns <= _LARGEST_PICTURE:
            return ""
        try:
            import matplotlib
        except ImportError as error:
            raise Unavailable(
                "the pictures of a catalogue need Matplotlib: pip install 'intertwine[vis]'"
            ) from error
        from intertwine.vis import draw_basis

        drawn = io.BytesIO()
        with matplotlib.rc_context({"svg.hashsalt": "intertwine"}):  # the same file each time
            basis = solve(rep, store=self._store, progress=False)
            figure: Any = draw_basis(basis, (rows, columns)).figure
            figure.savefig(drawn, format="svg", metadata={"Date": None})
        with whole_file(self.folder / path) as file:
            file.write(drawn.getvalue())
        return path


def _matrix_shape(rep: Rep) -> tuple[int, int]:
    """Return the shape in which a basis is drawn: a tensor as a map from half of its indices."""
    sizes = [atom.size() for atom in atoms(rep)]
    if prod(sizes) != rep.size():  # a sum
        return rep.size(), 1
    columns = prod(sizes[(len(sizes) + 1) // 2 :])
    return rep.size() // columns, columns


_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; text-align: left; vertical-align: top; }
tr { border-bottom: 1px solid #8884; }
td.n, th.n { text-align: right; }
td img { max-height: 6rem; max-width: 10rem; background: white; }
input { font: inherit; padding: .3rem; width: min(30rem, 90%); }
pre { overflow-x: auto; }
"""

_SCRIPT = """
const search = document.getElementById("search"), count = document.getElementById("count");
const rows = [...document.querySelectorAll("tbody tr")];
function show() {
  const words = search.value.toLowerCase().split(/\\s+/).filter(Boolean);
  let shown = 0;
  for (const row of rows) {
    const text = row.dataset.text;
    row.hidden = !words.every(word => text.includes(word));
    shown += !row.hidden;
  }
  count.textContent = `${shown} of ${rows.length} bases`;
}
search.addEventListener("input", show);
show();
"""

_COLUMNS = ("group", "rep", "size", "rank", "method", "residual", "picture", "files")


def _page(rows: Sequence[Row], public_key: str, year: int) -> str:
    """Return the page: a table that can be searched, and read without JavaScript."""
    heads = "".join(f'<th scope="col"{_number(name)}>{name}</th>' for name in _COLUMNS)
    body = "\n".join(_row(row, year) for row in rows)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Equivariant bases</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>Equivariant bases</h1>
<p>For each rep, an orthonormal basis of all vectors that the group fixes. A tensor's basis is
drawn as matrices: entries of one colour are equal up to sign in all of them, and grey ones are
zero.</p>
<p>To use them from Intertwine, add the address of this folder to your cache, and trust its key if
you know whose it is:</p>
<pre>export INTERTWINE_CACHE='~/.cache/intertwine,https://HOST/PATH/'
export INTERTWINE_TRUSTED_KEYS='{escape(public_key)}'</pre>
<p>The key's fingerprint is <code>{fingerprint(public_key)}</code>.</p>
<p><label>Search <input id="search" type="search" placeholder="SO(3) V²"></label>
<span id="count" role="status">{len(rows)} bases</span></p>
<table>
<thead><tr>{heads}</tr></thead>
<tbody>
{body}
</tbody>
</table>
<script>{_SCRIPT}</script>
</body>
</html>
"""


def _row(row: Row, year: int) -> str:
    what = escape(f"{row.rep} over {row.group}")
    picture = (
        f'<a href="{row.picture}"><img src="{row.picture}" loading="lazy" '
        f'alt="The basis of {what}"></a>'
        if row.picture
        else ""
    )
    files = (
        f'<a href="{row.blob}" download="{row.key[:12]}.safetensors">{row.bytes:,} bytes</a> '
        f'<a href="{row.manifest}">manifest</a>'
        f"<details><summary>BibTeX</summary><pre>{escape(row.bibtex(year))}</pre></details>"
    )
    cells = {
        "group": escape(row.group),
        "rep": escape(row.rep),
        "size": f"{row.size:,}",
        "rank": f"{row.rank:,}",
        "method": escape(row.method),
        "residual": f"{row.residual:.1e}",
        "picture": picture,
        "files": files,
    }
    shown = "".join(f"<td{_number(name)}>{cells[name]}</td>" for name in _COLUMNS)
    text = escape(f"{row.group} {row.rep} {row.method}".lower(), quote=True)
    return f'<tr data-text="{text}">{shown}</tr>'


def _number(name: str) -> str:
    return ' class="n"' if name in ("size", "rank", "residual") else ""
