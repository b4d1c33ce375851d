import numpy as np

from bandit.models.rule_bits import RuleBits

FIRST, SECOND = np.array([True, False, False]), np.array([False, True])
NO_OPTION = None


def test_a_rule_is_decided_where_its_last_dimension_is_chosen():
    """Rule 0 covers dimensions 0 and 1, rule 1 dimension 0 only; what is decided stays decided."""
    rules = RuleBits.of([3, 2], [[FIRST, SECOND], [FIRST, NO_OPTION]])
    assert [int(words[0]) for words in rules.decided()] == [0b10, 0b11]
    assert [int(words[0]) for words in rules.of_one_dimension()] == [0b10, 0b00]


def test_a_combination_is_forbidden_where_a_rule_names_each_option_it_covers():
    """Only (0, 1) has options that rule 0 names in both dimensions."""
    rules = RuleBits.of([3, 2], [[FIRST, SECOND]])
    hit = rules.named[0][:, None, 0] & rules.named[1][None, :, 0] & np.uint64(1)
    assert hit.tolist() == [[0, 1], [0, 0], [0, 0]]


def test_rules_above_64_go_into_a_second_word():
    """Rules 0 and 65 of 66 hold: bit 0 of the first word and bit 1 of the second."""
    rules = RuleBits.of([2], [[SECOND]] * 66)
    holds = np.zeros((1, 66), dtype=bool)
    holds[0, [0, 65]] = True
    assert rules.in_force(holds).tolist() == [[1, 2]]


def test_another_order_of_dimensions_keeps_the_rules():
    rules = RuleBits.of([3, 2], [[FIRST, SECOND]])
    turned = rules.ordered([1, 0])
    np.testing.assert_array_equal(turned.named[0], rules.named[1])
    np.testing.assert_array_equal(turned.covers[1], rules.covers[0])
