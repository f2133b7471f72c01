"""One file per column: how three phones of a kind are started, and what they do when a flow tells them to.

Each `Phone` here has `name`, `user`, `uri`, `place`, `hertz` and the verbs of `Verbs`. A verb that the program has no way to do
raises `Cannot` with the evidence; so a row that needs it names the program's limitation instead of a result.
"""

from table.stage import Cannot


class Verbs:
    """What a flow may ask of a phone."""

    LACKS = {}
    """Verb: (text, evidence). Verbs that the program lacks."""

    patience = 4
    """Seconds within which it refreshes a session, once it was asked to."""

    def lacks(self, verb):
        text, evidence = self.LACKS[verb]
        raise Cannot(text, evidence)

    def dial(self, uri):
        raise NotImplementedError

    def ring(self):
        """Says 180. Most phones do so by themselves."""

    def answer(self):
        raise NotImplementedError

    def refuse(self):
        """Says 486."""
        raise NotImplementedError

    def hang_up(self):
        """Ends the call it is in."""
        raise NotImplementedError

    def give_up(self):
        """Ends the call it has dialled, which rings."""
        self.hang_up()

    def hold(self, style="sendonly"):
        self.lacks(f"hold_{style}")

    def resume(self):
        self.lacks("resume")

    def transfer(self, uri):
        self.lacks("transfer")

    def consult(self, uri):
        """Holds its call and dials somebody else."""
        self.lacks("consult")

    def complete(self):
        """Connects the one it talked to with the one it consulted."""
        self.lacks("attended")

    def complete_early(self):
        """The same, while the one it consults rings."""
        self.complete()

    def pick_up(self, uri, replaces):
        """Dials with Replaces."""
        self.lacks("pick_up")

    def refresh(self):
        """Sends a re-INVITE or an UPDATE that changes nothing."""
        self.lacks("refresh")

    def early_media(self):
        """Says 183 and sends its tone before it answers."""
        self.lacks("early_media")

    def reliable(self):
        """Says 183 with 100rel."""
        self.lacks("reliable")

    def tidy(self):
        """Ends whatever it is in."""
        raise NotImplementedError
