"""Writes the catalogue's metric table into the README, between its two marks."""

from __future__ import annotations

from pathlib import Path

from driftmon.render.catalogue import metric_table

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- metric table -->\n", "<!-- end of metric table -->\n"


def main() -> None:
    before, _, rest = README.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    README.write_text(f"{before}{BEGIN}{metric_table().strip()}\n{END}{after}")


if __name__ == "__main__":
    main()
