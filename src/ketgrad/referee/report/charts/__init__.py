"""The charts of the report as SVG text: small, sharp at every size, coloured by the page's style sheet."""

from ketgrad.referee.report.charts.chances import chance_chart
from ketgrad.referee.report.charts.costs import cost_chart
from ketgrad.referee.report.charts.row_charts import Guide, interval_chart, strip_chart
from ketgrad.referee.report.charts.rows import ChartRow, focus
from ketgrad.referee.report.charts.svg import element, fit_scale, mark

__all__ = [
    "ChartRow",
    "Guide",
    "chance_chart",
    "cost_chart",
    "element",
    "fit_scale",
    "focus",
    "interval_chart",
    "mark",
    "strip_chart",
]
