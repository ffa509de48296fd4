# SPDX-License-Identifier: MIT
"""Tables below the results of a run: cases enter rows as a property, and the columns are as wide as what is in them."""


def print_rows(reporter, name, title, heads, order=list):
    """The rows of the cases that passed; a row has a cell for each head."""
    rows = order(value for report in reporter.getreports("passed") for key, value in report.user_properties if key == name)
    if not rows:
        return
    reporter.section(title)
    widths = [max(len(str(row[i])) for row in [heads, *rows]) for i in range(len(heads))]
    for row in [heads, *rows]:
        reporter.write_line("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths)).rstrip())


def print_quirks(reporter):
    print_rows(reporter, "quirk", "the table of quirks", ("surroundings", "what slotctl did", "what it says"), sorted)
