"""Hooks of schemathesis. Names that it has made up lead nowhere: in every other request they are those of what there is just now. What
is answered is written down."""

import itertools
import json
import os

import schemathesis

TOKEN = os.environ["WORLD_TOKEN"]
"""Whose requests they are; nobody's if empty."""

requests = itertools.count()
answers = open(os.environ["WORLD_ANSWERS"], "a", encoding="utf-8")


def names_in(path, method, known):
    """What the names in a path stand for."""
    is_directory = path.startswith("/v1/directory/")
    is_change = is_directory and method != "GET"
    standing = known.get("room" if path.endswith("/conference") else "pair")
    return {
        "call": known.get("ended") if path.startswith("/v1/call-records/") else standing,
        "recording": known.get("number") if path.startswith("/v1/calls/") else known.get("recording"),
        "command": known.get("command"),
        "event": known.get("event"),
        "webhook": known["webhook"],
        "trunk": known["trunk"],
        # What stands in the configuration cannot be changed. Who is not registered any more is missed by nobody.
        "domain": "pushed.test" if is_change else "example.test",
        "user": "dora" if is_change else "alice" if is_directory else "carol",
    }


def members_of(path, body, known, number):
    """Members of a body that must name something that there is."""
    members = {}
    if path.endswith("/webhook"):
        members["url"] = known["target"]
    if path.endswith("/transfer"):
        members["to"] = "sip:echo@example.test"
    if path.endswith("/conference"):
        members["whisper_to"] = known.get("pair")
    # It costs both calls.
    if path.endswith("/bridge") and number % 8 == 0:
        members["with"] = known.get("room")
    return {name: value for name, value in members.items() if name in body and value is not None}


@schemathesis.hook
def before_call(ctx, case, **kwargs):
    case.headers.pop("Authorization", None)
    if TOKEN:
        case.headers["Authorization"] = f"Bearer {TOKEN}"
    number = next(requests)
    if number % 2 == 1:
        return
    with open(os.environ["WORLD_NAMES"], encoding="utf-8") as file:
        known = json.load(file)
    method, path = case.operation.method.upper(), case.operation.path
    if case.path_parameters:
        names = names_in(path, method, known)
        real = {name: str(names[name]) for name in case.path_parameters if names.get(name) is not None}
        case.path_parameters = {**case.path_parameters, **real}
    if isinstance(case.body, dict):
        case.body = {**case.body, **members_of(path, case.body, known, number)}


@schemathesis.hook
def after_call(ctx, case, response):
    operation = f"{case.operation.method.upper()} {case.operation.path}"
    answers.write(json.dumps([operation, response.status_code]) + "\n")
    answers.flush()
