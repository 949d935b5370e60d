"""Whole nodes of pyipv8, of the older or the newer dialect as the installed version has it: the discovery community, the DHT and
the tunnels on one socket each, which know nobody but a bootstrap server.

    node.py IP:PORT [[FLAG, ...], ...] [rust] [stay] [community=HEX]

With `rust` the cells are handled by the compiled part of the newer version, which alone has HTTP requests and SOCKS5 servers.
With `stay` it reads no commands. The community of the tunnels is the library's unless another one is named. Prints the public keys and ports of the nodes, then reads commands as lines of JSON from standard input and answers each with a
line. Nothing leaves the loopback.
"""
import asyncio
import contextlib
import importlib.metadata
import json
import random
import sys
import types

import ipv8.community
import ipv8.peerdiscovery.churn
import ipv8.peerdiscovery.community
from ipv8.dht.churn import PingChurn
from ipv8.dht.discovery import DHTDiscoveryCommunity
from ipv8.dht.provider import DHTCommunityProvider
from ipv8.keyvault.crypto import default_eccrypto
from ipv8.messaging.anonymization import hidden_services
from ipv8.messaging.anonymization.tunnel import IntroductionPoint
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

EXIT_HTTP = 32768

received = []
linked = []


def at_home(community):
    """A community that knows where it is, for nobody says it to one whose neighbours are all on this machine."""
    where = property(lambda self: self.endpoint.get_address(), lambda self, _: None)
    return type(community.__name__, (community,), {"my_estimated_wan": where})


hidden_services.PexCommunity = at_home(hidden_services.PexCommunity)


class Host:
    """What the exchange of introduction points needs of the library."""

    def __init__(self):
        self.overlays, self.strategies = [], []

    def add_strategy(self, overlay, strategy, target):
        self.overlays.append(overlay)
        self.strategies.append((strategy, target))


@at_home
class Tunnels(hidden_services.HiddenTunnelCommunity):
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
    def __init__(self, endpoint, flags, bootstrap):
        self.port, self.host = endpoint.get_address()[1], Host()
        me, network = Peer(default_eccrypto.generate_key("curve25519")), Network()
        if OLD:
            ipv8.community._DEFAULT_ADDRESSES[:] = [bootstrap]
            ipv8.community._DNS_ADDRESSES.clear()
            self.discovery = at_home(DiscoveryCommunity)(me, endpoint, network)
            self.dht = at_home(DHTDiscoveryCommunity)(me, endpoint, Network())
            settings = TunnelSettings()
            settings.peer_flags, settings.min_circuits, settings.swarm_lookup_interval = set(flags), 0, 3
            provider = DHTCommunityProvider(self.dht, self.port)
            self.tunnels = Tunnels(me, endpoint, network, settings=settings, ipv8=self.host, dht_provider=provider)
        else:
            def settings(kind, known):
                return kind(my_peer=me, endpoint=endpoint, network=known)
            # Communities of introduction points would ask servers in the world otherwise.
            hidden_services.DISPERSY_BOOTSTRAPPER = {"init": {"ip_addresses": [bootstrap], "dns_addresses": []}}
            self.discovery = at_home(DiscoveryCommunity)(settings(CommunitySettings, network))
            self.dht = at_home(DHTDiscoveryCommunity)(settings(CommunitySettings, Network()))
            chosen = settings(HiddenTunnelSettings, network)
            chosen.peer_flags, chosen.min_circuits, chosen.swarm_lookup_interval = set(flags), 0, 3
            chosen.ipv8, chosen.dht_provider = self.host, DHTCommunityProvider(self.dht, self.port)
            self.tunnels = Tunnels(chosen)
            for community in (self.discovery, self.dht, self.tunnels):
                community.bootstrappers[:] = [DispersyBootstrapper([bootstrap], [])]
        self.walks = [RandomWalk(self.discovery), RandomChurn(self.discovery), PeriodicSimilarity(self.discovery),
                      RandomWalk(self.dht), PingChurn(self.dht), RandomWalk(self.tunnels)]

    def step(self):
        for walk in self.walks + [strategy for strategy, _ in self.host.strategies]:
            with contextlib.suppress(Exception):
                walk.take_step()


async def node(flags, bootstrap):
    if "rust" in sys.argv[3:]:
        from ipv8_rust_tunnels import Endpoint
        endpoint = Endpoint(0, "127.0.0.1")
        endpoint.open()
    else:
        endpoint = UDPEndpoint(0, "127.0.0.1")
        await endpoint.open()
    return Node(endpoint, flags, bootstrap)


async def walk(nodes):
    while True:
        for one in nodes:
            one.step()
        await asyncio.sleep(0.5)


