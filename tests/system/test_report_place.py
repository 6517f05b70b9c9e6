# timeout: 120, alone
"""A report that no partition takes is refused for good, and costs those that came with it nothing."""

import pytest
from support.api import now, report_body
from support.process import at_once


@pytest.fixture(scope="module")
def controller(controllers, database):
    """Keeps no house; the partition of an hour ago is gone."""
    first = controllers()
    first.stop()
    gone = database.sql("select name from report_partition where lo <= now() - interval '1 h' and hi > now() - interval '1 h'")
    database.sql(f"drop table {gone}; delete from report_partition where name = '{gone}'")
    return controllers(**{"housekeeping=false": True}, threads=1)


def test_refused_for_good_and_alone(org, controller):
    def post(i):
        measured_at = now(-3600) if i % 10 == 3 else now()
        return org.agent(f"a-{i}").post("/v1/reports", report_body([], measured_at=measured_at))

    for i, answer in enumerate(at_once(post, range(60))):
        if i % 10 == 3:
            assert answer.problem(422, "report_no_place").json["pointer"] == "/measured_at"
        else:
            answer.expect(201)
    counted = controller.metrics()
    assert counted['berth_reports_total{result="new"}'] == 54
    assert counted['berth_reports_total{result="refused"}'] == 6
