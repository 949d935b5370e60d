"""Whole nodes of pyipv8, of the older or the newer dialect as the installed version has it: the discovery community, the DHT and
the tunnels on one socket each, which know nobody but a bootstrap server.

    node.py IP:PORT [[FLAG, ...], ...]

Prints the public keys and ports of the nodes, then reads commands as lines of JSON from standard input and answers each with a
line. Nothing leaves the loopback.
"""
import asyncio
import importlib.metadata
import json
import random
import socket
import sys

import ipv8.community
import ipv8.peerdiscovery.churn
import ipv8.peerdiscovery.community
from ipv8.dht.churn import PingChurn
from ipv8.dht.discovery import DHTDiscoveryCommunity
from ipv8.dht.provider import DHTCommunityProvider
from ipv8.keyvault.crypto import default_eccrypto
from ipv8.messaging.anonymization.hidden_services import HiddenTunnelCommunity
from ipv8.messaging.interfaces.udp.endpoint import UDPEndpoint
from ipv8.peer import Peer
from ipv8.peerdiscovery.churn import RandomChurn
from ipv8.peerdiscovery.community import DiscoveryCommunity, PeriodicSimilarity
from ipv8.peerdiscovery.discovery import RandomWalk
from ipv8.peerdiscovery.network import Network

OLD = importlib.metadata.version("pyipv8").startswith("2.")
if OLD:
    from ipv8.messaging.anonymization.community import TunnelSettings
    # It samples sets, which Python has not allowed since 3.11.
    for module in (ipv8.peerdiscovery.churn, ipv8.peerdiscovery.community):
        module.sample = lambda population, count: random.sample(list(population), count)
else:
    from ipv8.bootstrapping.dispersy.bootstrapper import DispersyBootstrapper
    from ipv8.community import CommunitySettings
    from ipv8.messaging.anonymization.hidden_services import HiddenTunnelSettings
    from ipv8.messaging.interfaces.udp.endpoint import UDPv4Address

received = []
linked = []


class Host:
    """What the exchange of introduction points needs of the library."""

    def __init__(self):
        self.overlays, self.strategies = [], []

    def add_strategy(self, overlay, strategy, target):
        self.overlays.append(overlay)
        self.strategies.append((strategy, target))


class Tunnels(HiddenTunnelCommunity):
    def on_raw_data(self, circuit, origin, data):
        received.append(data.hex())
        if circuit.ctype == "RP_SEEDER":
            transmit(self, circuit, ("1.1.1.1", 1024), data)


def transmit(tunnels, circuit, target, data):
    if OLD:
        tunnels.send_data([circuit.peer.address], circuit.circuit_id, target, ("0.0.0.0", 0), data)
    else:
        tunnels.send_data(circuit.hop.address, circuit.circuit_id, UDPv4Address(*target), UDPv4Address("0.0.0.0", 0), data)


class Node:
    def __init__(self, endpoint, port, flags, bootstrap):
        self.port, self.host = port, Host()
        me, network = Peer(default_eccrypto.generate_key("curve25519")), Network()
        if OLD:
            ipv8.community._DEFAULT_ADDRESSES[:] = [bootstrap]
            ipv8.community._DNS_ADDRESSES.clear()
            self.discovery = DiscoveryCommunity(me, endpoint, network)
            self.dht = DHTDiscoveryCommunity(me, endpoint, Network())
            settings = TunnelSettings()
            settings.peer_flags, settings.min_circuits, settings.swarm_lookup_interval = set(flags), 0, 3
            provider = DHTCommunityProvider(self.dht, port)
            self.tunnels = Tunnels(me, endpoint, network, settings=settings, ipv8=self.host, dht_provider=provider)
        else:
            def settings(kind, known):
                return kind(my_peer=me, endpoint=endpoint, network=known)
            self.discovery = DiscoveryCommunity(settings(CommunitySettings, network))
            self.dht = DHTDiscoveryCommunity(settings(CommunitySettings, Network()))
            chosen = settings(HiddenTunnelSettings, network)
            chosen.peer_flags, chosen.min_circuits, chosen.swarm_lookup_interval = set(flags), 0, 3
            chosen.ipv8, chosen.dht_provider = self.host, DHTCommunityProvider(self.dht, port)
            self.tunnels = Tunnels(chosen)
            for community in (self.discovery, self.dht, self.tunnels):
                community.bootstrappers[:] = [DispersyBootstrapper([bootstrap], [])]
        self.walks = [RandomWalk(self.discovery), RandomChurn(self.discovery), PeriodicSimilarity(self.discovery),
                      RandomWalk(self.dht), PingChurn(self.dht), RandomWalk(self.tunnels)]
        for community in (self.discovery, self.dht, self.tunnels):
            community.my_estimated_wan = ("127.0.0.1", port)

    def step(self):
        for walk in self.walks + [strategy for strategy, _ in self.host.strategies]:
            walk.take_step()
        # Nobody else says where they are.
        for community in (self.discovery, self.dht, self.tunnels):
            community.my_estimated_wan = ("127.0.0.1", self.port)


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def node(flags, bootstrap):
    port = free_port()
    endpoint = UDPEndpoint(port, "127.0.0.1")
    await endpoint.open()
    return Node(endpoint, port, flags, bootstrap)


