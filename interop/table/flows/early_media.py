"""The callee is heard before it answers (183 with SDP, RFC 3960), and goes on to be heard after it."""

TITLE = "early media"


def play(stage):
    alice, speaker = stage.alice, stage.able("early_media")
    mark = stage.mark()
    alice.dial(speaker.uri)
    stage.sees(speaker, False, "is called", mark, request="INVITE")
    speaker.early_media()
    progress = stage.sees(alice, False, "is told 183", mark, method="INVITE", status=183)
    stage.must("m=audio" in progress.body, "the 183 has a session in it")
    stage.hears(alice, speaker, "before the answer")
    stage.must(not any(stage.seen(alice, False, mark, method="INVITE", status=200)), "nobody has answered yet")
    speaker.answer()
    stage.is_answered(alice, speaker, mark)
    stage.hear_each_other(alice, speaker, "after the answer")
    stage.ends(alice, speaker)
