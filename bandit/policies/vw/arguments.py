"""The arguments of Vowpal Wabbit that a policy takes: a list of what is allowed, with bounds.

VW takes a word without a dash for the name of a file to learn from, reads and writes files, listens on ports, and
runs for hours with some numbers. So what is not in this list is refused. A number's bound is what keeps a decision
among thousands of offers below about a second, or the range in which VW documents the option.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bandit.errors import PolicyError
from bandit.printable import did_you_mean, plain

MAX_ARGUMENTS = 200
"""Most words of the arguments."""

MAX_BITS = 28
"""Most bits of a feature's hash: 2^28 weights are four gigabytes."""

_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Number:
    """A number from `low` to `high`, whole if `whole`."""

    low: float
    high: float
    whole: bool = False

    def takes(self, value: str) -> bool:
        """Return whether the text is such a number."""
        try:
            number = float(value)
        except ValueError:
            return False
        return self.low <= number <= self.high and (not self.whole or (value.isascii() and value.isdigit()))

    @property
    def words(self) -> str:
        """What is taken, in words."""
        return f"a {'whole ' if self.whole else ''}number from {self.low:g} to {self.high:g}"


@dataclass(frozen=True, slots=True)
class Text:
    """A text that matches a pattern; `words` says which."""

    pattern: str
    words: str

    def takes(self, value: str) -> bool:
        """Return whether the text matches."""
        return re.fullmatch(self.pattern, value) is not None


@dataclass(frozen=True, slots=True)
class Flag:
    """No value."""


def _whole(low: int, high: int) -> Number:
    return Number(low, high, whole=True)


def _choice(*words: str) -> Text:
    return Text("|".join(map(re.escape, words)), "one of " + ", ".join(words))


_NAMESPACES = Text(r"[A-Za-z:]+", "the first letters of namespaces, c for facts and a for options")
_FEW_LETTERS = Text(r"[A-Za-z:]{1,4}", "the first letters of at most four namespaces, such as ca")
_GRAMS = Text(r"[A-Za-z]?[1-3]", "1, 2 or 3, or a namespace's letter and one of these, such as c2")
_SMALL, _SHARE = Number(0.0, 1e6), Number(0.0, 1.0)

ALLOWED: Mapping[str, Number | Text | Flag] = {
    # exploration and its settings
    **dict.fromkeys(
        ("squarecb", "regcb", "regcbopt", "softmax", "synthcover", "elim", "greedify", "first_only", "nounif"), Flag()
    ),
    "epsilon": _SHARE,
    "bag": _whole(1, 64),
    "cover": _whole(1, 64),
    "rnd": _whole(1, 64),
    "synthcoversize": _whole(1, 1_000),
    "first": _whole(0, 1_000_000_000),
    "lambda": Number(0.0, 1e9),
    "gamma_scale": Number(0.0, 1e12),
    "gamma_exponent": Number(0.0, 10.0),
    **dict.fromkeys(("psi", "synthcoverpsi", "mellowness", "rnd_alpha", "rnd_invlambda"), _SMALL),
    "cb_min_cost": Number(-1e6, 1e6),
    "cb_max_cost": Number(-1e6, 1e6),
    **dict.fromkeys(("cb_dro", "epsilon_decay", "fixed_significance_level"), Flag()),
    **dict.fromkeys(("cb_dro_alpha", "cb_dro_tau", "epsilon_decay_significance_level", "initial_epsilon"), _SHARE),
    "cb_dro_wmax": _SMALL,
    "model_count": _whole(1, 16),
    "min_scope": _whole(1, 1_000_000_000),
    "min_champ_examples": _whole(0, 1_000_000_000),
    "cb_type": _choice("mtr", "dr", "dm", "ips", "sm"),
    "clip_p": _SHARE,
    "large_action_space": Flag(),
    "max_actions": _whole(1, 100_000),
    # the regression
    "learning_rate": _SMALL,
    "power_t": Number(0.0, 10.0),
    "initial_t": Number(0.0, 1e9),
    "decay_learning_rate": _SHARE,
    "l1": _SMALL,
    "l2": _SMALL,
    **dict.fromkeys(
        ("sgd", "adaptive", "adax", "normalized", "invariant", "coin", "ftrl", "pistol", "freegrad"), Flag()
    ),
    "ftrl_alpha": _SMALL,
    "ftrl_beta": _SMALL,
    "loss_function": _choice("squared", "classic", "hinge", "logistic", "quantile", "poisson"),
    "quantile_tau": _SHARE,
    "min_prediction": Number(-1e6, 1e6),
    "max_prediction": Number(-1e6, 1e6),
    "initial_weight": Number(-1e6, 1e6),
    "constant": Number(-1e6, 1e6),
    **dict.fromkeys(("noconstant", "no_bias_regularization", "sparse_weights"), Flag()),
    **dict.fromkeys(("random_weights", "normal_weights", "truncated_normal_weights"), Flag()),
    "nn": _whole(1, 64),
    **dict.fromkeys(("inpass", "dropout", "meanfield", "multitask"), Flag()),
    "boosting": _whole(1, 64),
    "gamma": _SMALL,
    "alg": _choice("BBM", "logistic", "adaptive"),
    # features
    "bit_precision": _whole(1, MAX_BITS),
    "quadratic": Text(r"[A-Za-z:]{2}", "the first letters of two namespaces, such as ca"),
    "cubic": Text(r"[A-Za-z:]{3}", "the first letters of three namespaces, such as caa"),
    "interactions": _FEW_LETTERS,
    **dict.fromkeys(("ignore", "ignore_linear", "keep"), _NAMESPACES),
    **dict.fromkeys(("leave_duplicate_interactions", "permutations"), Flag()),
    "ngram": _GRAMS,
    "skips": _GRAMS,
    "feature_limit": Text(r"[A-Za-z]?[0-9]{1,6}", "a number, or a namespace's letter and a number"),
    "hash": _choice("strings", "all"),
    "hash_seed": _whole(0, 2**31 - 1),
    "lrq": Text(r"[A-Za-z]{2}([1-9]|[1-5][0-9]|6[0-4])", "two namespaces' letters and a rank from 1 to 64, as ca4"),
    "lrqfa": Text(r"[A-Za-z]{1,4}([1-9]|[1-5][0-9]|6[0-4])", "namespaces' letters and a rank from 1 to 64, as ca4"),
    "lrqdropout": Flag(),
    "autolink": _whole(1, 3),
}
"""VW's options that a policy takes, by their long names without dashes, and what value each has."""

