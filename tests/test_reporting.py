"""The page about a table with holes: well-formed, alone, true to the table, and never at a loss."""

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from sm_estimators.cli import app
from sm_estimators.cli.mixed import mixed_frame
from sm_estimators.cli.tables import read_table
from sm_estimators.reporting import make_report
from sm_estimators.reporting.facts import graph as graph_facts
from sm_estimators.reporting.facts import hidden
from sm_estimators.reporting.facts.features import normal_scores, read_features
from sm_estimators.reporting.facts.imputations import fraction_missing, imputations
from sm_estimators.reporting.facts.mcar import holm, mcar_facts
from sm_estimators.reporting.markup import VOID, Html, tag
from sm_estimators.reporting.pictures import inline
from sm_estimators.reporting.subject import read_subject

EVIL = "<script>alert(1)</script>"
SECTIONS = ("holes", "mcar", "imputed", "vary", "hidden", "graph")
runner = CliRunner()


class HotDeck:
    """A stand-in: fills holes with seen values of the column, drawn at random."""

    def fit(self, frame):
        self.pools_ = {name: frame[name].dropna() for name in frame}
        self.shares_ = pd.DataFrame({"gaussian": 0.25, "trees": 0.75}, index=frame.columns)
        return self

    def impute(self, frame, n_imputations=1, *, random_state=None):
        random = np.random.default_rng(random_state)
        return [self.filled(frame, random) for _ in range(n_imputations)]

    def filled(self, frame, random):
        out = {}
        for name, column in frame.items():
            drawn = random.choice(len(self.pools_[name]), len(column))
            values = self.pools_[name].iloc[drawn].set_axis(column.index)
            out[name] = column.where(column.notna(), values)
        return pd.DataFrame(out)

    def __repr__(self):
        return "HotDeck()"


