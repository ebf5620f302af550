"""Which columns depend on each other."""

from sm_estimators.reporting import words
from sm_estimators.reporting.facts.graph import N_FOLDS, PENALTIES, WEAKEST, Edge, Graph
from sm_estimators.reporting.facts.reason import Reason
from sm_estimators.reporting.markup import Html, join, note, paragraph, section, table, tag
from sm_estimators.reporting.pictures.graph import COLOURS, MOST_EDGES, MOST_NODES, draw_graph
from sm_estimators.reporting.pictures.inline import picture

TITLE = "Which columns depend on each other"
TOP_EDGES = 25
MOST_NARROW = 12
"""Columns whose names are readable in a graph as narrow as a telephone."""


def graph_section(facts: Graph | Reason) -> Html:
    """Draw the graph and list its strongest edges."""
    if isinstance(facts, Reason):
        return section("graph", TITLE, paragraph(f"There is no graph: {facts}"))
    lead = (
        "Two columns are joined where, all others given, one still tells something about the "
        "other. The strength is a partial correlation, smaller in general than the plain one; it "
        "says nothing about cause."
    )
    return section("graph", TITLE, paragraph(lead), found(facts), rule(facts))


def found(facts: Graph) -> Html:
    """Draw and list the edges, or say that there are none."""
    if not facts.edges:
        return paragraph(
            f"None of {words.count(facts.n_pairs, 'pair')} of columns stands out: no edge is drawn."
        )
    return join(drawing(facts), edge_table(facts))


def drawing(facts: Graph) -> Html:
    """Draw the graph with the meaning of its colours."""
    strongest = facts.edges[0]
    few = "Columns without edges are left out. " if len(facts.columns) > MOST_NODES else ""
    strong = f"The {MOST_EDGES} strongest are drawn." if len(facts.edges) > MOST_EDGES else ""
    figure = picture(
        lambda: draw_graph(facts),
        title=f"{words.count(len(facts.edges), 'edge')} between "
        f"{words.count(len(facts.columns), 'column')}.",
        about=f"{few}{strong}",
        alt=f"Graph of {len(facts.columns)} columns with {len(facts.edges)} edges, the strongest "
        f"between {strongest.first} and {strongest.second}; the table below lists them.",
        wide=len(facts.columns) > MOST_NARROW,
    )
    return join(legend(), figure) if figure else figure


def legend() -> Html:
    """Explain the colours of edges."""
    meanings = {1: "rise together", -1: "one falls (dashed)", 0: "with a category"}
    keys: list[str] = []
    for sign, meaning in meanings.items():
        keys += [tag("span", class_="key", style=f"background:{COLOURS[sign]}"), meaning]
        keys.append(Html("&emsp; "))
    return tag("p", *keys, "wider is stronger", class_="note")


def edge_table(facts: Graph) -> Html:
    """List the strongest edges."""
    shown = facts.edges[:TOP_EDGES]
    rows = [(one.first, one.second, strength(one), f"{one.n_together:,}") for one in shown]
    heads = ["column", "and", "partial correlation", "rows that show both"]
    caption = "The strongest edges" if len(shown) < len(facts.edges) else "Edges"
    return table(caption, heads, rows, words=(1,))


def strength(edge: Edge) -> str:
    """Write a partial correlation with its sign, a partial R without one."""
    return words.signed(edge.sign * edge.strength) if edge.sign else f"R {edge.strength:.2f}"


def rule(facts: Graph) -> Html:
    """State how the edges were found."""
    apart = (
        f" {words.count(facts.n_apart, 'pair')} never seen together cannot be joined."
        if facts.n_apart
        else ""
    )
    reasons = [f"{name} ({why})" for name, why in facts.absent.items()]
    absent = f" Took no part: {words.listed(reasons)}." if reasons else ""
    return note(
        "How: numbers became normal scores, so that only their order counts, and categories flags "
        "of their frequent levels. A Gaussian with an L1 penalty on its precision matrix was "
        f"fitted to {words.count(facts.n_rows, 'row')}, holes and all, by EM. Of "
        f"up to {len(PENALTIES)} penalties the largest was chosen ({facts.penalty:.3g}) whose "
        f"predictions of held-out rows, in {N_FOLDS} folds, were within one standard error of the "
        f"best. An edge is drawn where the precision matrix then joins two columns and the partial "
        f"correlation is at least {WEAKEST:g} in size. For a category, R is the partial multiple "
        f"correlation with its flags, which has no sign.{apart}{absent}"
    )
