"""Server-sent events as a client sees them."""

import json
import queue
import socket
import threading

from .rest import Response


class Event:
    """One event; `comment`: a line that keeps the stream open. `kind` None: an id alone."""

    def __init__(self, kind=None, id=None, data=None, comment=False):
        self.kind, self.id, self.data, self.comment = kind, id, data, comment

    @property
    def json(self):
        return json.loads(self.data)

    def __repr__(self):
        return f"Event({self.kind}, id={self.id}, comment={self.comment}, {self.data})"


class Stream:
    """GET /v1/stream, read by a thread until its end. It is waited for what comes first: the position, or with last= perhaps a reset
    (which .next() gives then)."""

    def __init__(self, client, agent=None, last=None, timeout=60):
        self.connection = client.connection()
        self.connection.timeout = timeout
        headers = {"Authorization": f"Bearer {client.token}", "Accept": "text/event-stream"}
        if last is not None:
            headers["Last-Event-ID"] = str(last)
        self.connection.request("GET", "/v1/stream" + (f"?agent={agent}" if agent else ""), headers=headers)
        self.sock = self.connection.sock
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200, (self.answer.status, self.answer.read())
        assert self.answer.headers["Content-Type"] == "text/event-stream"
        self.last = last
        self.queue, self.first = queue.Queue(), None
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        self.first = self.next()
        assert self.first is not None and self.first.kind in ((None, "reset") if last is not None else (None,)), self.first
        assert self.first.id is not None

    def _read(self):
        fields, comment = {}, False
        try:
            for line in self.answer.fp:
                line = line.decode().rstrip("\n")
                if line.startswith(":"):
                    comment = True
                elif line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif fields or comment:
                    self.queue.put(Event(fields.get("event"), fields.get("id"), fields.get("data"), comment and not fields))
                    fields, comment = {}, False
        except (OSError, ValueError):
            pass
        self.queue.put(None)

    def next(self, seconds=15, comments=False):
        """The next event, None at the end."""
        if self.first is not None and self.first.kind is not None:
            event, self.first = self.first, None
            return event
        while True:
            try:
                event = self.queue.get(timeout=seconds)
            except queue.Empty:
                raise AssertionError(f"waited {seconds} s for an event") from None
            if event is not None and event.id is not None:
                self.last = event.id
            if event is None or comments or not event.comment:
                return event

    def expect(self, kind, seconds=15):
        event = self.next(seconds)
        assert event is not None and event.kind == kind, f"expected {kind}: {event}"
        return event

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # ended by the controller
        self.thread.join()
        self.answer.close()
        self.connection.close()


def answer_of_stream(client, path):
    """The answer's head; of a stream that has begun nothing more."""
    c = client.connection()
    try:
        c.request("GET", path, headers={"Authorization": f"Bearer {client.token}"} if client.token else {})
        answer = c.getresponse()
        body = answer.read() if answer.status != 200 else b""
        return Response(answer.status, answer.headers, body, f"GET {path}")
    finally:
        c.close()
