"""What code for EMLP reads from its models: their group, and their layers by number."""

import numpy as np
import pytest
from intertwine import EMLP, MLP, Scalar, V
from intertwine.groups import SO, O, S
from intertwine.nn import EMLPBlock, Linear, gate_indices, load, save
from intertwine.nn import gated as our_gated

SMALL = {"ch": 16, "num_layers": 1}


@pytest.mark.parametrize("network", [EMLP, MLP])
def test_a_model_knows_its_group_and_keeps_it_when_saved(network, tmp_path):
    model = network(2 * V, Scalar, O(3), **SMALL)
    assert O(3) == model.G
    save(model, tmp_path / "model")
    assert O(3) == load(tmp_path / "model").G


def test_layers_of_the_papers_network_are_found_by_number():
    model = EMLP(2 * V, V, SO(3), bilinear="paper", **SMALL)
    assert len(model.network) == 2
    assert isinstance(model.network[0], EMLPBlock)
    assert isinstance(model.network[-1], Linear)
    x = np.random.default_rng(0).standard_normal((4, 6)).astype(np.float32)
    hidden = model.network[0](x)
    np.testing.assert_allclose(model.network[1](hidden), model(x), atol=1e-6)


def test_layers_in_irreps_are_found_by_number():
    model = EMLP(2 * V, V, SO(3), **SMALL)
    network = model.network
    assert len(network) == 2
    assert [*network][:1] == [*network.blocks]
    x = np.random.default_rng(0).standard_normal((4, 6)).astype(np.float32)
    features = network[0](network.space_in.enter(x))
    np.testing.assert_allclose(network[-1](features, x), model(x), atol=1e-6)
    with pytest.raises(IndexError):
        network[2]


def gated(rep):
    """A scalar for each term that needs a gate, as code for EMLP finds them."""
    terms = [term for term in rep if term != Scalar and not term.is_permutation]
    return rep + sum([Scalar(term.G) for term in terms])


@pytest.mark.parametrize("group", [O(3), S(4)], ids=repr)
def test_code_that_walks_the_terms_finds_the_gates_that_we_find(group):
    rep = (3 * Scalar + 2 * V + V**2 + V)(group)
    assert gated(rep) == our_gated(rep)
    assert gate_indices(rep).max() == gated(rep).size() - 1
