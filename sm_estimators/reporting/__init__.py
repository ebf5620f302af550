"""One page about a table with holes: what is missing, what fills it, how far to trust that.

The page is a single HTML file that needs nothing else: no script, no font, no picture from
elsewhere. Facts are gathered in ``facts/``, drawn in ``pictures/`` and told in ``sections/``:

    html = make_report(frame, name="survey.csv", random_state=0)
    Path("report.html").write_text(html, encoding="utf-8")
"""

from sm_estimators.reporting.page import make_report

__all__ = ["make_report"]
