"""Requests for bases, reps and groups, and their documents, as JSON."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from intertwine.training.recipe.description import Digest, Generators
from pydantic import BaseModel, ConfigDict, FailFast, Field

_GROUP = "a group's text such as SO(3), or its generators; omitted if the rep's text names groups"


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class GeneratorImages(_Request):
    """A rep by the images of its group's generators."""

    images: list[Any] | None = Field(
        None,
        description="the image of each discrete generator: a square matrix as a list of rows, or a "
        "permutation as a list of integers",
    )
    lie: list[Any] | None = Field(
        None, description="the image of each Lie generator, as a list of rows"
    )
    size: int | None = Field(None, description="the size, for a group without generators")
    group: str | Generators | None = Field(
        None, description="its group, if not that of the request"
    )


class RepRequest(_Request):
    """A rep and its group."""

    rep: str = Field(description="the text of a rep", examples=["V**2*V.T+5V0"])
    group: str | Generators | None = Field(None, description=_GROUP, examples=["SO(3)"])
    reps: dict[str, GeneratorImages] | None = Field(
        None, description="the reps that names in the text stand for"
    )


class BasisRequest(RepRequest):
    """A request for the basis of a rep's invariants."""

    method: str = Field("auto", description="auto, orbits, irreps, svd or krylov")
    backend: str = Field("auto", description="auto, numpy or jax")
    tolerance: float | None = Field(
        None, gt=0, lt=1, description="the largest residual, as a fraction of the generators' norms"
    )


_Row = Annotated[list[float], FailFast()]  # report the first error only


class ProjectRequest(_Request):
    """Vectors to project onto the invariants. Their length is the size of the canonical rep."""

    vectors: Annotated[list[_Row], FailFast()] = Field(description="the real parts")
    imaginary: Annotated[list[_Row], FailFast()] = Field(
        default_factory=list, description="the imaginary parts; omitted for real vectors"
    )


class Projected(BaseModel):
    """The nearest invariants and their coordinates in the basis."""

    vectors: list[list[float]]
    coordinates: list[list[float]]
    imaginary: list[list[float]] | None = None
    coordinates_imaginary: list[list[float]] | None = None


class BasisCertificate(BaseModel):
    """The numerical evidence stored with a basis. `gap` is null if it is infinite."""

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
    notes: list[str] = Field(default=[], description="why faster methods were skipped")
    rank_bound: int | None = Field(None, description="an exact upper bound, if known")
    kind: str = Field("exact", description="exact, or approximate: up to `tolerance`")
    tolerance: float | None = Field(None, description="the tolerance of an approximate basis")
    kept_values: list[float] = Field(
        default=[], description="the largest singular values that count as zero"
    )
    dropped_values: list[float] = Field(
        default=[], description="the smallest singular values that count as nonzero"
    )


class BasisManifest(BaseModel):
    """A stored basis: its request, its blob and its certificate."""

    key: Digest
    group: str | None = Field(description="the rep's group; null if it has several or none")
    rep: str = Field(description="the rep of the request")
    canonical: str = Field(description="the canonical rep")
    order: Literal["canonical"] = Field(
        default="canonical",
        description="the rep whose coordinates index the rows of `blob` and `dense`; "
        "`file_as_asked` and `dense_as_asked` use the coordinates of the requested rep",
    )
    size: int
    rank: int
    method: str
    cached: bool = Field(description="whether the basis was stored before the request")
    digest: Digest | None = Field(description="the digest of the blob; null if it was not stored")
    bytes: int
    certificate: BasisCertificate
    links: dict[str, str]


class StoreDescription(BaseModel):
    """The store of a service, as other stores read it."""

    layout: int = Field(description="the version of the layout of manifests and blobs")
    public_key: str = Field(description="the ed25519 key of the signatures, in base64")
    fingerprint: str = Field(description="the public key for people to compare")


class StoreKeys(BaseModel):
    """A page of the keys of the stored bases, in ascending order."""

    data: list[Digest]
    has_more: bool
    next: Digest | None = Field(description="the cursor of the next page")


class SentBlob(BaseModel):
    """The bytes of a basis that were sent. They wait for their manifest, at most an hour."""

    digest: Digest
    bytes: int


class PublishedBasis(BaseModel):
    """The entry of a key in the service's store, after a basis was sent for it."""

    key: Digest
    digest: Digest | None = Field(description="the digest of its blob; null if it was not stored")
    bytes: int
    outcome: Literal["known", "checked", "solved"] = Field(
        description="known: the key has an earlier entry, which stays; checked: the basis that was "
        "sent is proven and stored; solved: it could not be proven, and the service has solved"
    )
    reason: str = Field("", description="why the basis that was sent is not stored")


class Progress(BaseModel):
    """The progress of a solve: its stage in words, and the fraction of that stage."""

    stage: str
    fraction: float


class Pending(BaseModel):
    """A queued or running solve."""

    key: Digest
    state: str = Field(description="queued or running")
    progress: Progress
    job: str | None = Field(
        default=None,
        description="the address of the solve's job; omitted if a worker solves without a job",
    )


