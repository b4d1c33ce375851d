"""The pages of the three files that people write: catalogue.toml, mapping.toml and rules.toml."""

from pathlib import Path

from bandit.catalogue.file_tables import (
    AttributeFile,
    CatalogueFile,
    DimensionFile,
    FactFile,
    ObjectiveFile,
    OptionFile,
    RuleFile,
)
from bandit.catalogue.group_schema import GroupRulesFile, GroupsFile, HoldoutFile, SegmentFile, SegmentRulesFile
from bandit.catalogue.live_schema import GuardrailFile, RolloutFile, StickyFile
from bandit.logfiles.mapping.schema import (
    ColumnsSection,
    EventRowsSection,
    FactSource,
    LookupSection,
    MappingDocument,
    NumbersSection,
    OptionSource,
    OutcomeSection,
    PolicyTableSection,
    PropensitySection,
    WhenSource,
)
from tests.docs.reference.file_keys import Section, tables

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "reference"
EXAMPLES = FOLDER / "examples"

SEGMENT_SECTIONS = {
    SegmentRulesFile: Section(
        "Segment rules",
        "The first segment that matches names the offer. All keys may be left out but one that names it.",
    ),
    SegmentFile: Section("An entry of `[[segments]]`", "A condition, and the offer of those for whom it holds."),
}

FROM = (
    "from",
    "text",
    "",
    "The path of a [file of segment rules](rules.md), from the catalogue's folder, in place of the rules' own keys.",
    'from = "rules.toml"',
)

CATALOGUE_SECTIONS = {
    CatalogueFile: Section("At the top", "The names of the tables, and the keys that stand above the first one."),
    DimensionFile: Section("An entry of `[[dimensions]]`", "A lever: discount, category, channel, extra, ..."),
    OptionFile: Section(
        "An entry of `options`",
        "One value of a lever, with what it costs. Profit is P(convert) x (E[revenue | convert] x (margin - rate) - "
        "redemption cost) - contact cost, with the rates and costs of an offer's options added up.",
        spelled={"attributes": "any other key"},
    ),
    AttributeFile: Section(
        "`[dimensions.attributes.NAME]`",
        "What is known beforehand of a number that describes the options: how the response depends on it.",
    ),
    ObjectiveFile: Section("`[objective]`", "What is to be earned, by which event, and until when."),
    FactFile: Section(
        "`[context]`: one fact",
        'Each fact is a table under its name: `recency = { type = "numeric" }`. A fact may be missing at a decision.',
    ),
    RuleFile: Section(
        "An entry of `[[rules]]`",
        "Without `when` the options never go together, with it they are not for those customers. A rule that removes "
        "the last offer of a customer leaves the fallback.",
    ),
    GroupsFile: Section(
        "`[groups]`",
        "Shares sum to 1; a group that is left out does not exist. A share of 0 declares a group that only callers "
        "assign. The page on [groups](../groups.md) says what each is for.",
    ),
    GroupRulesFile: Section(
        "`[groups]` `rules`",
        "A share and the rules, which stand here or in a file of their own.",
        extra=(FROM,),
    ),
    SegmentFile: SEGMENT_SECTIONS[SegmentFile],
    HoldoutFile: Section("`[groups]` `holdout`", "A share and an offer; a number alone is the share."),
    RolloutFile: Section(
        "`[rollout]`",
        "What is in force when a database first sees this catalogue; commands change it from then on.",
        extra=(FROM,),
    ),
    SegmentRulesFile: Section("`[rollout]` `rules`", "Segment rules that stand in the catalogue instead of a file."),
    GuardrailFile: Section(
        "An entry of `[[guardrails]]`", "Either `at_most`, or `against` and `worse_by`. Bounds hold at every look."
    ),
    StickyFile: Section("`[sticky]`", "A customer's further requests get the offer that it has, for a while."),
}

MAPPING_SECTIONS = {
    MappingDocument: Section(
        "At the top",
        "The names of the tables, and the keys that stand above the first one. `[offer]` is required, too.",
    ),
    ColumnsSection: Section(
        "`[columns]`",
        "Where a row says who, when, and how probable. Either `customer` or `row_customer` is needed, and one source "
        "of propensities: `propensity` here, or `[[propensity]]` entries.",
    ),
    FactSource: Section("`[context]`: one fact", "A fact's name is either a column, or this table."),
    PropensitySection: Section(
        "An entry of `[[propensity]]`", "Of several entries the first one that covers the offer counts."
    ),
    PolicyTableSection: Section(
        "`[table]`",
        "For decisions that a client drew from policy tables: each row's propensity is read off its table, the draw is "
        "computed again, and a row that contradicts the table is refused. No other source of propensities is needed.",
    ),
    OutcomeSection: Section("An entry of `[[outcomes]]`", "One kind of event that a row can tell of."),
    WhenSource: Section(
        "`when` of an outcome",
        "A column, and either the bound above which the event happened, or the text that says so.",
    ),
    EventRowsSection: Section(
        "`[event_rows]`",
        "For a file with a row an event: some rows are decisions, others what came of them. An entry of `[[outcomes]]` "
        "without `when` is about the rows whose event has its name. The other keys read the row of the decision; "
        "`revenue`, `reward` and `add` read that of the outcome. A return without an order's number goes, by customer, "
        "to the decision of the latest purchase. `closed = true` means the decisions whose window is over when the "
        "file ends.",
    ),
    NumbersSection: Section(
        "`[numbers]`", "How the file writes numbers, in facts, amounts and propensities: the same for all columns."
    ),
    OptionSource: Section(
        "`[offer]`: one dimension",
        "Each dimension of the catalogue has a source: one option for all rows, as in "
        '`channel = "email"`, or this table.',
    ),
    LookupSection: Section(
        "`[offer]` as a table of whole offers", "In place of one source a dimension, where a column names the campaign."
    ),
}


def _example(*names):
    return "\n".join(f"```toml\n{(EXAMPLES / name).read_text(encoding='utf-8')}```\n" for name in names)


def _page(title, text, content, *examples):
    return f"# {title}\n\n{text}\n\n{content}\n## A complete example\n\n{_example(*examples)}"


def catalogue_page():
    return _page(
        "catalogue.toml",
        "What may be offered, to whom, and what it is worth. A key that is not listed here is refused with its path, "
        'so that a misspelt one is found. `bandit.Catalogue.from_toml("catalogue.toml")` reads the file, and '
        "`Catalogue.from_dict` the same structure.",
        tables([CatalogueFile], CATALOGUE_SECTIONS),
        "catalogue.toml",
    )


def mapping_page():
    return _page(
        "mapping.toml",
        "What each column of a log means, for `import`, for commands that read a log file as it is, and for "
        "`bandit.logfiles`. A file that `export` wrote needs none. Columns that are not named are not read.",
        tables([MappingDocument, OptionSource, LookupSection], MAPPING_SECTIONS),
        "mapping.toml",
        "mapping_campaigns.toml",
        "mapping_events.toml",
        "mapping_table.toml",
    )


def rules_page():
    return _page(
        "rules.toml",
        "Today's practice as a policy: segments in order, of which the first one that matches names the offer. On the "
        'command line it is `rules:rules.toml`, in a program `bandit.SegmentRules.from_toml(catalogue, "rules.toml")`, '
        "and a catalogue names it under `from` in `[groups] rules` and `[rollout]`.",
        tables([SegmentRulesFile], SEGMENT_SECTIONS),
        "rules.toml",
    )