class Balanced(HTMLParser):
    """Checks that every element is closed in its turn; collects what a browser would fetch."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.addresses, self.headings, self.texts = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.addresses += [given[key] for key in ("src", "href", "srcset") if key in given]
        self.ids += [given["id"]] if "id" in given else []
        assert tag not in ("script", "iframe", "object")
        assert not any(key.startswith("on") for key in given)
        if tag == "img":
            assert given["alt"].strip()
        if re.fullmatch(r"h\d", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def parse(page):
    parser = Balanced()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


def words(page):
    """Return what the page says, as one line."""
    texts = parse(re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)).texts
    return " ".join("\u241f".join(texts).split())


def cells(page, caption):
    """Return the rows of the table with a caption."""
    for table in re.findall(r"<table>.*?</table>", page, flags=re.DOTALL):
        if f"<caption>{caption}" in table:
            body = table.split("<tbody>")[1]
            rows = re.findall(r"<tr>(.*?)</tr>", body, flags=re.DOTALL)
            return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, flags=re.DOTALL) for row in rows]
    raise AssertionError(f"no table {caption!r}")


@pytest.fixture(scope="module")
def frame():
    """Return a table of every kind of column; ``a`` and ``b`` go together, ``town`` follows."""
    random = np.random.default_rng(0)
    n = 160
    a = random.normal(size=n)
    frame = pd.DataFrame(
        {
            "a": a.round(2),
            "b": (2 * a + random.normal(size=n)).round(2),
            EVIL: random.poisson(4, n).astype(float),
            "town": np.where(a + random.normal(size=n) > -0.7, "Oslo & <b>co</b>", "Rio"),
            "flag": pd.array(random.random(n) > 0.4, "boolean"),
            "when": pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 900, n), "D"),
            "grade": pd.Categorical(random.choice(list("ABC"), n), ordered=True),
            "fixed": 1.5,
            "empty": np.nan,
            "name": [f"person {i}" for i in range(n)],
        }
    )
    return frame.mask(random.random(frame.shape) < np.array([0.0] + [0.15] * 7 + [1.0, 0.1]))


@pytest.fixture(scope="module")
def page(frame):
    return make_report(frame, HotDeck(), name=f"{EVIL}.csv", n_imputations=4)


@pytest.fixture
def quick(monkeypatch):
    """Fit one graph instead of many, and draw nothing."""
    monkeypatch.setattr(graph_facts, "choose_penalty", lambda Z, random: 0.1)
    monkeypatch.setattr(inline, "can_draw", lambda: False)


# The page as a document ------------------------------------------------------------------------


def test_the_page_is_well_formed_with_headings_in_order(page):
    assert page.startswith('<!DOCTYPE html>\n<html lang="en">')
    parser = parse(page)
    assert parser.headings[0] == 1
    assert parser.headings.count(1) == 1
    steps = np.diff(parser.headings)
    assert steps.max() <= 1
    assert len(set(parser.ids)) == len(parser.ids)
    assert set(SECTIONS) <= set(parser.ids)


def test_the_page_needs_nothing_else(page):
    assert not re.search(r"https?://|@import|url\(", page)
    for address in parse(page).addresses:
        assert address.startswith(("data:", "#"))
        if address.startswith("#"):
            assert address[1:] in parse(page).ids


def test_names_and_levels_are_escaped(page):
    assert EVIL not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;.csv" in page
    assert "Oslo &amp; &lt;b&gt;co&lt;/b&gt;" in page
    assert "<b>co</b>" not in page


def test_equal_tables_have_equal_pages(frame, quick):
    pages = [make_report(frame, HotDeck(), n_imputations=2, random_state=s) for s in (1, 1, 2)]
    assert pages[0] == pages[1] != pages[2]


def test_markup_escapes_what_is_not_markup():
    assert tag("p", "<", Html("<br>"), title='"') == '<p title="&quot;">&lt;<br></p>'


# What it says ----------------------------------------------------------------------------------


def test_numbers_agree_with_pandas(frame, page):
    n_holes = int(frame.isna().sum().sum())
    assert f"{n_holes:,}<small> of {frame.size:,}<" in page
    assert f"{100 * n_holes / frame.size:.1f} %" in page
    rows = {row[0]: row[1:] for row in cells(page, "Columns in the order of the table")}
    assert len(rows) == frame.shape[1]
    for name in ("a", "b", "town", "when", "grade", "empty", "name"):
        _, holes, _, distinct = rows[name]
        assert int(holes) == frame[name].isna().sum()
        assert int(distinct) == frame[name].nunique()
    assert [rows[name][0] for name in ("a", "town", "flag", "when", "grade", "empty")] == [
        "numeric",
        "categories",
        "yes or no",
        "times",
        "ordered categories",
        "left out",
    ]


def test_patterns_are_counted(page, frame):
    counts = [int(row[0]) for row in cells(page, f"{len(frame.isna().drop_duplicates())} patterns")]
    assert counts == frame.isna().value_counts().head(12).tolist()


def test_what_cannot_be_modelled_is_left_out_with_a_sentence(page):
    said = words(page)
    assert "nothing was seen in it" in said
    assert "an identifier or free text" in said


def test_imputed_values_are_compared_with_seen_ones(frame, page):
    rows = {row[0]: row[1:] for row in cells(page, "Means and standard deviations")}
    assert set(rows) == {"b", "when", "fixed", EVIL.replace("<", "&lt;").replace(">", "&gt;")}
    assert float(rows["b"][1].replace("−", "-")) == pytest.approx(frame["b"].mean(), rel=1e-3)
    assert float(rows["b"][2]) == pytest.approx(frame["b"].std(ddof=0), rel=1e-3)
    assert rows["when"][1] == frame["when"].mean().strftime("%Y-%m-%d")
    levels = {row[0]: row[1:] for row in cells(page, "Shares of the most frequent levels")}
    share = frame["grade"].value_counts(normalize=True).iloc[0]
    assert levels["grade"][2] == f"{100 * share:.1f} %"
    assert cells(page, "Shares of the experts")[0][1:] == ["25.0 %", "75.0 %"]


def test_every_column_with_holes_has_a_picture(frame, page):
    figures = re.findall(r"<figcaption><strong>([^<]+)</strong><span> [\d]+ holes?", page)
    assert len(figures) == sum(0 < n < len(frame) for n in frame.isna().sum()) - 1  # "name"


def test_the_foot_says_how_the_page_was_made(page):
    from sm_estimators import __version__

    said = words(page)
    assert f"sm_estimators {__version__} with seed 0" in said
    assert "HotDeck(), 4 imputations" in said


def test_without_matplotlib_there_are_words(frame, quick):
    page = make_report(frame, HotDeck(), n_imputations=2)
    parse(page)
    assert "<img" not in page
    assert "<figure" not in page
    assert "they need matplotlib" in page


# Facts -----------------------------------------------------------------------------------------


def test_ranks_are_uniform_with_and_without_ties():
    random = np.random.default_rng(0)
    for make in (random.normal, lambda size: random.poisson(2, size).astype(float)):
        both = make(size=(hidden.N_DRAWS + 1, 8000))
        ranks = hidden.randomised_ranks(both[0], both[1:], random)
        counts = np.bincount(ranks, minlength=hidden.N_DRAWS + 1)
        # chi-squared on 19 degrees of freedom exceeds 44 once in a thousand times
        assert ((counts - 400) ** 2 / 400).sum() < 44
        facts = hidden.HiddenNumbers(read_subject(pd.DataFrame({"x": [1.0]}), "").columns[0], ranks)
        for level in (0.5, 0.8, 0.9):
            assert abs(facts.coverage(level) - level) < 4 * facts.standard_error(level)


def test_honest_draws_of_levels_agree_with_the_truth_as_with_each_other():
    random = np.random.default_rng(0)
    (column,) = read_subject(pd.DataFrame({"x": ["u", "v", "w"] * 4}), "").columns
    p = random.dirichlet([1, 1, 1], 4000)
    codes = (random.random((20, 4000, 1)) > p.cumsum(axis=1)).sum(axis=2).astype(float)
    facts = hidden.compare(column, codes[0], codes[1:], codes[0], random)
    assert isinstance(facts, hidden.HiddenLevels)
    assert facts.with_truth == pytest.approx(facts.with_another, abs=0.03)
    assert facts.right > facts.most_frequent


def test_only_seen_cells_are_hidden_and_truth_is_not_shown(frame):
    subject = read_subject(frame, "")
    seen_by_imputer = []

    class Spy(HotDeck):
        def fit(self, table):
            seen_by_imputer.append(table)
            return super().fit(table)

    facts = hidden.hidden_facts(subject, Spy(), random=np.random.default_rng(0), random_state=0)
    (table,) = seen_by_imputer
    lost = table.isna() & subject.modelled.notna()
    assert facts.n_hidden == lost.sum().sum()
    assert facts.n_hidden == pytest.approx(0.1 * subject.modelled.notna().sum().sum(), rel=0.2)
    assert not (table.notna() & subject.modelled.isna()).any(axis=None)
    assert "fixed" not in {one.column.name for one in facts.numbers}


def test_the_graph_finds_the_edge_and_its_sign():
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 4))
    x[:, 1] -= 1.5 * x[:, 0]  # x and y fall against each other; z and w stand alone
    frame = pd.DataFrame(x, columns=list("xyzw"))
    frame["c"] = np.where(frame["z"] > 0, "up", "down")
    frame = frame.mask(random.random(frame.shape) < 0.1)
    found = graph_facts.graph(read_subject(frame, ""), np.random.default_rng(0))
    strong = {(one.first, one.second): one.sign for one in found.edges if one.strength > 0.3}
    assert strong == {("x", "y"): -1, ("z", "c"): 0}


def test_partial_r_is_the_partial_correlation_and_the_multiple_one():
    random = np.random.default_rng(0)
    A = random.normal(size=(50, 4))
    K = np.linalg.inv(np.cov(A, rowvar=False))
    r, sign = graph_facts.partial_r(K, np.array([0]), np.array([2]))
    expected = -K[0, 2] / np.sqrt(K[0, 0] * K[2, 2])
    assert r == pytest.approx(abs(expected))
    assert sign == np.sign(expected)
    rest = np.column_stack([np.ones(50), A[:, 3]])
    y, block = (v - rest @ np.linalg.lstsq(rest, v)[0] for v in (A[:, 0], A[:, 1:3]))
    left = y - block @ np.linalg.lstsq(block, y)[0]
    multiple, _ = graph_facts.partial_r(K, np.array([0]), np.array([1, 2]))
    assert multiple**2 == pytest.approx(1 - left @ left / (y @ y))


def test_features_are_normal_scores_and_flags(frame):
    subject = read_subject(frame, "")
    features = read_features(subject, np.arange(len(frame)))
    assert "town = Rio" in features.labels or "town = Oslo & <b>co</b>" in features.labels
    assert features.absent == {"fixed": "constant"}
    scores = normal_scores(frame["b"].to_numpy())
    assert np.nanstd(scores) == pytest.approx(1)
    assert np.array_equal(np.isnan(scores), frame["b"].isna())
    assert frame["b"].corr(pd.Series(scores), method="spearman") == pytest.approx(1)


def test_tests_of_randomness_see_holes_that_follow_a_column(frame):
    holes = frame[["a", "b", "town"]].mask(frame["a"].gt(0.5).to_numpy()[:, None] * [0, 1, 0] == 1)
    facts = mcar_facts(read_subject(holes, ""), np.random.default_rng(0))
    assert facts.little.pvalue < 1e-6
    assert facts.logistic.columns["adjusted_pvalue"]["b"] < 1e-6
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03])), [0.03, 0.06, 0.06])


def test_missing_information_is_nothing_where_tables_agree_and_grows_with_holes():
    random = np.random.default_rng(0)
    seen = random.normal(size=200)
    assert fraction_missing(np.tile(seen, (5, 1))) == 0
    few, many = (
        fraction_missing(np.array([[*seen[k:], *random.normal(size=k)] for _ in range(40)]))
        for k in (20, 120)
    )
    assert 0 < few < many < 1


def test_an_array_of_completed_tables_will_do(frame):
    from sm_estimators import GaussianScoreMatching

    numbers = frame[["a", "b"]]
    subject = read_subject(numbers, "")
    found = imputations(subject, GaussianScoreMatching(), n_imputations=3, random_state=0)
    assert found.columns[0].imputed.shape == (3, numbers["b"].isna().sum())
    assert found.shares is None


# Tables at which it must not be at a loss -------------------------------------------------------

n = np.arange(40.0)
ODD_TABLES = {
    "no holes": (pd.DataFrame({"a": n, "b": n % 7}), "The table has no hole"),
    "one column": (pd.DataFrame({"a": np.where(n % 5, n, np.nan)}), "at least two columns"),
    "one row": (pd.DataFrame({"a": [1.0], "b": [np.nan]}), "nothing was seen in it"),
    "constant": (pd.DataFrame({"a": 1.0, "b": np.where(n % 5, 2.0, np.nan)}), "There is no graph"),
    "all missing": (pd.DataFrame({"a": [np.nan] * 3}), "No column can be modelled"),
    "identifiers": (
        pd.DataFrame({"id": [f"x{i}" for i in range(200)], "b": [None, *range(199)]}),
        "200 different texts",
    ),
    "dates": (
        pd.DataFrame({"t": pd.date_range("2020", periods=40).where(n % 4 > 0), "b": n}),
        "times in 1",
    ),
    "never together": (
        pd.DataFrame(
            {"a": np.where(n % 2, n, np.nan), "b": np.where(n % 2, np.nan, n), "c": n % 9}
        ),
        "No row shows both columns of 1 pair",
    ),
    "lists": (pd.DataFrame({"a": [[1], [2], None], "b": [1.0, None, 3.0]}), "left out"),
    "numbers for names": (pd.DataFrame(np.where(n % 3, n, np.nan).reshape(20, 2)), "Column"),
    "dollars": (pd.DataFrame({"$x$": np.where(n % 3, n, np.nan), "b": n % 4}), "$x$"),
}


@pytest.mark.parametrize("which", ODD_TABLES)
def test_odd_tables_have_pages_that_say_so(which, monkeypatch):
    frame, sentence = ODD_TABLES[which]
    monkeypatch.setattr(graph_facts, "choose_penalty", lambda Z, random: 0.1)
    page = make_report(frame, HotDeck(), n_imputations=2)
    assert sentence in words(page)


def test_an_imputer_that_fails_leaves_the_rest_of_the_page(frame, quick):
    class Broken(HotDeck):
        def fit(self, frame):
            raise ValueError("Too few rows.")

    said = words(make_report(frame, Broken(), n_imputations=2))
    assert "There are no imputations: Too few rows." in said
    assert "The check cannot be made: Too few rows." in said


def test_wide_and_long_tables_are_drawn_in_bands(quick, monkeypatch):
    monkeypatch.setattr(inline, "can_draw", lambda: True)
    random = np.random.default_rng(0)
    wide = pd.DataFrame(random.normal(size=(900, 70))).mask(random.random((900, 70)) < 0.02)
    from sm_estimators.reporting.sections.holes import matrix

    drawn = matrix(wide)
    assert "Each line stands for several rows" in drawn
    assert "too many columns to name them" in drawn


@pytest.mark.parametrize(
    ("table", "settings", "error", "sentence"),
    [
        ([[1.0]], {}, TypeError, "expected a pandas DataFrame"),
        (pd.DataFrame({"a": []}), {}, ValueError, "at least one row"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), {}, ValueError, "more than one column"),
        (pd.DataFrame({"a": [1.0]}), {"n_imputations": 1}, ValueError, "at least 2"),
    ],
)
def test_what_is_no_table_is_refused(table, settings, error, sentence):
    with pytest.raises(error, match=sentence):
        make_report(table, HotDeck(), **settings)


# The command -----------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path, frame, quick, monkeypatch):
    """Write the table to a file, and let the command use the stand-in."""
    monkeypatch.setattr("sm_estimators.reporting.page.default_imputer", lambda *given: HotDeck())
    monkeypatch.chdir(tmp_path)
    frame.to_csv(tmp_path / "table.csv", index=False)
    return tmp_path / "table.csv"


def call(line, code=0):
    result = runner.invoke(app, line.split())
    assert result.exit_code == code, result.output
    return result


def test_the_command_writes_a_page(table):
    result = call("report table.csv --output page.html --seed 3 -m 3")
    page = (table.parent / "page.html").read_text(encoding="utf-8")
    parse(page)
    assert "<title>Holes of table.csv</title>" in page
    assert "with seed 3" in page
    assert "times in 1" in page  # dates in text are times
    assert "note: wrote page.html" in result.stderr
    assert result.stdout == ""


def test_the_command_takes_another_engine(table):
    call("report table.csv -o page.html --engine gaussian -m 2 --skip name --skip empty")
    page = (table.parent / "page.html").read_text(encoding="utf-8")
    assert "engine='gaussian'" in words(page)
    assert "There are no imputations" not in page
    assert "cannot be made" not in page
    assert "left out of tests" not in page


def test_the_command_replaces_a_page_only_when_told(table):
    (table.parent / "page.html").write_text("mine")
    line = call("report table.csv -o page.html", code=2).stderr
    assert "would overwrite page.html" in line
    assert (table.parent / "page.html").read_text() == "mine"
    assert call("report table.csv -o page.html --force --quiet").output == ""
    assert (table.parent / "page.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("line", "code", "sentence"),
    [
        ("report nowhere.csv -o p.html", 2, "There is no file nowhere.csv"),
        ("report table.csv -o p.pdf", 2, "`--output` must end in .html"),
        ("report table.csv -o no/p.html", 2, "there is no folder no"),
        ("report table.csv -o p.html --skip zzz", 2, "`--skip` names `zzz`"),
        ("report table.csv -o p.html --na", 2, ""),
        ("report table.csv -o p.html -m 1", 2, ""),
        ("report empty.csv -o p.html", 1, "is empty"),
    ],
)
def test_the_command_refuses_in_one_line(line, code, sentence, table):
    (table.parent / "empty.csv").write_text("")
    result = call(line, code=code)
    assert sentence in result.stderr
    assert "Traceback" not in result.output
    assert not (table.parent / "p.html").exists()


def test_mixed_frames_have_numbers_text_and_times(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x,town,day,at,n/a\n1,Oslo,2020-01-02,2020-01-02 10:30,-\nNA,?,,,1\n")
    frame = mixed_frame(read_table(path, ["-"]), ["n/a"])
    assert list(frame) == ["x", "town", "day", "at"]
    assert [str(dtype)[:8] for dtype in frame.dtypes[["x", "day", "at"]]] == [
        "float64",
        "datetime",
        "datetime",
    ]
    assert frame.isna().sum().tolist() == [1, 1, 1, 1]
