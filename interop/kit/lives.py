"""The table of registrations in docs/interop.md, of which each test sees some columns."""

from pathlib import Path

from . import verdict

PAGE = Path(__file__).resolve().parent.parent.parent / "docs/interop.md"
BEGIN, END = "<!-- registrations: begin -->\n", "<!-- registrations: end -->"
ROWS = ("registration", "re-registration", "called", "calls", "flow lost", "de-registration")


PROGRAMS = ("baresip", "JsSIP", "linphone", "SIP.js", "sofia-sip", "twinkle")


class Seen:
    """What was seen of these programs over these transports, the columns of the page."""

    def __init__(self, columns, programs, switch):
        self.columns, self.programs, self._switch = columns, programs, switch
        self._cells = {(row, column): set() for row in ROWS for column in columns}

    def found(self, row, column, who):
        self._cells[(row, column)].add(who)
        verdict.check(True, f"{column}, {row}: {who}")

    def refreshes(self, user):
        """How often the contact of a user was refreshed, as the log has it."""
        lines = self._switch.log.read_text(errors="replace").splitlines()
        return sum("refreshed" in line and user in line for line in lines)

    def compare(self):
        """The page has to say just this of them."""
        told = _told()
        strangers = {who for cell in told.values() for who in cell} - set(PROGRAMS)
        verdict.equal(strangers, set(), "docs/interop.md names nobody whom no test plays")
        told = {key: sorted(told[key] & set(self.programs)) for key in self._cells}
        verdict.equal({key: sorted(who) for key, who in self._cells.items()}, told, "docs/interop.md says what was seen")


def _told():
    """Whom each cell of the page names."""
    text = PAGE.read_text().partition(BEGIN)[2].partition(END)[0].strip()
    head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines())
    return {
        (row[0], column): set(filter(None, cell.split(", ")))
        for row in rows
        for column, cell in zip(head[1:], row[1:], strict=True)
    }
