"""Load that remembers what it was answered, so that a test can take something away under it and then ask whether all of it is there.

A controller or database may be away at any moment: then a call has no answer, or a documented refusal, and what became of it is
unknown. What *was* answered must be so.
"""

import http.client
import itertools
import threading

from .api import report_body, result

# What a caller is told to come back after. Everything else that isn't success is a finding.
REFUSALS = {429, 503}
MEETINGS, AGENTS = 3, 20  # agents of a thread
DIFFERENCES = {
    "participants": "select node_org || '/' || node as k, count(*) from participant group by 1",
    "meetings": "select org || '/' as k, count(*) from meeting group by 1",
}


class Traffic:
    """Threads that report, join and leave, each a client of one controller after the other. `clients` have an org's key."""

    def __init__(self, clients, node=None, prefix="t", threads=6):
        self.clients, self.node, self.prefix = clients, node, prefix
        self.lock = threading.Lock()
        self.reports, self.seats, self.left, self.findings = {}, {}, set(), []
        self.answered = self.refused = self.unanswered = self.leaves = 0
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(threads)]
        for i in range(MEETINGS):
            clients[0].post("/v1/meetings", {"id": f"{prefix}-meeting-{i}"}).expect(200, 201)
        for t in self.threads:
            t.start()

    def stop(self):
        self.ended.set()
        for t in self.threads:
            t.join(90)
            assert not t.is_alive(), "a client hangs: its request was never answered, nor its connection closed"
        assert not self.findings, "\n".join(self.findings[:20])

    def _run(self, n):
        connection = None
        for turn in itertools.count():
            if self.ended.is_set():
                break
            client = self.clients[(n + turn // 8) % len(self.clients)]
            if turn % 8 == 0 and connection is not None:
                connection.close()
                connection = None
            connection = connection or client.connection()
            try:
                self._turn(client, connection, n, turn)
            except (OSError, http.client.HTTPException):
                with self.lock:
                    self.unanswered += 1
                connection.close()
                connection = None
                self.ended.wait(0.05)
        if connection is not None:
            connection.close()

    def _turn(self, client, connection, n, turn):
        turn %= AGENTS  # an agent comes back to its meeting, so that it also leaves
        agent = f"{self.prefix}-{n}-{turn}"
        meeting = f"{self.prefix}-meeting-{turn % MEETINGS}"
        path = f"/v1/meetings/{meeting}/participants"
        if turn % 4 < 2:
            body = report_body([result(self.node, "udp", 10)] if self.node else [], agent=agent)
            if self._ask(client, connection, "POST", "/v1/reports", body, (200, 201)):
                with self.lock:
                    self.reports[body["report_id"]] = agent
            return
        seat = (meeting, agent)
        with self.lock:
            there = self.seats.pop(seat, None)  # unknown until it is answered; an agent is one thread's
            self.left.discard(seat)
        if turn % 4 == 3 and there:
            if self._ask(client, connection, "DELETE", f"{path}/{agent}", None, (204,)):
                with self.lock:
                    self.left.add(seat)
                    self.leaves += 1
            return
        if self._ask(client, connection, "POST", path, {"agent": agent}, (200, 201)):
            with self.lock:
                self.seats[seat] = True

    def _ask(self, client, connection, method, path, body, good):
        answer = client.call(method, path, body, connection=connection)
        with self.lock:
            if answer.status in good:
                self.answered += 1
            elif answer.status in REFUSALS and "Retry-After" in answer.headers:
                self.refused += 1
            else:
                self.findings.append(str(answer))
        if answer.status in REFUSALS:
            self.ended.wait(0.05)
        return answer.status in good

    def check(self, database):
        """After stop(): everything that was answered is in the database, and its counts agree with its rows."""
        stored = set(database.sql("select report_id from report").split())
        lost = [r for r in self.reports if r not in stored]
        assert not lost, f"{len(lost)} of {len(self.reports)} answered reports are gone: {lost[:5]}"
        twice = database.sql("select report_id from report group by org, agent, report_id having count(*) > 1")
        assert twice == "", f"stored twice: {twice[:200]}"
        there = {tuple(row.split("|")) for row in database.sql("select meeting, agent from participant").split()}
        gone = [s for s in self.seats if s not in there]
        assert not gone, f"{len(gone)} of {len(self.seats)} answered assignments are gone: {gone[:5]}"
        back = sorted(self.left & there)
        assert not back, f"{len(back)} of {len(self.left)} who were answered that they have left are there: {back[:5]}"
        assert differences(database) == "", differences(database)


def differences(database):
    """What the counts and the rows disagree about; "" where they agree."""
    return "\n".join(
        database.sql(
            "with told as (select org || '/' || name as k, sum(n) as n from (select * from tally union all select * from tally_change) t "
            f"where what = '{what}' group by 1 having sum(n) <> 0), really as ({real}) "
            "select * from told full join really on told.k = really.k where told.n is distinct from really.count"
        )
        for what, real in DIFFERENCES.items()
    ).strip()
