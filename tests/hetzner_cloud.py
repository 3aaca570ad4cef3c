"""Hetzner's cloud, stood in for by a file, and the program that Terraform starts as Hetzner's provider.

It makes what it is asked for up: numbers, addresses, devices. It refuses what Hetzner's API is known to refuse. That
something is let through here does not say that Hetzner lets it through.
"""

import base64
import binascii
import hashlib
import ipaddress
import json
import os
import re
import threading
from pathlib import Path
from typing import Any

from hetzner_schemas import CONFIGURED, RESOURCES
from terraform_plugin import UNKNOWN, Provider, RefusedError, Values, serve

PLACE = "HETZNER_CLOUD"
"""The variable that names the cloud's file."""
MEMORY = {"cpx22": 4, "cpx32": 8, "cpx42": 16, "cpx52": 24, "cpx62": 32, "cx23": 4, "cx33": 8, "cx43": 16, "cx53": 32}
"""In GB, of the types that can be ordered in Europe. cx22 to cx52 and cpx11 to cpx51 cannot any more, since 2026."""
LOCATIONS = {"fsn1", "nbg1", "hel1"}
IMAGES = {"debian-12", "debian-13", "ubuntu-24.04"}
USER_DATA_MAX = 32 * 1024
VOLUME_MIN = 10
TOKEN_LENGTH = 64
FIRST_ADDRESS = ipaddress.ip_address("203.0.113.10")


