# timeout: 120, alone
"""A coturn beside a node: the credentials that come with an assignment work there, for coturn's own client and for WebRTC
clients, and no others do."""

import asyncio
import shutil
import socket
import subprocess
import time

import pytest
from support.api import Heartbeats, register
from support.process import Process, free_port, wait_for
from support.ticket import turn_credential

aiortc = pytest.importorskip("aiortc", reason="python3-aiortc is not installed")
pytestmark = pytest.mark.skipif(shutil.which("turnserver") is None, reason="coturn is not installed")
HOST = "127.0.0.1"


def answers(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.2)
        s.connect((HOST, port))
        try:
            s.send(b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12))
            return s.recv(500)
        except OSError:
            return None


@pytest.fixture(scope="module")
def cloud(admin, node_key):
    return admin.with_token(node_key)


@pytest.fixture(scope="module")
def turn(session_folder, cloud, org):
    """coturn as docs/operations.md has it: (port, secret)."""
    port = free_port(socket.SOCK_DGRAM)
    urls = [f"turn:{HOST}:{port}?transport=udp"]
    register(cloud, "beside", 1, seen_by=[org.api], services={"turn": {"urls": urls}})
    hearts = Heartbeats(cloud, "beside")
    (secret,) = cloud.get("/v1/nodes/beside/turn-secret").expect(200).json["secrets"]
    settings = session_folder / "coturn.conf"
    lines = ["use-auth-secret", f"static-auth-secret={secret}", "realm=berth.example", f"listening-ip={HOST}", f"relay-ip={HOST}",
             f"listening-port={port}", "allow-loopback-peers", "no-tls", "no-dtls", "no-tcp", "no-cli", "no-multicast-peers",
             f"pidfile={session_folder / 'coturn.pid'}", f"userdb={session_folder / 'coturn.db'}", "log-file=stdout",
             "verbose"]  # fmt: skip
    settings.write_text("".join(f"{line}\n" for line in lines))
    server = Process(["turnserver", "-c", settings], session_folder / "coturn.log")
    wait_for(lambda: answers(port), 30, "coturn to answer")
    yield port, secret
    hearts.stop()
    server.stop()


@pytest.fixture(scope="module")
def ice(org, turn):
    """{agent: its one ice server}, of a meeting that both have joined."""
    meeting = org.api.post("/v1/meetings").expect(201).json["id"]

    def given(agent):
        return org.agent(agent).post(f"/v1/meetings/{meeting}/participants").expect(200, 201).json["ice_servers"]

    return {agent: wait_for(lambda a=agent: given(a), 10, "the TURN server to be known")[0] for agent in ("ann", "bob")}


def client(port, username, credential, seconds=30):
    """coturn's own client, which calls itself through the relay: what it says."""
    command = ["turnutils_uclient", "-y", "-c", "-n", "5", "-l", "172", "-L", HOST, "-p", str(port)]
    return subprocess.run([*command, "-u", username, "-w", credential, HOST], capture_output=True, text=True, timeout=seconds)


def test_coturns_client_gets_through(turn, ice):
    done = client(turn[0], ice["ann"]["username"], ice["ann"]["credential"])
    assert done.returncode == 0 and "Total lost packets 0 (0.000000%)" in done.stdout, done.stdout


@pytest.mark.parametrize("wrong", ["altered", "expired", "another's"])
def test_other_credentials_do_not(turn, ice, wrong):
    port, secret = turn
    username, credential = ice["ann"]["username"], ice["ann"]["credential"]
    if wrong == "altered":
        username = username.replace("ann", "amy")
    elif wrong == "expired":
        username = f"{int(time.time()) - 60}:ann"
        credential = turn_credential(secret, username)
    else:
        credential = ice["bob"]["credential"]
    done = client(port, username, credential)
    assert done.returncode != 0 and "Cannot complete Allocation" in done.stdout, done.stdout


async def exchange(servers):
    """A data channel between two WebRTC clients: what each side got, and the kinds of both sides' candidates."""
    peers = [aiortc.RTCPeerConnection(aiortc.RTCConfiguration([aiortc.RTCIceServer(**s)])) for s in servers]
    got, done = [], asyncio.Event()
    channel = peers[0].createDataChannel("media")

    @channel.on("open")
    def opened():
        channel.send("hello")

    @channel.on("message")
    def answered(text):
        got.append(text)
        done.set()

    @peers[1].on("datachannel")
    def arrived(other):
        @other.on("message")
        def heard(text):
            got.append(text)
            other.send(text + " back")

    try:
        await peers[0].setLocalDescription(await peers[0].createOffer())
        await peers[1].setRemoteDescription(peers[0].localDescription)
        await peers[1].setLocalDescription(await peers[1].createAnswer())
        await peers[0].setRemoteDescription(peers[1].localDescription)
        lines = [line for p in peers for line in p.localDescription.sdp.splitlines() if "a=candidate" in line]
        await asyncio.wait_for(done.wait(), 60)
    finally:
        for peer in peers:
            await peer.close()
    return got, {line.split(" typ ")[1].split()[0] for line in lines}


def test_webrtc_clients_meet_through_it(ice, turn, monkeypatch):
    """aiortc has no policy for its transports: without addresses of its own it has relayed candidates alone."""
    import aioice.ice

    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda *args, **kwargs: [])
    got, kinds = asyncio.run(exchange([ice["ann"], ice["bob"]]))
    assert got == ["hello", "hello back"] and kinds == {"relay"}
