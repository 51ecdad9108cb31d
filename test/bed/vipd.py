#!/usr/bin/env python3
"""vipd.py - service addresses (VIP) and ingress ports for the nodes of a lab, on a kernel without IPVS.

Without IPVS an engine still allocates the addresses, answers DNS with them and keeps a load-balancer namespace for
each overlay network (lb_xxx, ingress_sbox), but forwards nothing: connections to an address hang, ingress ports
refuse. This loop does from outside, with nftables, what IPVS would do; the engines are untouched:

  lb_xxx           owns every service address of the network: DNAT to a random task, masqueraded
  ingress_sbox     DNAT from a published port to a random task's target port, masqueraded
  the node itself  DNAT from a published port on any local address to ingress_sbox

It knows what each node knows, GET /networks/ID?verbose=true, and looks every second. It is not IPVS: random instead of
round robin, no draining of connections, about a second late, and a port is published for TCP and UDP alike. Tests must
not measure how load is balanced.

Environment: LAB_ROOT. Runs until it is killed; nodes may come and go.
"""
import http.client
import json
import os
import pathlib
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(os.environ["LAB_ROOT"])
PERIOD = 1.0  # seconds

TABLE = """table ip vipd
delete table ip vipd
table ip vipd {{
  chain prerouting {{
    type nat hook prerouting priority -110;
{prerouting}
  }}
  chain output {{
    type nat hook output priority -110;
{output}
  }}
  chain postrouting {{
    type nat hook postrouting priority 90;
    {postrouting}
  }}
}}
"""


class Engine(http.client.HTTPConnection):
    """The API of a node's engine."""

    def __init__(self, node):
        super().__init__("engine", timeout=5)
        self.path = str(ROOT / "nodes" / node / "docker.sock")

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)

    def get(self, path):
        self.request("GET", path)
        response = self.getresponse()
        body = response.read()
        if response.status != 200:
            raise OSError(f"{path}: {body[:200]}")
        return json.loads(body)

    def overlays(self):
        """The overlay networks this node knows, each with its services and tasks."""
        found = self.get("/networks?filters=%7B%22driver%22%3A%5B%22overlay%22%5D%7D")
        return [self.get(f"/networks/{network['Id']}?verbose=true") for network in found]


class Namespace:
    """A network namespace, entered by the path of its file."""

    def __init__(self, path):
        self.path = str(path)

    def inode(self):
        return os.stat(self.path).st_ino

    def run(self, *command, text=None):
        return subprocess.run(["nsenter", f"--net={self.path}", *command], input=text, capture_output=True, text=True,
                              check=False)

    def address(self, device):
        """The IPv4 address of the device, or None."""
        fields = self.run("ip", "-4", "-br", "addr", "show", "dev", device).stdout.split()
        return fields[2].split("/")[0] if len(fields) > 2 else None


def task_addresses(service):
    return sorted(t["EndpointIP"] for t in service.get("Tasks") or [] if t.get("EndpointIP"))


def published_ports(service):
    """(published, target) of each port; the engine shows them as 'Target: 80, Publish: 8080'."""
    for port in service.get("Ports") or []:
        fields = dict(field.split(": ", 1) for field in port.split(", "))
        yield int(fields["Publish"]), int(fields["Target"])


def dnat(addresses, port=""):
    if len(addresses) == 1:
        return f"dnat to {addresses[0]}{port}"
    choices = ", ".join(f"{i} : {address}" for i, address in enumerate(addresses))
    return f"dnat ip to numgen random mod {len(addresses)} map {{ {choices} }}{port}"


def table(prerouting, output, postrouting):
    return TABLE.format(prerouting="\n".join(prerouting), output="\n".join(output), postrouting=postrouting)


def balancer_rules(services):
    """What a network's load-balancer namespace needs: (addresses it owns, rules)."""
    owned, rules = [], []
    for name, service in sorted(services.items()):
        tasks = task_addresses(service)
        if name and service.get("VIP") and tasks:
            owned.append(service["VIP"])
            rules.append(f"    ip daddr {service['VIP']} {dnat(tasks)}")
    return owned, table(rules, [], "oifname eth0 ct status dnat masquerade")


