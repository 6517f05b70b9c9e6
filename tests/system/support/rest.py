"""REST over the standard library's HTTP client: JSON in and out, statuses asserted where they are known."""

import http.client
import json
import ssl
from urllib.parse import urlsplit

from . import secret


class Response:
    def __init__(self, status, headers, body: bytes, request: str):
        self.status = status
        self.headers = headers
        self.body = body
        self.request = request

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The stable code of a problem document."""
        assert self.headers.get("Content-Type", "").startswith("application/problem+json"), self
        return self.json["code"]

    def expect(self, *statuses):
        assert self.status in statuses, f"expected {statuses}: {self}"
        return self

    def problem(self, status, code):
        """Asserts a documented error."""
        self.expect(status)
        assert self.code == code, f"expected {code}: {self}"
        assert self.json["status"] == status and self.json["title"], self
        return self

    def __repr__(self):
        return f"{self.request} -> {self.status} {self.body[:800].decode(errors='replace')}"


class Client:
    """A caller of one controller (or any HTTP(S) listener) with one bearer token. A connection per request."""

    def __init__(self, url, token=None, ca=None, timeout=20.0):
        self.url = url.rstrip("/")
        self.token = token
        self.ca = ca
        self.timeout = timeout

    def with_token(self, token):
        return Client(self.url, token, self.ca, self.timeout)

    def connection(self):
        parts = urlsplit(self.url)
        if parts.scheme == "http":
            return http.client.HTTPConnection(parts.hostname, parts.port, timeout=self.timeout)
        context = ssl.create_default_context(cafile=str(self.ca))
        return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=self.timeout, context=context)

    def call(self, method, path, body=None, headers=None, connection=None):
        """`body`: None, bytes or str as they are, anything else as JSON."""
        sent = dict(headers or {})
        if self.token is not None:
            secret.note(self.token)
            sent.setdefault("Authorization", f"Bearer {self.token}")
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            sent.setdefault("Content-Type", "application/json")
        if isinstance(body, str):
            body = body.encode()
        c = connection or self.connection()
        try:
            c.request(method, path, body=body, headers=sent)
            answer = c.getresponse()
            read = answer.read()
            secret.note_answer(read)
            return Response(answer.status, answer.headers, read, f"{method} {path}")
        finally:
            if connection is None:
                c.close()

    def get(self, path, **kw):
        return self.call("GET", path, **kw)

    def post(self, path, body=None, **kw):
        return self.call("POST", path, {} if body is None else body, **kw)

    def delete(self, path, **kw):
        return self.call("DELETE", path, **kw)
