"""What an engine counts."""

from bandit.engine.counters import MAX_FAULT_KINDS, EngineCounters


def test_faults_are_counted_by_the_text_before_the_colon():
    counters = EngineCounters()
    counters.count_decisions(3, None)
    counters.count_decisions(2, "PolicyError: the rows sum to 2")
    counters.count_decisions(1, "PolicyError: another", logged=False)
    assert (counters.decisions, counters.faults, counters.unlogged) == (6, {"PolicyError": 3}, 1)
    assert counters.last_fault == "PolicyError: another"
    assert counters.last_fault_time > 0


def test_kinds_beyond_the_most_are_counted_together():
    """32 kinds are counted apart; the 33rd and 34th are "other", and a known kind still counts as itself."""
    counters = EngineCounters()
    for number in range(MAX_FAULT_KINDS + 2):
        counters.count_fault(f"Kind{number}: x")
    counters.count_fault("Kind0: x")
    assert len(counters.faults) == MAX_FAULT_KINDS + 1
    assert (counters.faults["other"], counters.faults["Kind0"]) == (2, 2)


def test_after_a_reset_nothing_is_counted():
    counters = EngineCounters()
    counters.count_decisions(3, "PolicyError: x", logged=False)
    counters.reset()
    assert counters == EngineCounters()