def ingress_rules(services, gateway):
    """The rules of ingress_sbox, whose address in docker_gwbridge is gateway, and those of the node."""
    inside, outside = [], []
    for _, service in sorted(services.items()):
        tasks = task_addresses(service)
        if not (tasks and service.get("VIP")):
            continue
        for published, target in published_ports(service):
            for protocol in ("tcp", "udp"):
                inside.append(f"    iifname eth1 {protocol} dport {published} {dnat(tasks, f':{target}')}")
                outside.append(f"    fib daddr type local {protocol} dport {published} dnat to {gateway}:{published}")
    return (table(inside, [], "oifname eth0 ct status dnat masquerade"),
            table(outside, outside, "oifname docker_gwbridge ct status dnat fib saddr type local masquerade"))


class Node:
    """A node and what was applied to its namespaces so far."""

    def __init__(self, name):
        self.name = name
        self.applied = {}  # inode of a namespace -> (addresses, rules) it has

    def update(self):
        pid = (ROOT / "nodes" / self.name / "init.pid").read_text().strip()
        host = Namespace(f"/proc/{pid}/ns/net")
        namespaces = pathlib.Path(f"/proc/{pid}/root/run/docker/netns")
        seen = set()
        for network in Engine(self.name).overlays():
            if network.get("Ingress"):
                seen |= self.update_ingress(network, host, Namespace(namespaces / "ingress_sbox"))
            else:
                seen |= self.update_balancer(network, Namespace(namespaces / f"lb_{network['Id'][:9]}"))
        # A number is used again for another namespace.
        self.applied = {inode: state for inode, state in self.applied.items() if inode in seen}

    def update_balancer(self, network, balancer):
        if not os.path.exists(balancer.path):
            return set()
        self.apply(balancer, *balancer_rules(network.get("Services") or {}))
        return {balancer.inode()}

    def update_ingress(self, network, host, sandbox):
        gateway = sandbox.address("eth1")
        if not gateway:
            return set()
        inside, outside = ingress_rules(network.get("Services") or {}, gateway)
        self.apply(sandbox, [], inside)
        if self.apply(host, [], outside):
            open_node(host)
        return {sandbox.inode(), host.inode()}

    def apply(self, namespace, owned, rules):
        """Bring a namespace to the wanted state; True when something had to be done and was."""
        inode = namespace.inode()
        had = self.applied.get(inode, ([], ""))
        if had == (owned, rules):
            return False
        for address in set(owned) - set(had[0]):
            namespace.run("ip", "addr", "add", f"{address}/32", "dev", "eth0")
        for address in set(had[0]) - set(owned):
            namespace.run("ip", "addr", "del", f"{address}/32", "dev", "eth0")
        namespace.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        result = namespace.run("nft", "-f", "-", text=rules)
        if result.returncode:  # happens while the engine is still making the namespace: next round
            print(f"vipd: {namespace.path}: {result.stderr.strip()}", file=sys.stderr, flush=True)
            return False
        self.applied[inode] = (owned, rules)
        return True


def open_node(host):
    """Let ingress traffic pass the node: the engine drops what it does not know, and 127.0.0.1 is not routed."""
    rule = ["FORWARD", "-o", "docker_gwbridge", "-m", "conntrack", "--ctstate", "DNAT", "-j", "ACCEPT"]
    if host.run("iptables", "-C", *rule).returncode:
        host.run("iptables", "-I", *rule)
    for device in ("lo", "docker_gwbridge"):
        host.run("sysctl", "-qw", f"net.ipv4.conf.{device}.route_localnet=1")


def main():
    nodes = {}
    while True:
        for name in sorted(p.name for p in (ROOT / "nodes").glob("*") if (p / "init.pid").exists()):
            try:
                nodes.setdefault(name, Node(name)).update()
            except (OSError, ValueError, KeyError, http.client.HTTPException):
                pass  # the node is down, cut off or starting: next round
        time.sleep(PERIOD)


if __name__ == "__main__":
    main()
