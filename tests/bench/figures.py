"""Figures as text, and tables of them."""

import statistics

NEVER = float("inf")

def spread(values, form):
    """The median, and the lowest and the highest in parentheses."""
    values = list(values)
    text = form(statistics.median(values))
    return f"{text} ({form(min(values))}–{form(max(values))})" if len(values) > 1 else text


def count(value):
    return f"{value:,.0f}"


def milliseconds(value):
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def seconds(value):
    """For a client that had not signed in when a flood ended the time is unknown: "never"."""
    return "never" if value == NEVER else f"{value:.1f}"


def ratio(value):
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def table(heads, rows, texts=1):
    """The first column, or the first `texts` of them, are text, the others are figures."""
    lines = [heads, [*["---"] * texts, *["---:"] * (len(heads) - texts)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