class BasisPage(BaseModel):
    """A page of the stored bases, sorted by key."""

    data: list[BasisManifest]
    has_more: bool
    next: str | None = Field(description="the cursor of the next page")


class BlobDocument(BaseModel):
    """A stored blob, addressed by its digest."""

    digest: Digest
    bytes: int
    links: dict[str, str]


class ParsedRep(BaseModel):
    """A rep, parsed from its text."""

    rep: str
    canonical: str
    group: str | None
    size: int | None = Field(description="null if a group is missing")
    dimension: str = Field(description="the size as a polynomial in d")
    latex: str
    ast: dict[str, Any]


class IrrepEntry(BaseModel):
    """An irrep and its multiplicity."""

    name: str = Field(description="a stable name, valid in a rep's text")
    dimension: int
    type: str = Field(description="ℝ, ℂ or ℍ: the algebra of maps that commute with it")
    multiplicity: int
    label: str = Field(description="its usual name, such as l=2 or T2g, else the stable name")


class DecomposedRep(BaseModel):
    """A rep as a sum of irreps."""

    rep: str
    group: str
    size: int
    irreps: list[IrrepEntry]
    residual: float = Field(
        description="an upper bound on the equivariance error of the change of basis"
    )
    orthonormality: float


class PolynomialRequest(RepRequest):
    """A rep, and the largest degree of polynomials in its vectors."""

    degree: int = Field(ge=0, le=1000, description="the largest degree", examples=[4])


class CovariantRequest(PolynomialRequest):
    """Two reps, and the largest degree of polynomials from one to the other."""

    rep_out: str | None = Field(
        None, description="the text of the rep of the values; omitted for invariants"
    )


class SeriesDocument(BaseModel):
    """A Hilbert series: the number of invariants or covariants of each degree."""

    rep: str
    rep_out: str
    group: str | None = Field(description="null if the rep has several groups or none")
    degree: int
    method: str = Field(description="how they are counted: characters, weights or solve")
    series: str = Field(description="the series as text")
    coefficients: list[str] = Field(description="an integer for each degree from 0 on")
    numerator: list[str] | None = Field(
        description="the numerator of the generating function, lowest degree first, if known"
    )
    denominator: list[int] | None = Field(
        description="the d of the factors 1 − t^d of its denominator, if known"
    )
    closed_form: str | None = Field(description="the generating function as text, if known")


class PolynomialTerm(BaseModel):
    """A term of a polynomial."""

    exponents: list[int] = Field(description="α of the monomial x^α")
    coefficient: str = Field(description="exact if the map is, such as -3 or 2+√5")
    value: float = Field(description="the real part of scale × coefficient")
    imaginary: float = Field(0.0, description="its imaginary part")


class PolynomialMapDocument(BaseModel):
    """A homogeneous equivariant polynomial: its scale times the polynomial of its terms."""

    degree: int
    scale: str
    formula: list[str] = Field(description="the polynomial as text, for each coordinate")
    is_exact: bool = Field(description="whether exact coefficients were recognised")
    terms: list[list[PolynomialTerm]] = Field(description="its terms, for each coordinate")


class PolynomialMapsDocument(BaseModel):
    """Polynomial maps, low degrees first."""

    rep: str
    rep_out: str
    group: str | None = Field(description="null if the rep has several groups or none")
    degree: int
    counts: list[int] = Field(description="the number of maps of each degree from 0 on")
    maps: list[PolynomialMapDocument]
    certificates: list[BasisCertificate] = Field(
        description="the evidence for the space of all equivariant polynomials of each degree"
    )


class GroupSummary(BaseModel):
    """A group of the catalogue, its notation and an example as text."""

    name: str
    form: str
    example: str
    summary: str


class GroupDescription(BaseModel):
    """The properties of a group."""

    group: str
    d: int
    lie_generators: int
    discrete_generators: int
    orthogonal: bool
    permutation: bool
    complex: bool
    digest: Digest


class CharacterClass(BaseModel):
    """A conjugacy class."""

    order: int = Field(description="the order of its elements")
    size: int


class CharacterRow(BaseModel):
    """The character of an irrep over ℂ."""

    label: str
    dimension: int
    indicator: int = Field(description="1, 0 or −1 for an irrep of type ℝ, ℂ or ℍ")
    values: list[str] = Field(description="exact values, one for each class, such as (1+√5)/2")


class CharacterTableDocument(BaseModel):
    """The character table of a finite group."""

    group: str
    order: int
    classes: list[CharacterClass]
    irreps: list[CharacterRow]


class WeightRow(BaseModel):
    """A weight of a rep."""

    labels: list[int] = Field(description="Dynkin labels, one for each simple root")
    charges: list[int] = Field(description="values on a basis of the centre")
    multiplicity: int


class WeightTableDocument(BaseModel):
    """The weights of a rep of a reductive Lie group, the highest first."""

    rep: str
    group: str
    type: str = Field(description="of the complexified Lie algebra", examples=["A2", "A1 × U(1)"])
    rank: int = Field(description="the number of simple roots")
    charges: int = Field(description="the dimension of the centre")
    simple_roots: list[list[int]] = Field(description="their Dynkin labels: the Cartan matrix")
    dimension: int
    weights: list[WeightRow]