async def walk(nodes):
    while True:
        for one in nodes:
            one.step()
        await asyncio.sleep(0.5)


async def patience(done, seconds=20):
    for _ in range(seconds * 10):
        if done():
            return True
        await asyncio.sleep(0.1)
    return False


async def build(tunnels, hops):
    circuit = tunnels.create_circuit(hops)
    if circuit is None:
        return {"state": "NONE", "id": 0, "hops": []}
    try:
        await asyncio.wait_for(asyncio.shield(circuit.ready), 8)
    except asyncio.TimeoutError:
        pass
    return {"state": circuit.state, "id": circuit.circuit_id,
            "hops": [hop.public_key.key_to_bin().hex() if hasattr(hop, "public_key") else "" for hop in circuit.hops]}


async def do(nodes, command):
    tunnels = nodes[command["node"]].tunnels
    if command["do"] == "candidates":
        return {peer.public_key.key_to_bin().hex(): sum(flags) if isinstance(flags, (list, set)) else flags
                for peer, flags in tunnels.candidates.items()}
    if command["do"] == "build":
        return await build(tunnels, command["hops"])
    if command["do"] == "only":
        for peer in list(tunnels.candidates):
            if peer.public_key.key_to_bin().hex() not in command["keys"]:
                tunnels.candidates.pop(peer)
    elif command["do"] == "send":
        transmit(tunnels, tunnels.circuits[command["id"]], ("127.0.0.1", command["port"]), bytes.fromhex(command["data"]))
    elif command["do"] == "received":
        return {"received": list(received)}
    elif command["do"] == "seed":
        info_hash = bytes.fromhex(command["info_hash"])
        tunnels.join_swarm(info_hash, command["hops"])
        await tunnels.create_introduction_point(info_hash)
    elif command["do"] == "download":
        info_hash = bytes.fromhex(command["info_hash"])
        linked.clear()
        tunnels.join_swarm(info_hash, command["hops"], callback=linked.append, seeding=False)
        await build(tunnels, command["hops"])
        for _ in range(10):
            if OLD:
                tunnels.swarms[info_hash].last_lookup = 0
            await tunnels.do_peer_discovery()
            if await patience(lambda: linked, 6):
                break
        if linked:
            target = linked[0]
            circuit = tunnels.circuits[tunnels.ip_to_circuit_id(target[0])]
            transmit(tunnels, circuit, target, bytes.fromhex(command["data"]))
        return {"linked": bool(linked)}
    return {}


async def main():
    host, port = sys.argv[1].rsplit(":", 1)
    nodes = [await node(flags, (host, int(port))) for flags in json.loads(sys.argv[2])]
    print(json.dumps([{"key": one.tunnels.my_peer.public_key.key_to_bin().hex(), "port": one.port} for one in nodes]), flush=True)
    asyncio.ensure_future(walk(nodes))
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        try:
            answer = await do(nodes, json.loads(line))
        except Exception as error:
            answer = {"error": repr(error)}
        print(json.dumps(answer), flush=True)


asyncio.run(main())
