"""Nodes of pyipv8's tunnels, of the older or the newer dialect as the installed version has it.

Reads commands as lines of JSON from standard input and answers each with a line. Nodes know each other and those that they
are told of; nothing leaves the loopback.

A hidden seeder gives datagrams back, or where they ask for some, sends those: the traffic of `examples/circuits`.
"""
import asyncio
import json
import struct
import sys
import time

import ipv8.community as community_module
from ipv8.keyvault.crypto import default_eccrypto
from ipv8.messaging.anonymization.community import TunnelCommunity
from ipv8.messaging.anonymization.hidden_services import HiddenTunnelCommunity
from ipv8.messaging.anonymization.tunnel import IntroductionPoint
from ipv8.messaging.interfaces.udp.endpoint import UDPEndpoint
from ipv8.peer import Peer
from ipv8.peerdiscovery.network import Network

try:
    from ipv8.messaging.anonymization.hidden_services import HiddenTunnelSettings
    MODERN = True
except ImportError:
    from ipv8.messaging.anonymization.community import TunnelSettings
    MODERN = False
    community_module._DEFAULT_ADDRESSES.clear()
    community_module._DNS_ADDRESSES.clear()

received = []

# A request for datagrams and one that was asked for, both like uTP: the number of the first, and how many there are to be.
ASK = struct.Struct(">HHIIQ")
LEN = 1400


class Download:
    """Asks for datagrams through a circuit, so many at a time, and counts what comes."""

    def __init__(self, tunnels, circuit, target, window):
        self.tunnels, self.circuit, self.target, self.window = tunnels, circuit, target, window
        self.asked = self.next = self.got = 0

    def ask(self):
        room = self.window - (self.asked - self.next)
        if room >= 16:
            transmit(self.tunnels, self.circuit, self.target, ASK.pack(0x2100, 0, self.asked, room, 0))
            self.asked += room

    def on_data(self, data):
        self.got += 1
        self.next = max(self.next, ASK.unpack_from(data)[2] + 1)
        self.ask()

    async def run(self, seconds):
        while not self.got:
            self.next = self.asked
            self.ask()
            await asyncio.sleep(0.1)
        begun, before, end = time.monotonic(), self.got, time.monotonic() + seconds
        while time.monotonic() < end:
            seen = self.got
            await asyncio.sleep(0.1)
            if self.got == seen:        # all that was under way is lost
                self.next = self.asked
                self.ask()
        return {"datagrams": self.got - before, "seconds": time.monotonic() - begun}


downloads = {}
linked = []


class Tunnels(HiddenTunnelCommunity):
    def on_raw_data(self, circuit, origin, data):
        if len(data) == LEN and circuit.circuit_id in downloads:
            downloads[circuit.circuit_id].on_data(data)
        elif circuit.ctype == "RP_SEEDER" and len(data) == ASK.size and data.startswith(b"\x21\0"):
            _, _, first, count, _ = ASK.unpack(data)
            for number in range(first, first + count):
                transmit(self, circuit, ("1.1.1.1", 1024), ASK.pack(0x0100, 0, number, 0, 0).ljust(LEN, b"\7"))
        else:
            received.append(data.hex())
            if circuit.ctype == "RP_SEEDER":
                transmit(self, circuit, ("1.1.1.1", 1024), data)


def transmit(tunnels, circuit, target, data):
    if MODERN:
        from ipv8.messaging.interfaces.udp.endpoint import UDPv4Address
        tunnels.send_data(circuit.hop.address, circuit.circuit_id, UDPv4Address(*target), UDPv4Address("0.0.0.0", 0), data)
    else:
        tunnels.send_data([circuit.peer.address], circuit.circuit_id, target, ("0.0.0.0", 0), data)


async def patience(done, seconds=15):
    for _ in range(seconds * 10):
        if done():
            return True
        await asyncio.sleep(0.1)
    return False


def circuits(tunnels, kind):
    return [circuit for circuit in tunnels.circuits.values() if circuit.ctype == kind and circuit.state in ("EXTENDING", "READY")]


async def through(tunnels, hops, target, data):
    """Sends through a new circuit of so many hops, and waits a little for an answer."""
    # In the older dialect no relay begins two circuits.
    for circuit in circuits(tunnels, "DATA"):
        tunnels.remove_circuit(circuit.circuit_id)
    circuit = tunnels.create_circuit(hops)
    if circuit is not None:
        await asyncio.wait([circuit.ready], timeout=20)
        if circuit.state == "READY":
            transmit(tunnels, circuit, target, data)
            await patience(lambda: data.hex() in received, 5)
    return {"circuits": len(tunnels.circuits), "received": list(received)}


async def contact(tunnels, info_hash, hops, point, data):
    """Asks a hidden seeder for a link once, and sends to it."""
    linked.clear()
    tunnels.join_swarm(info_hash, hops, callback=linked.append, seeding=False)
    circuit = tunnels.create_circuit(hops)
    if circuit is not None:
        await asyncio.wait([circuit.ready], timeout=20)
        if circuit.state == "READY":
            tunnels.create_e2e(info_hash, point)
            await patience(lambda: linked)
    if linked and data:
        transmit(tunnels, tunnels.circuits[tunnels.ip_to_circuit_id(linked[0][0])], linked[0], data)
    return {"linked": bool(linked)}


