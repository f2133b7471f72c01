"""The table in docs/interop.md: written from the results of the columns, and compared with each run."""

import importlib
import json
from pathlib import Path

from kit import verdict

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "interop.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
COLUMNS = ("baresip", "linphone", "twinkle", "sofia", "sipp", "kamailio")
FLOWS = (
    "call", "cancel", "busy", "no_answer", "hold_sendonly", "hold_inactive", "hold_zero", "resume", "blind", "semi_attended",
    "attended", "pickup", "late_offer", "early_media", "prack", "session_refresh", "glare", "cancel_crosses_200",
    "bye_crosses_bye", "ack_lost", "refer_refused", "target_busy", "target_silent",
)
PASSES, CANNOT, FAILS = "yes", "cannot", "FAILS"
WIDTH = 140


def row_title(flow):
    return importlib.import_module(f"table.flows.{flow}").TITLE


def column_title(agent):
    return importlib.import_module(f"table.agents.{agent}").TITLE


def written(results):
    """The text between the marks, from what each column's run found."""
    lines = ["| flow | " + " | ".join(column_title(agent) for agent in COLUMNS) + " |", "|---|" + "---|" * len(COLUMNS)]
    lacks, beside, failures = [], [], []
    for flow in FLOWS:
        cells = []
        for agent in COLUMNS:
            result = results[agent]["flows"][flow]
            name = f"{column_title(agent)}, {row_title(flow)}"
            if result["cell"] == CANNOT:
                lacks.append((f"{agent[0]}{len(lacks) + 1}", name, result))
                cells.append(f"no ({lacks[-1][0]})")
            else:
                cells.append(result["cell"])
                (failures if result["cell"] == FAILS else beside).append((name, result))
        lines.append(f"| {row_title(flow)} | " + " | ".join(cells) + " |")
    versions = ", ".join(results[agent]["version"] for agent in COLUMNS if results[agent].get("version"))
    lines += ["", "Evidence, from the run that wrote this page:", "", f"* Versions: {versions}."]
    lines += [f"* {name}: {text}." for name, result in beside for text in result["evidence"]]
    if lacks:
        lines += ["", "What a program lacks:", ""]
        for number, name, result in lacks:
            lines += [f"* ({number}) {name}: {result['text']}.", *(f"  * evidence: {text}" for text in result["evidence"])]
    if failures:
        lines += ["", "What fails, and is ours to mend:", ""]
        for name, result in failures:
            lines += [f"* {name}.", f"  * evidence: {result['text']}"]
    return "\n".join(lines)


def read():
    """What the committed page says: {(flow, agent): (cell, text)}."""
    page = PAGE.read_text()
    if BEGIN not in page:
        return {}
    lines = page.split(BEGIN)[1].split(END)[0].splitlines()
    lacks = {line[3 : line.index(")")]: line.split(": ", 1)[1].rstrip(".") for line in lines if line.startswith("* (")}
    flows = {row_title(flow): flow for flow in FLOWS}
    said = {}
    for line in lines:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != len(COLUMNS) + 1 or cells[0] not in flows:
            continue
        for agent, cell in zip(COLUMNS, cells[1:]):
            number = cell[4:-1] if cell.startswith("no (") else None
            said[(flows[cells[0]], agent)] = (CANNOT, lacks.get(number)) if number else (cell, "")
    return said


def compare(agent, results):
    """The page must say of this column what its run has found. Lines of evidence may differ."""
    said = read()
    for flow, result in results.items():
        says = said.get((flow, agent))
        found = (result["cell"], result["text"] if result["cell"] == CANNOT else "")
        same = f"docs/interop.md says of {agent}, {row_title(flow)}: {found[0]} {found[1]}"
        other = f"{agent}, {row_title(flow)}: docs/interop.md says {says}, this run {result['cell']}: {result['text']}"
        verdict.check(says == found, same if says == found else other)


def write(folder):
    """Writes the page from `results.json` of each column's test below `folder`."""
    results = {agent: json.loads((folder / f"table_{agent}" / "results.json").read_text()) for agent in COLUMNS}
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{written(results)}\n{END}{rest.partition(END)[2]}")
