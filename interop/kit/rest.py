"""A client of the native REST that knows nothing of it but its OpenAPI document: operations are called by their names."""

import json
import re
import urllib.parse
import uuid
from http.client import HTTPConnection

from . import verdict


class Rest:
    """`api("startCall", body={…})` asks; the answer is its status and its document. Each answer must be one that the
    document tells of."""

    def __init__(self, host="127.0.0.1", port=9001, token=None):
        self.host, self.port, self.token = host, port, token
        status, _, self.document = self._ask("GET", "/v1/openapi.json", {}, None)
        verdict.equal(status, 200, "the OpenAPI document is served")
        verdict.equal(self.document["openapi"][:3], "3.1", "it is one of OpenAPI 3.1")
        self.operations = {
            operation["operationId"]: (method.upper(), path, operation)
            for path, item in self.document["paths"].items()
            for method, operation in item.items()
            if isinstance(operation, dict) and "operationId" in operation
        }

    def __call__(self, name, body=None, key=None, **parameters):
        method, path, operation = self.operations[name]
        known = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "query"}
        target = re.sub(r"\{(\w+)\}", lambda found: urllib.parse.quote(str(parameters.pop(found[1])), safe=""), path)
        unknown = set(parameters) - known
        if unknown:
            verdict.fail(f"{name} has no parameters {unknown}")
        if parameters:
            target += "?" + urllib.parse.urlencode(parameters)
        headers = {"Idempotency-Key": key or str(uuid.uuid4())} if method != "GET" else {}
        status, kind, document = self._ask(method, target, headers, body)
        told = operation["responses"].get(str(status))
        if told is None:
            verdict.fail(f"{name} answers {status}, which its document does not tell of: {document}")
        if kind and kind not in told.get("content", {kind: None}):
            verdict.fail(f"{name} answers {status} with {kind}")
        return status, document

    def done(self, name, **arguments):
        """The same for a command that must be taken and come to a good end. The document of the command."""
        status, document = self(name, **arguments)
        if status != 202:
            verdict.fail(f"{name} is answered {status} {document}")
        return self.end_of(document["id"])

    def end_of(self, command, seconds=10):
        """What has become of a command, which must be well."""
        def over():
            _, document = self("getCommand", command=command)
            return document if document["status"] != "running" else None

        document = verdict.wait_for(over, seconds, f"the command {command} ends")
        verdict.equal(document["status"], "done", f"the command {document['kind']} is done: {document.get('cause')}")
        return document

    def bytes(self, name, method="GET", headers=None, **parameters):
        """Asks for what is no document: the status, the fields of the head by their names in lower case, and the body."""
        _, path, operation = self.operations[name]
        target = re.sub(r"\{(\w+)\}", lambda found: urllib.parse.quote(str(parameters.pop(found[1])), safe=""), path)
        connection = HTTPConnection(self.host, self.port, timeout=10)
        try:
            shown = {"Authorization": f"Bearer {self.token}"} if self.token else {}
            connection.request(method, target, headers={**shown, **(headers or {})})
            response = connection.getresponse()
            if str(response.status) not in operation["responses"]:
                verdict.fail(f"{name} answers {response.status}, which its document does not tell of")
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        finally:
            connection.close()

    def _ask(self, method, target, headers, body):
        connection = HTTPConnection(self.host, self.port, timeout=5)
        try:
            text = None if body is None else json.dumps(body)
            if text is not None:
                headers["Content-Type"] = "application/json"
            if self.token:
                headers["Authorization"] = f"Bearer {self.token}"
            connection.request(method, target, text, headers)
            response = connection.getresponse()
            text = response.read()
            kind = (response.getheader("Content-Type") or "").split(";")[0] if text else None
            return response.status, kind, json.loads(text) if text else None
        finally:
            connection.close()
