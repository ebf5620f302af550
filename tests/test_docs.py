"""The documentation: its code runs, its links lead somewhere, it leaves no public name out."""

import re
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import sm_estimators

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]+)")
GENERATED = {"gallery/index.rst"}


def blocks(page: Path) -> list[str]:
    """The Python blocks of a page, in their order."""
    return FENCE.findall(page.read_text(encoding="utf-8"))


def examples() -> list[Path]:
    return sorted((ROOT / "examples").glob("plot_*.py"))


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=lambda p: p.name)
def test_python_blocks_run(page):
    """Later blocks of a page use what earlier ones define."""
    names = {"__name__": page.stem}
    for number, block in enumerate(blocks(page), 1):
        exec(compile(block, f"{page.name}, block {number}", "exec"), names)


def test_pages_with_python_are_found():
    """The pattern above finds something, or the test above would pass on nothing."""
    assert {"README.md", "extending.md", "index.md"} <= {p.name for p in PAGES if blocks(p)}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_to_files(page):
    example_pages = {f"gallery/{e.stem}.rst" for e in examples()}
    local = [link for link in LINK.findall(page.read_text("utf-8")) if "://" not in link]
    made = GENERATED | example_pages
    lost = [link for link in local if link not in made and not (page.parent / link).exists()]
    assert not lost


@pytest.mark.parametrize("marker", ["setup", "test"])
def test_readme_commands_exist(marker):
    """What the README calls is installed by the project, with extras that the project has."""
    text = README.read_text("utf-8")
    (command,) = re.findall(rf"<!-- command: {marker} -->\n```bash\n(.*?)```", text, re.DOTALL)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    known = {*project["scripts"], "pip", "pytest"}
    assert set(re.findall(r"\.venv/bin/([\w-]+)", command)) <= known
    assert set(re.findall(r"\.\[(\w+)\]", command)) <= set(project["optional-dependencies"])


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (README, {"impute", "sample"}),
        (ROOT / "docs" / "command_line.md", {"describe", "impute", "sample", "score", "report"}),
    ],
    ids=["README.md", "command_line.md"],
)
def test_documented_options_exist(page, expected):
    """Every option of a documented command line is one of its subcommand."""
    from typer.main import get_command

    from sm_estimators.cli import app

    text = re.sub(r"\\\n", " ", page.read_text("utf-8"))
    calls = re.findall(r"sm-estimators ([a-z]+) ([^\n]*?)(?:&&|\n)", text)
    assert {name for name, _ in calls} == expected
    commands = get_command(app).commands
    for name, rest in calls:
        known = {option for p in commands[name].params for option in p.opts}
        assert set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", rest)) <= known


@pytest.mark.parametrize(
    "home", ["", "estimators", "missingness", "datasets", "plotting", "numpyro_bridge"]
)
def test_every_public_name_is_in_the_api_page(home):
    module = import_module(f"sm_estimators.{home}") if home else sm_estimators
    listed = set(re.findall(r"^   (\w+)$", (ROOT / "docs" / "api.rst").read_text("utf-8"), re.M))
    assert set(module.__all__) <= listed


def test_gallery_lists_every_example():
    """The order of the gallery names every example, and each is linked to or in the index."""
    order = (ROOT / "docs" / "conf.py").read_text("utf-8")
    assert [e.name for e in examples() if f'"{e.name}"' not in order] == []


def test_every_page_is_in_the_table_of_contents():
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    toctree = index.split("{toctree}")[1].split()
    assert {p.stem for p in PAGES if p.parent.name == "docs"} - {"index"} <= set(toctree)


def test_readme_picture_is_small():
    assert (ROOT / "docs" / "images" / "oceanbuoys.png").stat().st_size < 150_000