SHORT: Mapping[str, str] = {"b": "bit_precision", "q": "quadratic", "l": "learning_rate", "C": "constant"}
"""The short forms of allowed options."""

OPTIONS_OF_MODELS: Mapping[str, Flag | Text] = {
    **dict.fromkeys(("cb_explore_adf", "cb_adf", "cb_sample", "ccb_explore_adf", "slates", "csoaa_rank"), Flag()),
    "csoaa_ldf": _choice("multiline"),
}
"""Options that the policies of this package set, or that VW adds to what they set, and keeps in a model's file."""


def check_arguments(args: str, reserved: Sequence[str] = (), *, of_model: bool = False) -> str:
    """Return the arguments; PolicyError, in one sentence, for one that is not allowed or is `reserved` for the policy.

    Those inside a model's file (`of_model`) may have the options that the policy itself sets.
    """
    if not args.isascii() or not args.isprintable():
        raise PolicyError(f"VW's arguments are one line of ASCII text; seen {plain(repr(args), _SHOWN)}")
    words = args.split()
    if len(words) > MAX_ARGUMENTS:
        raise PolicyError(f"VW's arguments have {len(words):,} words; at most {MAX_ARGUMENTS} are read")
    allowed = {**ALLOWED, **OPTIONS_OF_MODELS} if of_model else ALLOWED
    for option, value in _options(words, allowed, {name.lstrip("-") for name in reserved}):
        kind = allowed[option]
        if isinstance(kind, Flag):
            if value is not None:
                raise PolicyError(f"VW's --{option} has no value; seen {plain(value, _SHOWN)}")
        elif value is None:
            raise PolicyError(f"VW's --{option} needs a value: {kind.words}")
        elif not kind.takes(value):
            raise PolicyError(f"VW's --{option} takes {kind.words} here; seen {plain(value, _SHOWN)}")
    return args


def _options(
    words: Sequence[str], allowed: Mapping[str, Number | Text | Flag], reserved: set[str]
) -> Iterator[tuple[str, str | None]]:
    """Yield each option by its long name, with its value where it has one; PolicyError for what is none of them."""
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if len(word) < 2 or word[0] != "-":
            raise PolicyError(
                f"VW would read its data from a file called {plain(word, _SHOWN)}: each word of the arguments is an "
                "option that begins with a dash, or the one value of an option"
            )
        if word.startswith("--"):
            option, given, value = word[2:].partition("=")
            shown = f"--{option}"
        else:
            option, value = SHORT.get(word[1], word[1]), word[2:].removeprefix("=")
            given, shown = value, word[:2]
        if option in reserved:
            raise PolicyError(f"VW's {shown} is set by this policy; leave it out of the arguments")
        if option not in allowed:
            raise PolicyError(
                f"VW's {plain(shown, _SHOWN)} is not among the options that this policy takes, which neither reach "
                f"files or the network nor run for long{did_you_mean(option, allowed)}; leave it out of the arguments"
            )
        if given or isinstance(allowed[option], Flag):
            yield option, value if given else None
        else:
            yield option, waiting.pop(0) if waiting else None
