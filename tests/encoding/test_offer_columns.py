from bandit.encoding.encoder import Encoder


def test_offer_columns_hold_one_option_a_dimension_and_one_pair_a_pair_of_dimensions(catalogue):
    offers = Encoder(catalogue).offers
    options = [place for place, name in enumerate(offers.main_names) if "=" in name]
    assert (offers.main[:, options].sum(axis=1) == 3).all()
    assert (offers.pairs.sum(axis=1) == 3).all()  # 3 dimensions make 3 pairs
    depth = offers.main[:, offers.main_names.index("discount.depth")]
    assert sorted(set(depth.tolist())) == [0.0, 0.5, 1.0]
    assert "discount=20&gift=tote" not in offers.pair_names  # no legal offer has it


def test_pairs_can_be_chosen_or_left_out(catalogue):
    assert Encoder(catalogue, pairs=False).offers.pairs.shape == (10, 0)
    chosen = Encoder(catalogue, pairs=[("discount", "channel")]).offers
    assert chosen.pairs.shape == (10, 6)
