"""Small files of the kinds that a draft is made for."""

import numpy as np


def trial_columns(n=3_000, seed=1, targeted=False):
    """A trial of two letters and none: facts that differ, outcomes that depend on the letter; texts by column."""
    rng = np.random.default_rng(seed)
    gender = rng.choice(["f", "m"], n)
    offer = rng.choice(["No letter", "Letter A", "Letter B"], n)
    if targeted:
        offer = np.where(rng.random(n) < 0.8, np.where(gender == "f", "Letter A", "Letter B"), offer)
    spent = rng.lognormal(4.0, 1.0, n).round(2)
    bought = rng.random(n) < np.where(offer == "No letter", 0.08, 0.16)
    paid = np.where(bought, rng.lognormal(3.5, 0.4, n).round(2), 0.0)
    bands = np.array(["low", "middle", "high"])[np.searchsorted([30.0, 90.0], spent)]
    return {
        "age": [str(age) for age in rng.integers(18, 80, n)],
        "gender": gender.tolist(),
        "spent_last_year": spent.tolist(),
        "spent_last_year_band": bands.tolist(),
        "country": ["DE"] * n,
        "letter_group": offer.tolist(),
        "visited": np.where(bought | (rng.random(n) < 0.2), "1", "0").tolist(),
        "bought": bought.astype(int).tolist(),
        "amount": paid.tolist(),
    }


def write_csv(path, columns, delimiter=",", start=""):
    """Write columns of values as a CSV file and return its path."""
    lines = [delimiter.join(columns), *(delimiter.join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    path.write_text(start + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def roles_of(draft):
    """The role of each column, and "left out" for those that have none."""
    return {guess.column: guess.role for guess in (*draft.guesses, *draft.left_out) if guess.column}


def reason_of(draft, column, role=None):
    """Why a column, or no column, has its role."""
    found = [
        guess.reason
        for guess in (*draft.guesses, *draft.left_out)
        if guess.column == column and role in {None, guess.role}
    ]
    return found[0]
