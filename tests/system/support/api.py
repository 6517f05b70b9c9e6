"""Calls that several tests of the REST API make: nodes registered and reports posted as the programs do."""

import datetime
import threading
import uuid

from .process import wait_for


def node_body(name, n=1, **more):
    """What berth-node says of itself; `n` makes the addresses its own."""
    body = {
        "node": name,
        "cluster": f"{name}-cluster",
        "region": "eu",
        "addresses": {
            "udp": [f"192.0.2.{n}:5004"],
            "tcp": [f"192.0.2.{n}:5004"],
            "tls": [f"192.0.2.{n}:443"],
        },
        "tls_name": f"{name}.example",
        "capacity": 0,
    }
    body.update(more)
    return {k: v for k, v in body.items() if v is not None}


def listed(client):
    """{node id: entry} of GET /v1/nodes."""
    return {n["node"]: n for n in client.get("/v1/nodes").expect(200).json["nodes"]}


def register(client, name, n=1, seen_by=(), **more):
    """Registers a node, and waits until it is in the lists of the clients in `seen_by`."""
    answer = client.post("/v1/nodes", node_body(name, n, **more)).expect(200, 201)
    for other in seen_by:
        wait_for(lambda: name in listed(other), 10, f"{name} to be listed")
    return answer


class Heartbeats:
    """Keeps registered nodes alive from a thread, as berth-node keeps itself: for tests that take longer than a node may be silent."""

    def __init__(self, client, *names):
        self.client, self.names = client, names
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._beat, daemon=True)
        self.thread.start()

    def _beat(self):
        while not self.ended.wait(2):
            for name in self.names:
                self.client.post(f"/v1/nodes/{name}/heartbeat", {"load": {}})

    def stop(self):
        self.ended.set()
        self.thread.join()


def state(admin, name):
    """The operator's view of a node, None where it isn't listed."""
    return listed(admin).get(name)


def wait_state(admin, name, seconds=10, **want):
    def matches():
        n = state(admin, name)
        return n is not None and all(n.get(k) == v for k, v in want.items())

    wait_for(matches, seconds, f"{name} to have {want}")


def now(offset_s=0.0):
    t = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=offset_s)
    return t.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def result(node, transport, rtt_ms=None, status=None, address=None, **more):
    row = {"node": node, "transport": transport, "status": status or ("timeout" if rtt_ms is None else "reachable")}
    if rtt_ms is not None:
        us = int(rtt_ms * 1000)
        row["rtt_us"] = {"min": us, "median": us + 500, "p95": us + 900}
        row.update(sent=5, received=5)
    if address:
        row["address"] = address
    row.update(more)
    return row


def report_body(results, network="home", agent=None, measured_at=None, capabilities=None, mapped=("198.51.100.7",), **more):
    body = {
        "report_id": str(uuid.uuid4()),
        "network": {"id": network, "mapped_addresses": list(mapped)},
        "measured_at": measured_at or now(),
        "results": results,
        **more,
    }
    if agent:
        body["agent"] = agent
    if capabilities is not None:
        body["capabilities"] = capabilities
    return body


def report(client, results, **more):
    """Posts a report; `results` as {node: {transport: rtt in ms, or None for a time-out}} or as rows."""
    if isinstance(results, dict):
        results = [result(n, t, ms) for n, by in results.items() for t, ms in by.items()]
    return client.post("/v1/reports", report_body(results, **more)).expect(201)
