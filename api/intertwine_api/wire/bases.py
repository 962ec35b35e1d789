"""The documents of the service: what goes in and what comes out, as JSON."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from intertwine.training.recipe.description import Digest, Generators
from pydantic import BaseModel, ConfigDict, FailFast, Field

_GROUP = "a group's text such as SO(3), or its generators; left out where the text names its groups"


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RepRequest(_Request):
    """A rep, and its group."""

    rep: str = Field(description="the text of a rep", examples=["V**2*V.T+5V0"])
    group: str | Generators | None = Field(None, description=_GROUP, examples=["SO(3)"])


class BasisRequest(RepRequest):
    """A request for the basis of a rep's invariants."""

    method: str = Field("auto", description="auto, orbits, irreps, svd or krylov")
    backend: str = Field("auto", description="auto, numpy or jax")
    tolerance: float | None = Field(
        None, gt=0, lt=1, description="for what is equivariant up to this part of the generators"
    )


_Row = Annotated[list[float], FailFast()]  # of a million faults the first is told


class ProjectRequest(_Request):
    """Vectors to project on the invariants, each as long as the canonical rep is large."""

    vectors: Annotated[list[_Row], FailFast()] = Field(description="the vectors' real parts")
    imaginary: Annotated[list[_Row], FailFast()] = Field(
        default_factory=list, description="their imaginary parts; left out for real vectors"
    )


class Projected(BaseModel):
    """The nearest invariants, and their coordinates in the basis."""

    vectors: list[list[float]]
    coordinates: list[list[float]]
    imaginary: list[list[float]] | None = None
    coordinates_imaginary: list[list[float]] | None = None


class BasisCertificate(BaseModel):
    """The evidence kept with a basis; `gap` is null where it is infinite."""

    model_config = ConfigDict(extra="allow")

    method: str
    backend: str
    device: str
    size: int
    rank: int
    residual: float
    orthonormality: float
    gap: float | None
    iterations: int
    seconds: float
    notes: list[str] = Field(default=[], description="why a faster method was passed over")
    rank_bound: int | None = Field(None, description="an exact upper bound, where one is known")
    kind: str = Field("exact", description="exact, or approximate: up to `tolerance`")
    tolerance: float | None = Field(None, description="of an approximate basis")
    kept_values: list[float] = Field(
        default=[], description="the largest singular values that count as zero"
    )
    dropped_values: list[float] = Field(default=[], description="the smallest that do not")


class BasisManifest(BaseModel):
    """A basis that is known: what it answers, where its bytes are, and the evidence."""

    key: Digest
    group: str | None = Field(description="the rep's one group; null for several, or none")
    rep: str = Field(description="as it was asked for")
    canonical: str = Field(description="the canonical rep")
    order: Literal["canonical"] = Field(
        default="canonical",
        description="of which rep the rows of `blob` and `dense` are coordinates; those of the rep "
        "as it was asked for are behind `file_as_asked` and `dense_as_asked`",
    )
    size: int
    rank: int
    method: str
    cached: bool = Field(description="whether it was there before the request")
    digest: Digest | None = Field(description="of its blob; null where the store could not keep it")
    bytes: int
    certificate: BasisCertificate
    links: dict[str, str]


class Progress(BaseModel):
    """How far a solve is: a stage in words, and the fraction of that stage."""

    stage: str
    fraction: float


class Pending(BaseModel):
    """A solve in flight."""

    key: Digest
    state: str = Field(description="queued or running")
    progress: Progress
    job: str | None = Field(
        default=None, description="the address of the job that solves; left out where a worker does"
    )


class BasisPage(BaseModel):
    """Some of the bases that are known, in the order of their keys."""

    data: list[BasisManifest]
    has_more: bool
    next: str | None = Field(description="the cursor of the next page")


class BlobDocument(BaseModel):
    """Bytes that are kept, by what they are."""

    digest: Digest
    bytes: int
    links: dict[str, str]


class ParsedRep(BaseModel):
    """What a rep's text means."""

    rep: str
    canonical: str
    group: str | None
    size: int | None = Field(description="null where a group is missing")
    dimension: str = Field(description="the size as a polynomial in d")
    latex: str
    ast: dict[str, Any]


class IrrepEntry(BaseModel):
    """An irrep, and how often it occurs."""

    name: str = Field(description="the same in every process; it may stand in a rep's text")
    dimension: int
    type: str = Field(description="ℝ, ℂ or ℍ: what commutes with it")
    multiplicity: int


class DecomposedRep(BaseModel):
    """A rep as a sum of irreps."""

    rep: str
    group: str
    size: int
    irreps: list[IrrepEntry]
    residual: float = Field(
        description="a bound on how far the change of basis is from equivariant"
    )
    orthonormality: float


class GroupSummary(BaseModel):
    """A group of the catalogue, as it is written."""

    name: str
    form: str
    summary: str


class GroupDescription(BaseModel):
    """What is known of a group."""

    group: str
    d: int
    lie_generators: int
    discrete_generators: int
    orthogonal: bool
    permutation: bool
    complex: bool
    digest: Digest
