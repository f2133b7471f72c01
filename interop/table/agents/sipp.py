"""SIPp 3.6 on all sides. Every flow is a script of its own, in the folder `scripted`."""

from table.cast import Party, Play

NEEDS = ("sipp",)
TITLE = "SIPp"
PACKAGE = "sip-tester"
USERS = ("alice", "bob", "carol")
ROUTES = "\n".join(f'  - {{ match: "sip:{user}@*", to: "sip:10.77.{number}.2:5060" }}' for number, user in enumerate(USERS, 1))
CONFIG = ('127.0.0.0/8, "10.77.0.0/16"', f"routes:\n{ROUTES}")
FLOWS = ("scripted", Play)


def phones(places, tones):
    return [Party(place, user, hertz, f"{place.switch}:5060") for place, user, hertz in zip(places, USERS, tones)]


def stop(everybody):
    for party in everybody:
        party.stop()
