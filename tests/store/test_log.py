"""The store as a log of one catalogue."""

import numpy as np
import pytest

from bandit.catalogue import Catalogue
from bandit.domain import Log
from bandit.store import StoreLog
from tests.store.rows import decisions, events

N = 10


class TestLog:
    def test_it_is_a_log_with_the_reward_folded_in(self, store, number, catalogue):
        """Offer 0: 0 %, email, no gift: 50 x 0.35 - 0.01 = 17.49; without a purchase it costs the email, 0.01."""
        store.decision_writer.append(decisions(number, N, ["a", "b"], offer=np.zeros(2, int)))
        store.events.append(events(["a"], revenue=50.0))
        log = StoreLog(store, catalogue)
        assert isinstance(log, Log)
        assert (log.n, log.left_out) == (2, 0)
        (batch,) = log.batches()
        assert batch.reward.tolist() == pytest.approx([17.49, -0.01])
        assert batch.converted.tolist() == [True, False]
        assert batch.eligible.shape == (2, N)
        assert batch.contexts.columns["recency"].tolist() == [1.5, 1.5]
        assert batch.contexts.columns["loyal"].tolist() == [1.0, 1.0]
        assert batch.contexts.customers.tolist() == [store.customers.stored(f"customer-{i}") for i in range(2)]

    def test_it_can_be_read_again_in_batches_of_any_size_and_does_not_grow(self, store, number, catalogue):
        store.decision_writer.append(decisions(number, N, [f"d{i}" for i in range(10)]))
        log = StoreLog(store, catalogue)
        store.decision_writer.append(decisions(number, N, ["later"]))
        whole = next(log.batches())
        parts = list(log.batches(size=3))
        assert [len(part) for part in parts] == [3, 3, 3, 1]
        assert np.concatenate([part.offer for part in parts]).tolist() == whole.offer.tolist()
        assert log.n == len(whole) == 10

    def test_older_versions_are_mapped_by_the_names_of_their_options(self, store, number, spring):
        """Without sms and without the stacking rule: 3 x 1 x 2 = 6 offers; sms decisions are left out."""
        mask = np.ones((1, N), dtype=bool)
        mask[0, 9] = False
        store.decision_writer.append(decisions(number, N, [f"d{i}" for i in range(9)], eligible=mask))
        older = store.catalogues.get(number)
        spring["dimensions"][1]["options"] = [{"name": "email"}]
        spring["rules"] = spring["rules"][1:]
        newer = Catalogue.from_dict(spring)
        log = StoreLog(store, newer)
        (batch,) = log.batches()
        kept = [older.offer(i) for i in range(9) if older.offer(i)["channel"] == "email"]
        assert log.n == len(batch) == len(kept)
        assert log.left_out == 9 - len(kept)
        assert [newer.offer(int(i)) for i in batch.offer] == kept
        eligible = [newer.offer(int(i)) for i in np.flatnonzero(batch.eligible[0])]
        assert eligible == [older.offer(i) for i in range(9) if older.offer(i)["channel"] == "email"]

    def test_a_catalogue_of_other_dimensions_leaves_everything_out(self, store, number):
        store.decision_writer.append(decisions(number, N, ["a"]))
        other = Catalogue.from_dict({"dimensions": [{"name": "price", "options": [{"name": "1"}, {"name": "2"}]}]})
        log = StoreLog(store, other)
        assert (log.n, log.left_out, list(log.batches())) == (0, 1, [])

    def test_facts_missing_unseen_or_no_longer_declared_are_no_trouble(self, store, number, catalogue):
        texts = ["{}", '{"gender":"x","age":7}', '{"recency":3,"loyal":false,"gender":null}']
        store.decision_writer.append(decisions(number, N, list("abc"), contexts_json=texts))
        (batch,) = StoreLog(store, catalogue).batches()
        columns = batch.contexts.columns
        assert columns["gender"].tolist() == [-1, 2, -1]
        assert np.isnan(columns["recency"][:2]).all()
        assert columns["recency"][2] == 3.0
        assert columns["loyal"][2] == 0.0

    def test_a_fact_of_another_type_than_declared_is_missing(self, store, number, catalogue):
        store.decision_writer.append(decisions(number, N, ["a"], contexts_json=['{"recency":"often"}']))
        (batch,) = StoreLog(store, catalogue).batches()
        assert np.isnan(batch.contexts.columns["recency"]).all()
