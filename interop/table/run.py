"""Plays every flow with one kind of user agent: a column of the table, as `results.json` in SCRATCH."""

import importlib
import json
import os
import subprocess
import time

from kit import network, programs, verdict
from kit.cable import CabledPlace, Pump
from kit.switch import Switch

from . import page
from .agents import sofia
from .page import CANNOT, FAILS, FLOWS, PASSES
from .stage import RING_TIME, Cannot, Stage, Wrong

TONES = (440, 700, 1000)
HELPER_TONE = 1300


def column(agent):
    """The whole test of a column: plays it, writes what came out, compares that with the page."""
    module = importlib.import_module(f"table.agents.{agent}")
    verdict.begin(*module.NEEDS, *sofia.NEEDS)
    pump = Pump()
    trusted, more = getattr(module, "CONFIG", ("127.0.0.0/8", ""))
    places = [CabledPlace(pump) for _ in range(len(TONES) + 1)]
    if prepare := getattr(module, "prepare", None):
        network.forward()
        prepare(pump)
    # It looks at its interfaces once, when it starts.
    switch = Switch(trusted=trusted, ring_time=RING_TIME, more=more).start()
    everybody = module.phones(places, TONES)
    helper = sofia.Phone(places[-1], "dave", HELPER_TONE).start()
    folder, setting = getattr(module, "FLOWS", ("flows", Stage))
    results = {}
    wanted = os.environ.get("FLOWS", "").split() or FLOWS
    for name in wanted:
        flow = importlib.import_module(f"table.{folder}.{name}")
        stage = setting(switch, pump, everybody, (*TONES, HELPER_TONE), helper)
        results[name] = result = play(flow, stage)
        (verdict.SCRATCH / f"{name}.ladder").write_text(stage.ladder())
        verdict.say(f"{flow.TITLE}: {result['cell']} {result['text']} ({result['took']:.1f} s)")
        if not clean(stage):
            verdict.say("something is left of it: everything is started anew")
            module.stop(everybody)
            switch.kill()
            pump.forget()
            switch.start()
            everybody = module.phones(places, TONES)
            programs.stop(helper.program)
            helper.start()
    module.stop(everybody)
    (verdict.SCRATCH / "results.json").write_text(json.dumps({"version": version(module.PACKAGE), "flows": results}, indent=1))
    for name, result in results.items():
        if result["cell"] == FAILS:
            verdict.say(f"FAILS {name}: {result['text']}")
    verdict.check(switch.is_alive(), "the switch still stands")
    page.compare(agent, results)


def version(package):
    """A package of Debian and its version."""
    words = ["dpkg-query", "-W", "-f", "${Package} ${Version}", package]
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return f"{package} of an unknown version"


def play(flow, stage):
    """One cell: what it says, why, how long it took."""
    began = time.monotonic()
    cell, text, evidence = PASSES, "", []
    try:
        flow.play(stage)
    except Cannot as lack:
        cell, text, evidence = CANNOT, str(lack), [lack.evidence]
    except Wrong as wrong:
        cell, text = FAILS, str(wrong)
    except (SystemExit, OSError) as ended:
        cell, text = FAILS, f"a program of the test ended or does not answer: {ended!r}"
    evidence = evidence or stage.evidence
    return {"cell": cell, "text": text, "evidence": evidence, "took": time.monotonic() - began}


def clean(stage):
    try:
        stage.clean()
    except (Wrong, SystemExit, OSError):
        return False
    return True
