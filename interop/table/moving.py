"""What the flows of transfer have in common: who says what to whom while one of a call is replaced."""

import re

from .stage import RING_TIME, Cannot, Wrong

FINAL = re.compile(r"SIP/2\.0 ([2-6]\d\d) ")


def asked(stage, transferor, mark):
    """The REFER has been sent and was accepted; the result is the REFER."""
    refer = stage.sees(transferor, True, "sends REFER", mark, request="REFER")
    answer = stage.wait(lambda: next((packet.sip for packet in stage.seen(transferor, False, mark, method="REFER")
                                      if packet.sip.is_response and packet.sip.status not in (401, 407)), None),
                        4, f"{transferor.name}: its REFER is answered")
    stage.must(answer.status in (200, 202), f"its REFER to {refer.get('Refer-To')} is answered with {answer.first}")
    return refer


def outcome(stage, transferor, mark, seconds=6):
    """The status in the last NOTIFY that the transferor gets, each of which it has answered."""

    def last():
        for packet in stage.seen(transferor, False, mark, request="NOTIFY"):
            message = packet.sip
            found = FINAL.match(message.body)
            if found and (message.get("Subscription-State") or "").startswith("terminated"):
                stage.must("message/sipfrag" in (message.get("Content-Type") or ""), f"a NOTIFY of {message.get('Content-Type')}")
                return int(found.group(1))
        return None

    def gone():
        return any(stage.seen(transferor, up, mark, request="BYE") for up in (True, False))

    try:
        return stage.wait(last, seconds, "the outcome")
    except Wrong:
        stage.must(gone(), f"{transferor.name} is told no outcome by NOTIFY, and its call goes on")
        return None


def told(stage, transferor, mark, expected):
    """The transferor reads the outcome, unless it has hung up before (which ends the subscription with its dialog)."""
    found = outcome(stage, transferor, mark)
    stage.must(found in (None, *expected), f"{transferor.name} is told {found} instead of {expected}")
    if found is None:
        stage.must(any(stage.seen(transferor, True, mark, request="BYE")), f"{transferor.name} is told no outcome")
        stage.note(f"{transferor.name} hangs up before it is told the outcome")


def moved(stage, transferor, left, target, mark, expected=(200,)):
    """The one that is left talks to the target; the transferor is out of it."""
    stage.hear_each_other(left, target, "after the transfer")
    told(stage, transferor, mark, expected)
    stage.is_over(transferor, since=mark, text="transferred away")
    stage.ends(left, target)


def back(stage, transferor, left, mark):
    """Nothing came of it: both talk as before, once the transferor resumes what it may have held itself."""
    try:
        stage.hear_each_other(transferor, left, "after the transfer failed", seconds=2)
    except Wrong:
        _hung_up(stage, transferor, left, mark)
        transferor.resume()
        stage.note(f"{transferor.name} held the call before it sent REFER, and resumed it")
        stage.hear_each_other(transferor, left, "after the transfer failed and was resumed")
    stage.ends(transferor, left)


def _hung_up(stage, transferor, left, mark):
    """There are phones that end a call because a transfer of it has failed."""
    if any(stage.seen(transferor, True, mark, request="BYE")):
        stage.is_over(transferor, left, since=mark, text="hung up by the transferor")
        stage.nothing_is_left()
        raise Cannot("ends the call itself when its transfer has failed", f"captured: a BYE of {transferor.name} right after it was told")


def target_rings(stage, target, mark):
    stage.sees(target, False, "is called", mark, request="INVITE")
    target.ring()
    stage.sees(target, True, "rings", mark, method="INVITE", status=180)


def unanswered(stage, target, mark):
    stage.sees(target, False, "is cancelled", mark, seconds=RING_TIME + 3, request="CANCEL")