async def node(flags):
    endpoint = UDPEndpoint(0, "127.0.0.1")
    await endpoint.open()
    key = default_eccrypto.generate_key("curve25519")
    me, network = Peer(key), Network()
    if MODERN:
        settings = HiddenTunnelSettings(my_peer=me, endpoint=endpoint, network=network)
        settings.peer_flags = set(flags)
        settings.min_circuits = 0
        tunnels = Tunnels(settings)
    else:
        settings = TunnelSettings()
        settings.peer_flags = set(flags)
        settings.min_circuits = 0
        tunnels = Tunnels(me, endpoint, network, settings=settings)
    tunnels.address = ("127.0.0.1", endpoint._transport.get_extra_info("sockname")[1])
    tunnels.my_estimated_wan = tunnels.address
    return tunnels


def know(tunnels, key, address, flags):
    peer = Peer(default_eccrypto.key_from_public_bin(key), address)
    peer.last_response = 2 ** 40
    tunnels.network.add_verified_peer(peer)
    tunnels.network.discover_services(peer, [getattr(tunnels, "community_id", None) or tunnels.master_peer.mid])
    tunnels.candidates[peer] = flags


async def main():
    all_flags = json.loads(sys.argv[1])
    nodes = [await node(flags) for flags in all_flags]
    for one in nodes:
        for other, flags in zip(nodes, all_flags):
            if other is not one and flags:
                know(one, other.my_peer.public_key.key_to_bin(), other.address, flags)
    told = [{"key": n.my_peer.public_key.key_to_bin().hex(), "port": n.address[1], "flags": sum(f)}
            for n, f in zip(nodes, all_flags)]
    print(json.dumps(told), flush=True)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        command = json.loads(line)
        tunnels, answer = nodes[command["node"]], {}
        if command["do"] == "know":
            flags = [1 << bit for bit in range(4) if command["flags"] >> bit & 1]
            for one in nodes if command["all"] else [tunnels]:
                know(one, bytes.fromhex(command["key"]), ("127.0.0.1", command["port"]), flags)
        elif command["do"] == "only":
            for peer in list(tunnels.candidates):
                if peer.public_key.key_to_bin().hex() not in command["keys"]:
                    tunnels.candidates.pop(peer)
        elif command["do"] == "build":
            circuit = tunnels.create_circuit(command["hops"])
            try:
                await asyncio.wait_for(asyncio.shield(circuit.ready), 8)
            except asyncio.TimeoutError:
                pass
            answer = {"state": circuit.state, "id": circuit.circuit_id,
                      "hops": [hop.public_key.key_to_bin().hex() if hasattr(hop, "public_key") else "" for hop in circuit.hops]}
        elif command["do"] == "through":
            answer = await through(tunnels, command["hops"], ("127.0.0.1", command["port"]), bytes.fromhex(command["data"]))
        elif command["do"] == "seed":
            info_hash = bytes.fromhex(command["info_hash"])
            if info_hash not in tunnels.swarms:
                tunnels.join_swarm(info_hash, command["hops"])
            if not circuits(tunnels, "IP_SEEDER"):
                await tunnels.create_introduction_point(info_hash)
            await patience(lambda: command.get("alone") or any(n.intro_point_for for n in nodes))
            for one in nodes:
                for seeder in one.intro_point_for:
                    answer = {"key": one.my_peer.public_key.key_to_bin().hex(), "port": one.address[1], "seeder": seeder.hex()}
        elif command["do"] == "contact":
            info_hash = bytes.fromhex(command["info_hash"])
            peer = Peer(default_eccrypto.key_from_public_bin(bytes.fromhex(command["key"])), ("127.0.0.1", command["port"]))
            point = IntroductionPoint(peer, bytes.fromhex(command["seeder"]))
            answer = await contact(tunnels, info_hash, command["hops"], point, bytes.fromhex(command["data"] or ""))
        elif command["do"] == "introduces":
            answer = {"seeders": [seeder.hex() for one in nodes for seeder in one.intro_point_for]}
        elif command["do"] == "download":
            if command["id"] is None:
                target = linked[0]
                circuit = tunnels.circuits[tunnels.ip_to_circuit_id(target[0])]
            else:
                target = ("127.0.0.1", command["port"])
                circuit = tunnels.circuits[command["id"]]
            downloads[circuit.circuit_id] = Download(tunnels, circuit, target, command["window"])
            answer = await downloads[circuit.circuit_id].run(command["seconds"])
            del downloads[circuit.circuit_id]
        elif command["do"] == "counts":
            answer = {"relays": len(tunnels.relay_from_to), "exits": len(tunnels.exit_sockets), "circuits": len(tunnels.circuits)}
        elif command["do"] == "ping":
            tunnels.do_ping()
        print(json.dumps(answer), flush=True)


asyncio.run(main())
