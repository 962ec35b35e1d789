"""The fields of a recipe, in JSON or TOML: the data, the model, and how it is fitted."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    FiniteFloat,
    StrictInt,
    StringConstraints,
    Tag,
    model_validator,
)

from intertwine.training.recipe.framework import DEFAULT, FrameworkName

#: A sha256 in hexadecimal: of a dataset's file, or of a file of weights.
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
#: A model's name: a part of an address, and the name of a folder.
MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"

MOST_LAYERS = 32
MOST_SAMPLES = 10**6
"""The largest built-in dataset."""
MOST_ROWS = 10_000
"""The most measurements of the losses of one training. Each measurement is stored as a row."""
MOST_CONFIG = 2**18
"""The longest config of a saved model, in characters of JSON; those of EMLP have some 10,000."""
_DEEPEST = 64
_LOOKS = 200  # measurements by default, which cost a few percent of the time
_MOST_SEED = 2**31 - 1

#: The built-in datasets.
BuiltInName = Literal[
    "Inertia",
    "O5Synthetic",
    "ParticleInteraction",
    "InvertedCube",
    "BrokenRubiksCube",
    "DoubleSpringPendulum",
]

_RepText = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
_Channels = Annotated[StrictInt, Field(ge=1, le=8192)]
_Seed = Annotated[StrictInt, Field(ge=0, le=_MOST_SEED)]
_Patience = Annotated[StrictInt, Field(ge=1, le=10**6)]


class _Description(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Generators(_Description):
    """A group by its generators: numbers, or exact texts such as ``sqrt(3)/2``."""

    model_config = ConfigDict(extra="forbid", serialize_by_alias=True)

    lie_algebra: list[Any] | None = Field(None, description="square matrices, as lists of rows")
    discrete_generators: list[Any] | None = Field(
        None, description="square matrices, or permutations as lists of integers"
    )
    d: int | None = Field(None, description="the size, for a group without generators")
    name: str | None = Field(None, description="a name to print")
    copy_number: int | list[int] | None = Field(
        None, alias="copy", description="the number of a copy, which makes equal groups different"
    )
    factors: list[Any] | None = Field(None, description="groups to multiply, in place of all else")
    refine: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="take the nearest exact group, changed by at most this; 0: exact as given",
    )
    precision: float | None = Field(
        None, gt=0, lt=1, description="that of the generators, where their digits do not say"
    )


class BuiltIn(_Description):
    """A dataset that is made where it is needed, the same from the same seed everywhere."""

    name: BuiltInName = Field(description="which one")
    size: StrictInt = Field(default=1000, ge=2, le=MOST_SAMPLES, description="how many samples")
    seed: _Seed = Field(default=0, description="another seed gives other samples")


class ModelDescription(_Description):
    """A network to make. What the dataset says of its group and reps need not be said again."""

    type: Literal["EMLP", "MLP"] = Field(
        default="EMLP", description="EMLP is equivariant; MLP is a plain network of the same widths"
    )
    group: str | Generators | None = Field(
        default=None,
        description="a group's text such as SO(3), or its generators; the dataset's if left out",
        examples=["SO(3)"],
    )
    rep_in: _RepText | None = Field(
        default=None,
        description="the rep of an input; the dataset's if left out",
        examples=["5V0+5V"],
    )
    rep_out: _RepText | None = Field(
        default=None,
        description="the rep of a target; the dataset's if left out",
        examples=["V**2"],
    )
    ch: (
        _Channels
        | _RepText
        | Annotated[list[_Channels | _RepText], Field(min_length=1, max_length=MOST_LAYERS)]
    ) = Field(
        default=384,
        description="the hidden layers: how many channels each has, or their rep, or a list of "
        "either, one a layer",
    )
    num_layers: StrictInt = Field(
        default=3, ge=1, le=MOST_LAYERS, description="hidden layers; as many as a list in ch has"
    )
    bilinear: Literal["channelwise", "paper"] | None = Field(
        default=None, description="which bilinear layer; the one that fits the group if left out"
    )
    channels: StrictInt = Field(
        default=16, ge=0, le=256, description="copies of each irrep that enter channelwise products"
    )
    gain: float = Field(
        default=0.1,
        gt=0,
        le=1e6,
        allow_inf_nan=False,
        description="the size of an EMLP's outputs at the start; small, since it stands alone",
    )
    key: _Seed = Field(default=0, description="the seed of the weights at the start")

    @model_validator(mode="after")
    def _count_layers(self) -> ModelDescription:
        if isinstance(self.ch, list) and "num_layers" not in self.model_fields_set:
            self.num_layers = len(self.ch)
        elif isinstance(self.ch, list) and len(self.ch) != self.num_layers:
            raise ValueError(
                f"ch lists {len(self.ch)} layers, and num_layers is {self.num_layers}: they must "
                f"agree, or leave num_layers out"
            )
        return self


class SavedModel(_Description):
    """A model to train further: its config as `intertwine.nn.save` writes it, and its weights."""

    config: dict[str, Any] = Field(description="the content of its config.json")
    weights: Digest = Field(description="the sha256 of its file of weights, uploaded before")

    @model_validator(mode="after")
    def _look(self) -> SavedModel:
        if _depth(self.config) > _DEEPEST:
            raise ValueError(f"config is more than {_DEEPEST} deep: no model's is")
        size = len(json.dumps(self.config))
        if size > MOST_CONFIG:
            raise ValueError(f"config has {size:,} characters as JSON; at most {MOST_CONFIG:,}")
        if self.config.get("sha256") != self.weights:
            raise ValueError(
                "config is not that of these weights: its sha256 is another, or it has none"
            )
        return self


def _depth(document: Any) -> int:
    """Return the depth of nested objects and lists, without recursion."""
    depth, level = 0, [document]
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        level = [x for item in level for x in (item.values() if isinstance(item, dict) else item)]
    return depth


class EarlyStopping(_Description):
    """End when the loss of a validation set falls no more, and take the weights that were best."""

    patience: _Patience = Field(description="epochs without a lower validation loss")
    fraction: FiniteFloat = Field(
        default=0.1,
        gt=0,
        lt=1,
        description="of the training samples, those set aside for validation",
    )


class TrainingDescription(_Description):
    """How a model is fitted."""

    epochs: StrictInt = Field(default=100, ge=1, le=10**6, description="passes over the samples")
    batch_size: StrictInt = Field(default=500, ge=1, le=2**20, description="samples a step")
    learning_rate: FiniteFloat = Field(
        default=0.01, gt=0, le=100, description="the largest rate of the schedule"
    )
    schedule: Literal["constant", "cosine", "warmup cosine"] = Field(
        default="warmup cosine", description="how the learning rate goes over the steps"
    )
    optimizer: Literal["adam"] = Field(
        default="adam", description="what turns gradients into steps"
    )
    weight_decay: FiniteFloat = Field(
        default=0.0, ge=0, le=10, description="decoupled from the gradient, as in AdamW"
    )
    seed: _Seed = Field(
        default=0, description="of the split, of the order of samples, of augmentation"
    )
    test_fraction: FiniteFloat = Field(
        default=0.1,
        gt=0,
        lt=1,
        description="the share of the samples that is only tested on; the cubes come with a test "
        "set of their own",
    )
    early_stopping: EarlyStopping | None = Field(
        default=None, description="end early; without it all epochs are run"
    )
    augment: bool = Field(
        default=False,
        description="move every sample by a random element of the group each time it is seen: for "
        "networks that are not equivariant",
    )
    dtype: Literal["float32", "float64"] = Field(
        default="float32", description="of weights and samples"
    )
    standardize: bool = Field(
        default=True,
        description="shift and scale inputs and targets to size 1, as far as equivariance allows; "
        "the model that comes back takes and gives them as they are",
    )
    loss: Literal["mse", "mae", "cross-entropy"] | None = Field(
        default=None, description="left out: cross-entropy for class labels, else mse"
    )
    evaluate_every: StrictInt | None = Field(
        default=None,
        ge=1,
        description=f"epochs between two measurements of the losses; a {_LOOKS}th of all epochs "
        f"if left out",
    )

    @model_validator(mode="after")
    def _bound_rows(self) -> TrainingDescription:
        rows = -(-self.epochs // self.looks_every)
        if rows > MOST_ROWS:
            raise ValueError(
                f"evaluate_every = {self.looks_every} measures {rows:,} times in {self.epochs:,} "
                f"epochs; at most {MOST_ROWS:,} are kept: make it "
                f"{-(-self.epochs // MOST_ROWS):,} at least"
            )
        return self

    @property
    def looks_every(self) -> int:
        """The number of epochs between two measurements of the losses."""
        return self.evaluate_every or max(1, self.epochs // _LOOKS)


def _kind_of_model(value: Any) -> str:
    names = value if isinstance(value, dict) else getattr(value, "model_fields_set", ())
    return "saved" if "config" in names or "weights" in names else "described"


AnyModel = Annotated[
    Annotated[ModelDescription, Tag("described")] | Annotated[SavedModel, Tag("saved")],
    Discriminator(_kind_of_model),
]


class TrainRequest(_Description):
    """A training, as it is asked for. What a job adds, such as limits, is not in it."""

    dataset: Digest | BuiltIn = Field(
        description="the digest of an uploaded dataset, or a built-in one"
    )
    model: AnyModel = Field(
        default=ModelDescription(), description="a network to make, or a saved one to go on"
    )
    training: TrainingDescription = Field(
        default=TrainingDescription(), description="how it is fitted"
    )
    framework: FrameworkName = Field(
        default=DEFAULT,
        description="the framework that trains it. Each can continue a saved model of the other",
    )
    name: Annotated[str, StringConstraints(pattern=MODEL_NAME)] | None = Field(
        default=None,
        description="the name to publish the model under; one made of the job's id if left out",
    )
