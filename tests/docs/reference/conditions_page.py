"""The page of the condition language: what it has comes from its whitelist, and every example is evaluated."""

from bandit import Catalogue
from bandit.catalogue.condition_syntax import _CONSTANTS, _NOT_READ, _SIGNS, MAX_DEPTH, MAX_LENGTH
from bandit.catalogue.conditions import compile_condition
from bandit.errors import CatalogueError

FACTS = {
    "gender": {"type": "categorical", "values": ["f", "m"]},
    "recency": {"type": "numeric"},
    "loyal": {"type": "boolean"},
}
CUSTOMERS = {
    "Anna": {"gender": "f", "recency": 2.5, "loyal": True},
    "Bo": {"gender": "m", "recency": 8.0, "loyal": False},
    "Cleo": {"gender": "x", "recency": 8.0, "loyal": True},
    "Dan": {},
}
CATALOGUE = Catalogue.from_dict({"dimensions": [{"name": "d", "options": [{"name": "0"}]}], "context": FACTS})

EXAMPLES = (
    ("loyal", "a boolean fact stands for itself"),
    ("not loyal", "also where the fact is missing"),
    ("loyal == false", "false, and not missing"),
    ("gender == 'f'", "a text in single or double quotes"),
    ("gender != 'f'", "also where the fact is missing, or a value that is not declared"),
    ("gender in ['f', 'm']", "one of several"),
    ("gender not in ['f', 'm']", ""),
    ("recency < 6", "false where the fact is missing"),
    ("recency >= 6", ""),
    ("recency <= 2.5 or recency > 100", ""),
    ("recency in [2.5, 3]", ""),
    ("recency == null", "the fact is missing"),
    ("recency != null and gender != null", "both are known"),
    ("2 * recency - 1 > 10 + 4", "sums, differences and products"),
    ("-recency < -6", "a number with its sign turned"),
    ("loyal and (recency > 6 or gender == 'f')", "brackets"),
    ("not loyal and recency > 6", "`not` binds more tightly than `and`, `and` more tightly than `or`"),
    ("true", "everybody"),
    ("false", "nobody"),
    ("0.1 + 0.2 == 0.3", "what is constant is worked out, with decimals"),
)

REFUSED = (
    "age > 30",
    "gender == 'x'",
    "gender > 'f'",
    "loyal == 1",
    "recency",
    "recency == 'soon'",
    "1 < recency < 6",
    "recency / 2 > 3",
    "recency ** 2 > 9",
    "gender =~ 'f.*'",
    "len(gender) > 1",
    "gender.upper() == 'F'",
    "loyal if recency > 6 else false",
    "recency > d'2026-01-01'",
    "recency > 007",
    "recency < inf",
    "gender == 'f",
    "gender in 'f'",
)


def met_by(condition):
    """The names of the customers who meet a condition."""
    compiled = compile_condition(condition, CATALOGUE.facts, "the page")
    met = compiled(CATALOGUE.contexts(list(CUSTOMERS.values())))
    return [name for name, does in zip(CUSTOMERS, met.tolist(), strict=True) if does]


def refusal(condition):
    """Why a condition is refused; ValueError if it is not."""
    try:
        compile_condition(condition, CATALOGUE.facts, "")
    except CatalogueError as fault:
        return str(fault).split(" cannot be used: ")[1]
    raise ValueError(f"{condition} is not refused")


def _code(text):
    return f"`{text}`"


def _table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def conditions_page():
    signs = ", ".join(_code(sign) for sign in dict.fromkeys(_SIGNS.values()))
    people = [
        [name, *(_code(str(known[fact]).lower()) if fact in known else "" for fact in FACTS)]
        for name, known in CUSTOMERS.items()
    ]
    examples = [[_code(text), ", ".join(met_by(text)) or "nobody", meaning] for text, meaning in EXAMPLES]
    refused = [[_code(text), refusal(text)] for text in REFUSED]
    return f"""# Conditions

The language of `when` in the catalogue's `[[rules]]` and in segment rules: a comparison of declared facts that is true
or false for a customer. It is read by a parser of its own and never run as a program.

## What it has

- **Facts** by their names, as declared under `[context]`.
- **Values**: numbers (`6`, `2.5`, `1e3`), texts in quotes (`'f'`, `"f"`), lists (`[1, 2]`), and the words
  {", ".join(map(_code, _CONSTANTS))}, of which the last two may stand in constant parts only.
- **Operators**: {signs}.

Nothing else: no functions, no attributes, no items of lists, no division, no powers, no regular expressions, no dates,
and none of the words {", ".join(map(_code, sorted(_NOT_READ)))}.

A **missing** fact is equal to `null` and to nothing else; `<`, `<=`, `>` and `>=` with it are false.

## Examples

With the facts `gender` (categorical: `f`, `m`), `recency` (numeric) and `loyal` (boolean), and these customers, where
Cleo's gender is a value that the catalogue does not declare, and nothing is known of Dan:

{_table(["customer", *FACTS], people)}
{_table(["condition", "true for", ""], examples)}
## Limits

| what | limit |
|---|---|
| length of a condition | {MAX_LENGTH:,} characters |
| brackets, or parts, within one another | {MAX_DEPTH} |
| one comparison after the other (`1 < x < 6`) | refused; join two with `and` |

## What is refused

Each of these stops the catalogue or the rules from being read, with the place where it stands and this reason:

{_table(["condition", "reason"], refused)}
## In detail

- `==` and `!=` bind less tightly than `<`, `<=`, `>`, `>=` and `in`: `loyal == recency < 6` is
  `loyal == (recency < 6)`, which is refused, since a boolean fact is compared with `true`, `false` or `null`.
- What is constant is worked out when the condition is read, with decimals of 28 digits.
- In a text `\\n`, `\\t`, `\\"` and the like stand for one character, and `r'...'` keeps its backslashes.
"""