async def patience(done, seconds=5):
    for _ in range(seconds * 10):
        if done():
            return
        await asyncio.sleep(0.1)


def circuits(tunnels, kind, states=("EXTENDING", "READY")):
    return [circuit for circuit in tunnels.circuits.values() if circuit.ctype == kind and circuit.state in states]


async def build(tunnels, hops):
    circuit = tunnels.create_circuit(hops)
    if circuit is not None:
        await asyncio.wait([circuit.ready], timeout=20)
    return circuit


async def door(tunnels, hops, doors={}):
    """A SOCKS5 server, and a circuit for it whose exit sends HTTP requests."""
    ready = tunnels.find_circuits(exit_flags=[EXIT_HTTP], hops=hops)
    if not ready:
        circuit = tunnels.create_circuit(hops, exit_flags=[EXIT_HTTP])
        if circuit is not None:
            await asyncio.wait([circuit.ready], timeout=20)
        ready = tunnels.find_circuits(exit_flags=[EXIT_HTTP], hops=hops)
    if hops not in doors:
        doors[hops] = tunnels.endpoint.create_socks5_server(0, hops)
    return {"port": doors[hops], "ready": len(ready)}


async def send(tunnels, hops, target, data):
    """Sends through a new circuit of so many hops, and waits a little for an answer."""
    # In the older dialect no relay begins two circuits.
    for circuit in circuits(tunnels, "DATA"):
        tunnels.remove_circuit(circuit.circuit_id)
    circuit = await build(tunnels, hops)
    if circuit is not None and circuit.state == "READY":
        transmit(tunnels, circuit, target, data)
        await patience(lambda: data.hex() in received)


def seed(nodes, tunnels, info_hash, hops):
    """Has somebody introduce a hidden seeder, again where that was lost: the library tries but once."""
    if info_hash not in tunnels.swarms:
        tunnels.join_swarm(info_hash, hops)
    if len(circuits(tunnels, "IP_SEEDER")) < 2:
        asyncio.ensure_future(tunnels.create_introduction_point(info_hash))
    for other in (one.tunnels for one in nodes):
        for seeder, (_, swarm) in other.intro_point_for.items():
            if swarm == info_hash:
                me = Peer(other.my_peer.key, other.my_estimated_wan)
                other.dht_announce(info_hash, IntroductionPoint(me, seeder))


async def download(tunnels, info_hash, hops, data):
    """Looks for hidden seeders once, and sends to those who are linked."""
    if info_hash not in tunnels.swarms:
        tunnels.join_swarm(info_hash, hops, callback=linked.append, seeding=False)
    if not circuits(tunnels, "DATA", ("READY",)):
        await build(tunnels, hops)
    swarm = tunnels.swarms[info_hash]
    swarm.last_lookup = swarm.last_dht_response = 0
    await tunnels.do_peer_discovery()
    for target in linked:
        circuit = tunnels.circuits.get(tunnels.ip_to_circuit_id(target[0]))
        if circuit and circuit.state == "READY":
            transmit(tunnels, circuit, target, data)
    await patience(lambda: data.hex() in received)


async def do(nodes, command):
    tunnels = nodes[command["node"]].tunnels
    if command["do"] == "candidates":
        return {peer.public_key.key_to_bin().hex(): sum(flags) if isinstance(flags, (list, set)) else flags
                for peer, flags in tunnels.candidates.items()}
    if command["do"] == "send":
        await send(tunnels, command["hops"], ("127.0.0.1", command["port"]), bytes.fromhex(command["data"]))
        return {"received": list(received)}
    if command["do"] == "door":
        return await door(tunnels, command["hops"])
    if command["do"] == "seed":
        seed(nodes, tunnels, bytes.fromhex(command["info_hash"]), command["hops"])
    elif command["do"] == "download":
        await download(tunnels, bytes.fromhex(command["info_hash"]), command["hops"], bytes.fromhex(command["data"]))
        return {"linked": len(linked), "received": list(received)}
    return {}


async def main():
    for word in sys.argv[3:]:
        if word.startswith("community="):
            Tunnels.community_id = bytes.fromhex(word.removeprefix("community="))
            # The older version knows it as the hash of a key.
            Tunnels.master_peer = types.SimpleNamespace(mid=Tunnels.community_id)
    host, port = sys.argv[1].rsplit(":", 1)
    nodes = [await node(flags, (host, int(port))) for flags in json.loads(sys.argv[2])]
    print(json.dumps([{"key": one.tunnels.my_peer.public_key.key_to_bin().hex(), "port": one.port} for one in nodes]), flush=True)
    if "stay" in sys.argv[3:]:
        await walk(nodes)
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
