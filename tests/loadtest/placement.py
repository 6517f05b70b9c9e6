"""placement BERTH_LOAD ROOT: berth-load place and place-gen as programs: files in, summary out, and every fault named."""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

BERTH_LOAD, ROOT = sys.argv[1], sys.argv[2]
NODES = "node,site,region,class,capacity,weight\na,a,eu,cloud,,\nb,b,us,cloud,,\n"
MATRIX = ",a,b\na,0,80\nb,80,0\nhome,10,90\n"
EVENT = '{"t":%s,"event":"%s","meeting":"m","participant":"%s","site":"home"}\n'
EVENTS = EVENT % (0, "join", "x") + EVENT % (1, "join", "y") + EVENT % (2, "leave", "x")


class Case(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="berth-placement-test-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def path(self, name):
        return os.path.join(self.directory, name)

    def file(self, name, text):
        with open(self.path(name), "w", encoding="utf-8", errors="surrogateescape") as f:
            f.write(text)
        return self.path(name)

    def run_load(self, *arguments, stdout=subprocess.PIPE):
        return subprocess.run([BERTH_LOAD, *arguments], stdout=stdout, stderr=subprocess.PIPE, timeout=100, check=False)

    def place(self, *more, nodes=NODES, matrix=MATRIX, events=EVENTS, stdout=subprocess.PIPE):
        return self.run_load("place", "--nodes", self.file("N.csv", nodes), "--matrix", self.file("M.csv", matrix), "--meetings",
                             self.file("E.jsonl", events), *more, stdout=stdout)

    def generate(self, *arguments):
        done = self.run_load("place-gen", "--out", self.path("world"), *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)

    def replay(self, *more):
        done = self.run_load("place", "--nodes", self.path("world/nodes.csv"), "--matrix", self.path("world/matrix.csv"),
                             "--meetings", self.path("world/meetings.jsonl"), *more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout


class Place(Case):
    def test_summary_and_lines(self):
        done = self.place("--json", "--out", self.path("A.jsonl"))
        self.assertEqual(done.returncode, 0, done.stderr)
        summary = json.loads(done.stdout)
        self.assertAlmostEqual(summary["all"]["plans"]["online"]["full"]["mean_ms"], 10)
        self.assertEqual(summary["cpu"]["decisions"], 3)
        with open(self.path("A.jsonl"), encoding="utf-8") as f:
            lines = [json.loads(line) for line in f]
        self.assertEqual([line["t"] for line in lines], [0, 1, 2])
        self.assertEqual([line["plan"] for line in lines], [{"x": "a"}, {"x": "a", "y": "a"}, {"y": "a"}])
        self.assertTrue(all(line["meeting"] == "m" and line["moved"] == [] and line["us"] >= 0 for line in lines))

    def test_table_fits(self):
        done = self.place()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertLessEqual(max(map(len, done.stdout.decode().splitlines())), 80)
        self.assertIn(b"lower bound", done.stdout)

    def test_policy(self):
        policy = self.file("P.json", '{"regions":{"allow":["us"]}}')
        done = self.place("--json", "--policy", policy)
        self.assertAlmostEqual(json.loads(done.stdout)["all"]["plans"]["online"]["full"]["mean_ms"], 90)

    def test_policy_binds_all_plans(self):
        """What a policy forbids might as well not be there: baselines, best plans and the optimum of seats are the same without it."""
        nodes = NODES.replace("a,eu,cloud,,", "a,eu,cloud,2,").replace("b,us,cloud,,", "b,us,mesh,2,")
        alone = NODES.splitlines()[0] + "\n" + nodes.splitlines()[2] + "\n"
        events = EVENTS.replace('"leave","meeting":"m","participant":"x"', '"join","meeting":"n","participant":"x"')
        events = events.replace("home", "a").replace('"n","participant":"x","site":"a"', '"n","participant":"x","site":"b"')
        for text in ('{"private":true}', '{"regions":{"allow":["us"]}}', '{"regions":{"deny":["eu"]}}'):
            for capacity in ("3", "2"):
                with self.subTest(policy=text, capacity=capacity):
                    policy = self.file("P.json", text)
                    bound = json.loads(self.place("--json", "--policy", policy, nodes=nodes.replace("mesh,2", f"mesh,{capacity}"),
                                                  events=events).stdout)
                    there = json.loads(self.place("--json", nodes=alone.replace("mesh,2", f"mesh,{capacity}"), events=events).stdout)
                    del bound["cpu"], there["cpu"]
                    self.assertEqual(bound, there)
                    self.assertEqual(bound["capacity"]["optimum_ms"] is None, capacity == "2")
                    self.assertEqual(bound["capacity"]["seats"], int(capacity))

    def test_an_optimum_of_nothing_is_one(self):
        nodes = NODES.replace("cloud,,", "cloud,1,")
        events = (EVENT % (0, "join", "x")).replace("home", "a")
        self.assertEqual(json.loads(self.place("--json", nodes=nodes, events=events).stdout)["capacity"]["optimum_ms"], 0)
        self.assertNotIn(b"not room", self.place(nodes=nodes, events=events).stdout)

    def test_faults_name_file_and_line(self):
        event = EVENT % (5, "join", "z")
        for change, where in (({"nodes": NODES + "c,c,eu,moon,,\n"}, "N.csv:4: class"),
                              ({"matrix": MATRIX + "home,1,1\n"}, "M.csv:5: site 'home' is there twice"),
                              ({"matrix": MATRIX + "away,1,nan\n"}, "M.csv:5: b: 'nan'"),
                              ({"matrix": MATRIX + "away,1,-1\n"}, "M.csv:5: b: -1"),
                              ({"matrix": MATRIX + "away,1,10000\n"}, "M.csv:5: b: 10000 is not between 0 and 9999.999"),
                              ({"matrix": MATRIX + "aw\udcffy,1,1\n"}, "M.csv:5: site: a name of 1 to 128 bytes of UTF-8"),
                              ({"matrix": ",s,s\ns,0,1\nhome,1,2\n", "nodes": NODES.splitlines()[0] + "\na,s,eu,cloud,,\n"},
                               "M.csv:1: two columns are called 's'"),
                              ({"nodes": NODES + "\udcff,a,eu,cloud,,\n"}, "N.csv:4: node: a name of 1 to 128 bytes of UTF-8"),
                              ({"nodes": NODES + "c,a,\udcff,cloud,,\n"}, "N.csv:4: region: a name of"),
                              ({"nodes": NODES + "c,\udcff,eu,cloud,,\n", "matrix": MATRIX.replace("\n", ",1\n").replace(",1", ",c", 1) +
                                "\udcff,1,2,3\n"}, "M.csv:5: site: a name of"),
                              ({"nodes": NODES + "c,a,eu,cloud, 5,\n"}, "N.csv:4: capacity: ' 5' is not a whole number"),
                              ({"nodes": NODES + "c,a,eu,cloud,+5,\n"}, "N.csv:4: capacity: '+5' is not a whole number"),
                              ({"nodes": NODES + "c,a,eu,cloud,,1001\n"}, "N.csv:4: weight: 1001 is not between 0 and 1000"),
                              ({"events": EVENTS + EVENT % (3, "join", "\udcff")}, "E.jsonl:4: not JSON, at column"),
                              ({"events": EVENTS + '{"t":3,"t":4}'}, "E.jsonl:4: a member occurs twice\n"),
                              ({"matrix": MATRIX.replace("b,80,0\n", "")}, "M.csv: no row for 'b'"),
                              ({"events": event + EVENTS}, "E.jsonl:2: t: "),
                              ({"events": event.replace("home", "moon")}, "E.jsonl:1: site 'moon'"),
                              ({"events": EVENTS + "{\n"}, "E.jsonl:4: not JSON")):
            with self.subTest(where=where):
                done = self.place(**change)
                self.assertEqual(done.returncode, 2)
                self.assertIn(self.path(where), done.stderr.decode())

    def test_wrong_policy_and_files(self):
        self.assertEqual(self.place("--policy", self.file("P.json", "{")).returncode, 2)
        self.assertEqual(self.place("--policy", self.file("P.json", '{"private":1}')).returncode, 2)
        self.assertIn(f"{self.path('P.json')}: /private: ", self.place("--policy", self.path("P.json")).stderr.decode())
        self.assertIn(f"{self.path('P.json')}: an object", self.place("--policy", self.file("P.json", "[]")).stderr.decode())
        nobody = self.place("--policy", self.file("P.json", '{"regions":{"allow":["moon"]}}'))
        self.assertIn(f"{self.path('P.json')}: leaves none of the 2 nodes", nobody.stderr.decode())
        self.assertEqual(self.place("--measured", self.file("m.csv", ",a,b\nmoon,1,2\n")).returncode, 2)

    def test_files_that_cannot_be_had(self):
        missing = self.path("none")
        for more in (("--policy", missing), ("--measured", missing), ("--forecast", missing), ("--nodes", missing),
                     ("--matrix", self.directory), ("--meetings", missing), ("--out", self.path("no/such/folder")),
                     ("--out", self.directory), ("--out", "/dev/full")):
            with self.subTest(more=more):
                done = self.place(*more)
                self.assertEqual((done.returncode, more[1] in done.stderr.decode()), (3, True), done.stderr)
        for argument in ("--from-matrix", "--node-matrix", "--clients"):
            inputs = {"--from-matrix": self.file("c.csv", ",n\n0,1\n"), "--node-matrix": self.file("n.csv", ",n\nn,0\n"),
                      "--clients": self.file("l.csv", "client,country,continent_code\n0,A,1\n"), argument: missing}
            done = self.run_load("place-gen", "--out", self.path("world"), *(word for pair in inputs.items() for word in pair))
            self.assertEqual((done.returncode, missing in done.stderr.decode()), (3, True), done.stderr)

    def test_inputs_are_not_overwritten(self):
        self.file("P.json", "{}")
        os.symlink(self.path("M.csv"), self.path("also"))
        for name in ("N.csv", "M.csv", "E.jsonl", "P.json", "also"):
            with self.subTest(name=name):
                done = self.place("--policy", self.path("P.json"), "--out", self.path(name))
                self.assertEqual((done.returncode, b"would overwrite" in done.stderr), (2, True), done.stderr)
                with open(self.path("M.csv"), encoding="utf-8") as f:
                    self.assertEqual(f.read(), MATRIX)
        matrix = self.file("matrix.csv", ",n\n0,1\n")
        done = self.run_load("place-gen", "--out", self.directory, "--from-matrix", matrix, "--node-matrix",
                             self.file("n.csv", ",n\nn,0\n"), "--clients", self.file("l.csv", "client,country,continent_code\n0,A,1\n"))
        self.assertEqual((done.returncode, b"would overwrite" in done.stderr), (2, True), done.stderr)

    def test_lost_output_has_not_worked(self):
        mixes = "".join(f'{{"t":{k},"event":"join","meeting":"m{k}","participant":"p{k}","site":"home","mix":"x{k}"}}\n' for k in range(16))
        with open("/dev/full", "w", encoding="utf-8") as full:
            for what, run in (("place", lambda: self.place(stdout=full)), ("json", lambda: self.place("--json", stdout=full)),
                              ("long", lambda: self.place("--json", events=mixes, stdout=full)),
                              ("join", lambda: self.run_load("place-join", "--participants", "2", "--seconds", "1", stdout=full)),
                              ("help", lambda: self.run_load("--help", stdout=full)),
                              ("version", lambda: self.run_load("--version", stdout=full)),
                              ("engine", lambda: self.run_load("media-engine", "--participants", "2", "--seconds", "1", stdout=full))):
                with self.subTest(what=what):
                    done = run()
                    self.assertEqual((done.returncode, done.stderr),
                                     (3, b"berth-load: standard output: No space left on device\n"))

    def test_usage(self):
        for args in (["place"], ["place", "--matrix", "x"], ["place", "--starts", "x"], ["place", "--what"], ["place-gen"],
                     ["place-gen", "--out", self.directory, "--nodes", "0"], ["place-gen", "--out", self.directory, "--mix", "x"],
                     ["place-gen", "--out", self.directory, "--clients", "x"],
                     ["place-gen", "--out", self.directory, "--size", "101"], ["place-join"],
                     ["place-join", "--participants", "501", "--seconds", "1"],
                     ["place-join", "--participants", "2", "--seconds", "0"],
                     ["place-join", "--participants", "2", "--seconds", "1", "--measured", "101"]):
            with self.subTest(args=args):
                done = self.run_load(*args)
                self.assertEqual(done.returncode, 2)
                self.assertTrue(done.stderr)

    def test_usage_fits(self):
        commands = re.findall(r"^  berth-load ([a-z-]+) ", self.run_load("--help").stdout.decode(), re.MULTILINE)
        self.assertGreater(len(commands), 10)
        for command in set(commands):
            with self.subTest(command=command):
                said = self.run_load(command)
                self.assertEqual(said.returncode, 2)
                for line in said.stderr.decode().splitlines():
                    self.assertLessEqual(len(line), 80, line)


class Manual(Case):
    def test_the_manual_has_every_option(self):
        with open(f"{ROOT}/docs/man/berth-load.1", encoding="utf-8") as f:
            manual = f.read().replace("\\-", "-")
        options = set(re.findall(r"--[a-z-]+", self.run_load("--help").stdout.decode()))
        self.assertGreater(len(options), 20)
        self.assertEqual({option for option in options if option not in manual}, set())


class Generated(Case):
    def test_a_seed_repeats_itself(self):
        self.generate("--seed", "7", "--meetings", "40", "--sites", "60", "--nodes", "12")
        first, plans = self.path("first.jsonl"), self.path("second.jsonl")
        one, two = json.loads(self.replay("--json", "--out", first)), json.loads(self.replay("--json", "--out", plans))
        del one["cpu"], two["cpu"]
        self.assertEqual(one, two)
        with open(first, encoding="utf-8") as a, open(plans, encoding="utf-8") as b:
            for x, y in zip(map(json.loads, a), map(json.loads, b), strict=True):
                del x["us"], y["us"]
                self.assertEqual(x, y)

    def test_order_of_nodes_and_sites_does_not_matter(self):
        self.generate("--seed", "3", "--meetings", "60", "--sites", "80", "--nodes", "15")
        best = json.loads(self.replay("--json"))["all"]
        for name in ("nodes.csv", "matrix.csv"):
            with open(self.path(f"world/{name}"), encoding="utf-8") as f:
                head, *rows = f.read().splitlines()
            self.file(f"world/{name}", "\n".join([head, *reversed(rows)]) + "\n")
        again = json.loads(self.replay("--json"))["all"]
        for plan in ("online", "replanned", "single_best", "best"):
            self.assertAlmostEqual(best["plans"][plan]["full"]["mean_ms"], again["plans"][plan]["full"]["mean_ms"], places=4)

    def test_ties_go_by_name(self):
        """Two people, each on a node of their own: which of the two is the meeting's main node is not a matter of the rows' order."""
        head, *rows = "node,site,region,class,capacity,weight\nn0,n0,eu,mesh,,10\nn1,n1,eu,cloud,1,\nn2,n0,us,mesh,,\nn3,n3,us,cloud,1,0.1".split()
        matrix = (",n0,n1,n2,n3\ns1,0,0,10.966,64.8\ns4,104.541,253.317,0,31.905\ns5,0,10.406,0,0\nn0,0,2507.1,0,1028.941\n"
                  "n1,1.812,0,3780.962,\nn3,1617.268,19.546,6.511,0\n")
        events = "".join((EVENT % (k, "join", f"p{k}")).replace("home", site) for k, site in enumerate(("s4", "s1", "s5")))
        plans = []
        for order in (rows, rows[::-1]):
            done = self.place("--out", self.path("A.jsonl"), nodes="\n".join([head, *order]) + "\n", matrix=matrix, events=events)
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(self.path("A.jsonl"), encoding="utf-8") as f:
                plans.append([json.loads(line)["plan"] for line in f])
        self.assertEqual(plans[0][1], {"p0": "n2", "p1": "n0"})  # the tie
        self.assertEqual(*plans)

    def test_damaged_measurements(self):
        self.generate("--seed", "2", "--meetings", "60", "--lost", "5", "--jitter", "20", "--unprobed", "10")
        told = json.loads(self.replay("--json", "--measured", self.path("world/measured.csv")))["all"]["plans"]
        knows = json.loads(self.replay("--json"))["all"]["plans"]
        self.assertEqual(told["best"], knows["best"])  # the plans beside Berth see the truth
        self.assertEqual(told["online"]["unconnected"], 0)

    def test_capacity(self):
        self.generate("--seed", "2", "--meetings", "60", "--nodes", "12", "--alone", "--capacity", "110")
        capacity = json.loads(self.replay("--json"))["capacity"]
        self.assertEqual(capacity["participants"], 60)
        self.assertEqual(capacity["events_over_capacity"], 0)
        self.assertGreaterEqual(capacity["online_ms"], capacity["optimum_ms"])

    def test_prices_from_another_day(self):
        world = ("--seed", "2", "--meetings", "120", "--nodes", "8", "--sites", "100", "--alone")
        self.generate(*world, "--capacity", "110")
        plain = json.loads(self.replay("--json"))["capacity"]
        made = self.run_load("place-gen", "--out", self.path("day"), *world, "--day", "2")
        self.assertEqual(made.returncode, 0, made.stderr)
        with open(self.path("world/meetings.jsonl"), "rb") as a, open(self.path("day/meetings.jsonl"), "rb") as b:
            self.assertNotEqual(a.read(), b.read())
        with open(self.path("world/matrix.csv"), "rb") as a, open(self.path("day/matrix.csv"), "rb") as b:
            self.assertEqual(a.read(), b.read())
        day = self.path("day/meetings.jsonl")
        priced = json.loads(self.replay("--json", "--forecast", day))["capacity"]
        self.assertEqual((priced["optimum_ms"], priced["events_over_capacity"]), (plain["optimum_ms"], 0))
        self.assertLess(priced["online_ms"] - plain["optimum_ms"], 0.7 * (plain["online_ms"] - plain["optimum_ms"]))
        self.assertIsNone(priced["exchanged_ms"])
        self.assertIn(b"with prices", self.replay("--forecast", day))
        self.generate(*world, "--capacity", "1500")  # seats for all wherever they are: no prices
        enough = [json.loads(self.replay("--json", *more))["capacity"]["online_ms"] for more in ((), ("--forecast", day))]
        self.assertEqual(enough[0], enough[1])

    def test_prices_by_live_reports_and_pace(self):
        world = ("--seed", "2", "--meetings", "120", "--nodes", "8", "--sites", "100")
        self.generate(*world, "--alone", "--capacity", "125")
        plain = json.loads(self.replay("--json"))["capacity"]
        priced = json.loads(self.replay("--json", "--live-prices"))["capacity"]
        self.assertEqual((priced["optimum_ms"], priced["events_over_capacity"]), (plain["optimum_ms"], 0))
        self.assertLess(priced["online_ms"] - plain["optimum_ms"], 0.7 * (plain["online_ms"] - plain["optimum_ms"]))
        both = self.place("--live-prices", "--forecast", self.path("world/meetings.jsonl"))
        self.assertEqual((both.returncode, b"not both" in both.stderr), (2, True), both.stderr)
        self.generate(*world, "--capacity", "1500")  # people leave, and there are seats for all wherever they are: no prices
        enough = [json.loads(self.replay("--json", *more))["all"]["plans"]["online"] for more in ((), ("--live-prices",))]
        self.assertEqual(enough[0], enough[1])

    def test_prices_keep_to_the_policy(self):
        """What nodes that the policy forbids have room for prices nothing: it is as if they weren't there."""
        self.generate("--seed", "2", "--meetings", "120", "--nodes", "12", "--sites", "100", "--alone", "--capacity", "200")
        with open(self.path("world/nodes.csv"), encoding="utf-8") as f:
            head, *rows = f.read().splitlines()
        forbidden = [row.replace(",cloud,20,", ",cloud,,") for row in rows if ",europe," in row]
        others = [row for row in rows if ",europe," not in row]
        self.assertTrue(len(forbidden) > 1 and len(others) > 4, rows)
        gone = tuple(row.split(",")[0] + "," for row in forbidden)
        with open(self.path("world/matrix.csv"), encoding="utf-8") as f:
            matrix = f.read().splitlines()
        policy = self.file("P.json", '{"regions":{"deny":["europe"]}}')
        for prices in (("--live-prices",), ("--forecast", self.path("world/meetings.jsonl"))):
            with self.subTest(prices=prices):
                self.file("world/nodes.csv", "\n".join([head, *forbidden, *others]) + "\n")
                self.file("world/matrix.csv", "\n".join(matrix) + "\n")
                bound = json.loads(self.replay("--json", "--policy", policy, *prices))
                self.file("world/matrix.csv", "\n".join(row for row in matrix if not row.startswith(gone)) + "\n")
                self.file("world/nodes.csv", "\n".join([head, *others]) + "\n")
                there = json.loads(self.replay("--json", *prices))
                unpriced = json.loads(self.replay("--json"))
                self.assertEqual(bound["capacity"], there["capacity"])
                self.assertNotEqual(there["capacity"]["online_ms"], unpriced["capacity"]["online_ms"])  # there are prices

    def test_a_measured_world(self):
        clients = self.file("clients.csv", "client,city,country,continent_code\n0,X,A,1\n1,Y,A,1\n2,Z,B,1\n")
        matrix = self.file("c.csv", "client,n1,n2\n0,1,20\n1,2,\n2,20,1\n")
        nodes = self.file("n.csv", "id,n1,n2\nn1,0,15\nn2,15,0\n")
        self.generate("--from-matrix", matrix, "--node-matrix", nodes, "--clients", clients, "--meetings", "20")
        self.assertEqual(json.loads(self.replay("--json"))["all"]["plans"]["online"]["unconnected"], 0)
        self.assertEqual(self.measured_world(matrix, nodes, clients).returncode, 0)
        for wrong in ("client,n1,n2\n0,1,20\n1,2,\n", "client,n1,n2\n0,1,20\n1,2,x\n2,20,1\n", "client,n1,n1\n"):
            done = self.measured_world(self.file("c.csv", wrong), nodes, clients)
            self.assertEqual(done.returncode, 2, done.stderr)

    def measured_world(self, matrix, nodes, clients, *more):
        return self.run_load("place-gen", "--out", self.path("world"), "--from-matrix", matrix, "--node-matrix", nodes, "--clients",
                             clients, "--meetings", "20", *more)

    def names_world(self, client, node, *more, ms="20"):
        quoted = ['"' + name.replace('"', '""') + '"' for name in (client, node)]
        return self.measured_world(self.file("c.csv", f"client,{quoted[1]},n\n{quoted[0]},1,{ms}\nb,2,3\n"),
                                   self.file("n.csv", f"id,{quoted[1]},n\n{quoted[1]},0,{ms}\nn,{ms},0\n"),
                                   self.file("l.csv", f"client,country,continent_code\n{quoted[0]},A,1\nb,A,1\n"), *more)

    def test_what_is_written_is_read_again(self):
        measured = ("--measured", self.path("world/measured.csv"))
        for client, node, ms, more in (("a,b", "x,y", "20", ()), ('a"b', '"', "20", ()), ("a\\b\tc", "x\\", "20", ()), ("ä", "ö", "20", ()),
                                       ("c" * 121, "n" * 128, "20", ()), ("a", "b", "9999.999", ()),
                                       ("a", "b", "9999.99", ("--jitter", "100")), ("a", "b", "6000", ("--jitter", "100"))):
            with self.subTest(client=client, node=node, ms=ms):
                done = self.names_world(client, node, *more, ms=ms)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.replay("--json", *measured)

    def test_names_that_would_not_be_read_again(self):
        for client, node, where in (("c" * 122, "x", "c.csv:2: "), ("a", "n" * 129, "c.csv:1: "), ("a\udcff", "x", "c.csv:2: "),
                                    ("a", "x\udcff", "c.csv:1: "), ("a", "client-a", "c.csv:2: client 'a'")):
            with self.subTest(where=where):
                done = self.names_world(client, node)
                self.assertEqual((done.returncode, where in done.stderr.decode()), (2, True), done.stderr)


class Join(Case):
    def test_figures(self):
        for more in ([], ["--cap-worst"]):
            with self.subTest(more=more):
                self.check_figures(more)

    def check_figures(self, more):
        done = self.run_load("place-join", "--participants", "5", "--nodes", "20", "--seconds", "1", "--measured", "50", "--json", *more)
        self.assertEqual(done.returncode, 0, done.stderr)
        figures = json.loads(done.stdout)
        self.assertEqual((figures["participants"], figures["nodes"]), (5, 20))
        self.assertGreater(figures["decisions"], 0)
        self.assertTrue(1 <= figures["nodes_joined"] <= 5)
        self.assertTrue(0 < figures["rows_us"] and 0 < figures["cpu_us"]["median"] <= figures["cpu_us"]["p99"])


class Benchmark(Case):
    def test_a_small_run(self):
        build = os.path.dirname(os.path.dirname(BERTH_LOAD))
        done = subprocess.run([f"{ROOT}/loadtest/placement", "--build", build, "--seeds", "1", "--meetings", "15", "--crowd",
                               "30", "--json"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=280, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        result = json.loads(done.stdout)
        self.assertEqual([row["mix"] for row in result[0]["mixes"]], ["all", "country", "continent", "global"])
        self.assertEqual([row["events_over_capacity"] for row in result[0]["capacity"]], [0, 0, 0])

    def test_says_what_is_missing(self):
        done = subprocess.run([f"{ROOT}/loadtest/placement", "--build", "/nonexistent"], stderr=subprocess.PIPE, timeout=60,
                              check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"build first", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
