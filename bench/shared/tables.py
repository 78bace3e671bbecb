"""Figures as tables, goals that are met or not, and a part of a document that is written anew."""


def at(results, *path):
    for name in path:
        if not isinstance(results, dict) or results.get(name) is None:
            return None
        results = results[name]
    return results


def quotient(one, other):
    return one / other if one is not None and other else None


def plus(*values):
    return None if any(value is None for value in values) else sum(values)


def verdict(value, limit, least=False):
    if value is None:
        return "not measured"
    return "met" if (value >= limit if least else value <= limit) else "NOT met"


# --- tables ---------------------------------------------------------------------------------------


def table(head, rows):
    """A Markdown table whose columns line up; everything but the first column to the right."""
    cells = [head] + [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]

    def line(row):
        first = row[0].ljust(widths[0])
        return "| " + " | ".join([first] + [cell.rjust(width) for cell, width
                                            in zip(row[1:], widths[1:])]) + " |"

    rule = "|" + "|".join(["-" * (widths[0] + 2)]
                          + ["-" * (width + 1) + ":" for width in widths[1:]]) + "|"
    return "\n".join([line(cells[0]), rule] + [line(row) for row in cells[1:]])


def figure(value, form="{:.2f}"):
    return "–" if value is None else form.format(value)


def goal_table(goals):
    """Of (what, measured or None, limit, how it is written); a fifth, True: that at least."""
    return table(["goal", "measured", "limit", ""],
                 [[what, figure(value, form), form.format(limit).replace("off by ", ""),
                   verdict(value, limit, *least)] for what, value, limit, form, *least in goals])


def of_the_machine(machine):
    return (f"{machine['cores']} cores, {machine['memory_gb']} GB, {machine['file_system']}; load "
            f"average {machine['load_before'][0]} before and {machine['load_after'][0]} after")


def put_between_marks(document, name, text):
    """The document with this text between `<!-- NAME: begin -->` and `<!-- NAME: end -->`."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found_begin, rest = document.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"the document lacks {begin} or {end}")
    return f"{before}{begin}\n{text}{end}{after}"