class HetznerCloud:
    """What was made, by kind and id; user_data as it was given, by the machine's name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self.made: dict[str, dict[str, Values]] = {kind: {} for kind in RESOURCES}
        self.user_data: dict[str, str] = {}
        if path.exists():
            told = json.loads(path.read_text())
            self.made, self.user_data = told["made"], told["user_data"]

    def named(self, kind: str) -> dict[str, Values]:
        """What there is of a kind, by name."""
        return {each["name"]: each for each in self.made[kind].values()}

    def save(self) -> None:
        self._path.write_text(json.dumps({"made": self.made, "user_data": self.user_data}, indent=1))

    def configure(self) -> None:
        if len(os.environ.get("HCLOUD_TOKEN", "")) != TOKEN_LENGTH:
            raise RefusedError(f"entered token is invalid (must be exactly {TOKEN_LENGTH} characters long)")

    def read(self, kind: str, state: Values) -> Values | None:
        with self._lock:
            return self.made[kind].get(state["id"])

    def create(self, kind: str, planned: Values, config: Values) -> Values:
        with self._lock:
            if planned.get("name") in {each.get("name", "") for each in self.made[kind].values()}:
                raise RefusedError(f"{planned['name']} is used already (uniqueness_error)", "name")
            number = str(sum(len(each) for each in self.made.values()) + 1000001)
            told = getattr(self, f"_{kind.removeprefix('hcloud_')}")(number, planned)
            state = {name: told.get(name) if value is UNKNOWN else value for name, value in planned.items()} | told
            self.made[kind][state["id"]] = state
            if kind == "hcloud_server":
                self.user_data[state["name"]] = config["user_data"]
            self.save()
            return state

    def update(self, kind: str, planned: Values) -> Values:
        with self._lock:
            self._equally_protected(planned)
            self.made[kind][planned["id"]] = planned
            self.save()
            return planned

    def delete(self, kind: str, state: Values) -> None:
        with self._lock:
            there = self.made[kind].get(state["id"], {})
            if there.get("delete_protection"):
                raise RefusedError(f"{there['name']} is delete protected (protected)")
            self.made[kind].pop(state["id"], None)
            if kind == "hcloud_volume_attachment":
                self._one("hcloud_volume", state["volume_id"], "volume_id")["server_id"] = None
            self.save()

    def _one(self, kind: str, number: Any, at: str) -> Values:
        if (found := self.made[kind].get(str(number))) is None:
            raise RefusedError(f"{kind} {number} not found (not_found)", at)
        return found

    def _equally_protected(self, values: Values) -> None:
        if values.get("rebuild_protection", values.get("delete_protection")) != values.get("delete_protection"):
            raise RefusedError("delete and rebuild protection must be the same (invalid_input)", "delete_protection")

    def _ssh_key(self, number: str, planned: Values) -> Values:
        try:
            kind, key = planned["public_key"].split()[:2]
            data = base64.b64decode(key, validate=True)
        except (ValueError, binascii.Error) as error:
            raise RefusedError("SSH public key is not valid (invalid_input)", "public_key") from error
        if kind.encode() not in data:
            raise RefusedError("SSH public key is not valid (invalid_input)", "public_key")
        return {"id": number, "fingerprint": hashlib.md5(data).digest().hex(":"), "labels": {}}

    def _network(self, number: str, planned: Values) -> Values:
        if not ipaddress.ip_network(planned["ip_range"]).is_private:
            raise RefusedError("ip_range is not of RFC 1918 (invalid_input)", "ip_range")
        return {"id": number}

    def _network_subnet(self, number: str, planned: Values) -> Values:
        whole = ipaddress.ip_network(self._one("hcloud_network", planned["network_id"], "network_id")["ip_range"])
        if not ipaddress.ip_network(planned["ip_range"]).subnet_of(whole):
            raise RefusedError("ip_range is outside of the network (invalid_input)", "ip_range")
        return {"id": f"{planned['network_id']}-{planned['ip_range']}", "gateway": str(whole[1])}

    def _firewall(self, number: str, planned: Values) -> Values:
        for rule in planned["rule"]:
            if rule["protocol"] in {"tcp", "udp"} and not rule["port"]:
                raise RefusedError("a rule for tcp or udp has no port (invalid_input)", "rule")
            if not rule["source_ips" if rule["direction"] == "in" else "destination_ips"]:
                raise RefusedError("a rule has no networks (invalid_input)", "rule")
        return {"id": number}

    def _volume(self, number: str, planned: Values) -> Values:
        if planned["size"] < VOLUME_MIN:
            raise RefusedError(f"size is below {VOLUME_MIN} (invalid_input)", "size")
        if planned["format"] not in {None, "ext4", "xfs"} or planned["location"] not in LOCATIONS:
            raise RefusedError("there is no such format or location (invalid_input)", "format")
        return {"id": number, "linux_device": f"/dev/disk/by-id/scsi-0HC_Volume_{number}"}

    def _volume_attachment(self, number: str, planned: Values) -> Values:
        volume = self._one("hcloud_volume", planned["volume_id"], "volume_id")
        server = self._one("hcloud_server", planned["server_id"], "server_id")
        if volume["location"] != server["location"] or volume["server_id"]:
            raise RefusedError("the volume is elsewhere, or attached already (invalid_input)", "volume_id")
        volume["server_id"] = planned["server_id"]
        return {"id": str(planned["volume_id"])}

    def _server(self, number: str, planned: Values) -> Values:
        if not re.fullmatch(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?", planned["name"]):
            raise RefusedError(f"{planned['name']} is no hostname (invalid_input)", "name")
        if planned["server_type"] not in MEMORY:
            raise RefusedError(f"Server Type {planned['server_type']} can not be ordered", "server_type")
        if planned["image"] not in IMAGES or planned["location"] not in LOCATIONS:
            raise RefusedError("there is no such image or location (invalid_input)", "image")
        self._equally_protected(planned)
        for kind, numbers in {
            "hcloud_ssh_key": planned["ssh_keys"],
            "hcloud_firewall": planned["firewall_ids"],
        }.items():
            for each in numbers or []:
                self._one(kind, each, "ssh_keys")
        address = FIRST_ADDRESS + len(self.made["hcloud_server"])
        return {
            "id": number,
            "datacenter": f"{planned['location']}-dc3",
            "backup_window": "",
            "ipv4_address": str(address),
            "ipv6_address": f"2001:db8:{number[-4:]}::1",
            "ipv6_network": f"2001:db8:{number[-4:]}::/64",
            "status": "running",
            "primary_disk_size": 40,
            "network": [self._attached(number, each) for each in planned["network"]],
        }

    def _attached(self, number: str, block: Values) -> Values:
        """The machine in a network; what was not said of it is zero in the state, as the older kit has it."""
        subnets = self.made["hcloud_network_subnet"].values()
        there = [
            each for each in subnets if block["subnet_id"] == each["id"] or block["network_id"] == each["network_id"]
        ]
        if not there:
            raise RefusedError("no subnet or IP available (no_subnet_available)", "network")
        inside = ipaddress.ip_network(there[-1]["ip_range"])
        taken = {each["ip"] for server in self.made["hcloud_server"].values() for each in server["network"]}
        if block["ip"] is UNKNOWN or ipaddress.ip_address(block["ip"]) not in inside or block["ip"] in taken:
            raise RefusedError(f"{block['ip']} is not free in {inside} (ip_not_available)", "network")
        zero = {
            "network_id": 0,
            "subnet_id": "",
            "alias_ips": [],
            "mac_address": f"86:00:00:{number[-6:-4]}:{number[-4:-2]}:{number[-2:]}",
        }
        return {name: zero[name] if value is UNKNOWN else value for name, value in block.items()}


def main() -> None:
    """Serves until Terraform is done."""
    serve(Provider(CONFIGURED, RESOURCES, HetznerCloud(Path(os.environ[PLACE]))))
