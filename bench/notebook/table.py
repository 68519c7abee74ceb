"""A table of runs for notebooks: plain numbers, a pandas frame, HTML, or the text that a terminal shows."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from bench.errors import UsageError
from bench.show import rendering
from bench.show.result_tables import plain_text
from bench.show.tables import Table

if TYPE_CHECKING:
    import pandas

STYLE = "text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums"
LEFT = "text-align:left;white-space:nowrap"


class RunTable:
    """Runs as ``bench table`` shows them: one row per model and options, mean and spread over seeds, in percent."""

    def __init__(self, table: Table) -> None:
        self._table = table

    @property
    def title(self) -> str:
        """Return what the rows were measured on."""
        return self._table.title

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what a reader must know beside the numbers."""
        return self._table.notes

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns of numbers."""
        return tuple(column.name for column in self._table.columns)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Return ``model``, ``seeds``, ``runs`` (keys), ``failures`` and the columns of each row.

        A column is ``{"value": mean over seeds, "spread": sample standard deviation, "n": seeds}``, unrounded, in the
        units shown; the spread is ``None`` for one seed, and the column ``None`` where no seed has the value.
        """
        return [
            {
                "model": row.label,
                "seeds": list(row.seeds),
                "runs": list(row.keys),
                "failures": list(row.failures),
                **{
                    name: {"value": cell.mean, "spread": cell.spread, "n": cell.n} if cell else None
                    for name in self.columns
                    for cell in [row.cells.get(name)]
                },
            }
            for row in self._table.rows
        ]

    def to_pandas(self) -> pandas.DataFrame:
        """Return a frame with a row for each model: ``O-F1``, ``O-F1 spread`` and so on, and how many ``seeds``.

        Raises ``UsageError`` where pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise UsageError("to_pandas needs pandas, which is not installed. Try: pip install pandas") from None
        records = []
        for row in self.rows:
            record: dict[str, Any] = {"model": row["model"], "seeds": len(row["seeds"])}
            for name in self.columns:
                cell = row[name] or {"value": None, "spread": None}
                record |= {name: cell["value"], f"{name} spread": cell["spread"]}
            records.append(record | {"failures": "; ".join(row["failures"])})
        numbers = [f"{name}{end}" for name in self.columns for end in ("", " spread")]
        return pandas.DataFrame.from_records(records).astype(dict.fromkeys(numbers, "float64")).set_index("model")

    def render(self, style: str) -> str:
        """Return the table as ``bench table --format`` prints it: markdown, latex, csv, json or a plugin's."""
        if style == "terminal" or not isinstance(style, str):
            raise UsageError(f"style: found {style!r}, allowed: markdown, latex, csv, json, or a plugin's format")
        rendering.check_format(style)
        return rendering.render([self._table], style)

    def __str__(self) -> str:
        return plain_text(rendering.grid(self._table))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        drawn = rendering.grid(self._table)
        styles = [LEFT] + [STYLE] * (len(drawn.header) - 1)
        header = "".join(
            f'<th style="{style}">{escape(name)}</th>' for style, name in zip(styles, drawn.header, strict=True)
        )
        rows = "".join(
            "<tr>"
            + "".join(
                f'<td style="{style}">{f"<b>{escape(cell.text)}</b>" if cell.bold else escape(cell.text)}</td>'
                for style, cell in zip(styles, row, strict=True)
            )
            + "</tr>"
            for row in drawn.rows
        )
        remarks = "".join(f"<div><small>{escape(remark)}</small></div>" for remark in drawn.remarks)
        return (
            f'<div style="overflow-x:auto"><div><b>{escape(drawn.title)}</b></div>'
            f"<table><thead><tr>{header}</tr></thead><tbody>{rows}</tbody></table>{remarks}</div>"
        )
