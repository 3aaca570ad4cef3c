"""What Hetzner's provider for Terraform says of its resources, as its version 1.63 documents them.

Only those that deploy/hetzner/terraform has. What is wrong by itself is refused, as the provider does.
"""

import base64
import hashlib
import ipaddress

from terraform_plugin import UNKNOWN, Attribute, RefusedError, Resource, Values

VERSION = "1.63.0"
CONFIGURED = {name: Attribute(optional=True) for name in ("token", "endpoint", "poll_interval", "poll_function")}
WANTED = Attribute(required=True)
FIXED = Attribute(required=True, forces=True)
NUMBER = Attribute("number", required=True)
OPTIONAL = Attribute(optional=True)
GIVEN = Attribute(optional=True, computed=True)
TOLD = Attribute(computed=True)
SWITCH = Attribute("bool", optional=True, default=False)
LABELS = Attribute(["map", "string"], optional=True)


def host_network(given: object, at: str) -> None:
    """RefusedError: no network, or one with bits of a host's."""
    if isinstance(given, str):
        try:
            ipaddress.ip_network(given)
        except ValueError as error:
            raise RefusedError(f"{given} is no network: {error}", at) from error


def _check_firewall(config: Values) -> None:
    for rule in config["rule"] if config["rule"] is not UNKNOWN else []:
        if rule["direction"] not in {"in", "out", UNKNOWN} or rule["protocol"] not in {
            "tcp",
            "udp",
            "icmp",
            "gre",
            "esp",
            UNKNOWN,
        }:
            raise RefusedError("a rule has another direction or protocol", "rule")
        for each in rule["source_ips"] if isinstance(rule["source_ips"], list) else []:
            host_network(each, "rule")


def _check_subnet(config: Values) -> None:
    if config["type"] not in {"cloud", "server", "vswitch", UNKNOWN}:
        raise RefusedError("expected type to be one of cloud, server, vswitch", "type")


def _check_server(config: Values) -> None:
    if config["image"] == "":
        raise RefusedError('"image" must have more than 0 characters', "image")
    for each in config["network"] if config["network"] is not UNKNOWN else []:
        if (each["network_id"] is None) == (each["subnet_id"] is None):
            raise RefusedError("say one of network_id and subnet_id", "network")


def hash_of(user_data: str) -> str:
    """What the state has of user_data."""
    return base64.b64encode(hashlib.sha1(user_data.encode()).digest()).decode()


RESOURCES = {
    "hcloud_ssh_key": Resource(
        {
            "id": TOLD,
            "name": WANTED,
            "public_key": FIXED,
            "fingerprint": TOLD,
            "labels": Attribute(["map", "string"], optional=True, computed=True),
        },
        {},
        legacy=False,
    ),
    "hcloud_network": Resource(
        {
            "id": GIVEN,
            "name": WANTED,
            "ip_range": FIXED,
            "labels": LABELS,
            "delete_protection": SWITCH,
            "expose_routes_to_vswitch": SWITCH,
        },
        {},
        check=lambda config: host_network(config["ip_range"], "ip_range"),
    ),
    "hcloud_network_subnet": Resource(
        {
            "id": GIVEN,
            "network_id": Attribute("number", required=True, forces=True),
            "type": FIXED,
            "network_zone": FIXED,
            "ip_range": FIXED,
            "gateway": TOLD,
            "vswitch_id": Attribute("number", optional=True, forces=True),
        },
        {},
        check=_check_subnet,
    ),
    "hcloud_firewall": Resource(
        {"id": GIVEN, "name": WANTED, "labels": LABELS},
        {
            "rule": {
                "direction": WANTED,
                "protocol": WANTED,
                "port": OPTIONAL,
                "source_ips": Attribute(["set", "string"], optional=True),
                "destination_ips": Attribute(["set", "string"], optional=True),
                "description": OPTIONAL,
            },
            "apply_to": {"server": Attribute("number", optional=True), "label_selector": OPTIONAL},
        },
        check=_check_firewall,
    ),
    "hcloud_volume": Resource(
        {
            "id": GIVEN,
            "name": WANTED,
            "size": NUMBER,
            "location": Attribute(optional=True, computed=True, forces=True),
            "server_id": Attribute("number", optional=True, computed=True),
            "labels": LABELS,
            "linux_device": TOLD,
            "automount": Attribute("bool", optional=True),
            "format": OPTIONAL,
            "delete_protection": SWITCH,
        },
        {},
    ),
    "hcloud_volume_attachment": Resource(
        {
            "id": GIVEN,
            "volume_id": Attribute("number", required=True, forces=True),
            "server_id": Attribute("number", required=True, forces=True),
            "automount": Attribute("bool", optional=True, computed=True),
        },
        {},
    ),
    "hcloud_server": Resource(
        {
            "id": GIVEN,
            "name": WANTED,
            "server_type": WANTED,
            "image": Attribute(optional=True, forces=True),
            "location": Attribute(optional=True, computed=True, forces=True),
            "datacenter": Attribute(optional=True, computed=True, forces=True),
            "user_data": Attribute(optional=True, forces=True),
            "ssh_keys": Attribute(["list", "string"], optional=True, forces=True),
            "keep_disk": SWITCH,
            "allow_deprecated_images": SWITCH,
            "backup_window": Attribute(computed=True, deprecated=True),
            "backups": SWITCH,
            "ipv4_address": TOLD,
            "ipv6_address": TOLD,
            "ipv6_network": TOLD,
            "status": TOLD,
            "iso": OPTIONAL,
            "rescue": OPTIONAL,
            "labels": LABELS,
            "ignore_remote_firewall_ids": SWITCH,
            "firewall_ids": Attribute(["set", "number"], optional=True, computed=True),
            "placement_group_id": Attribute("number", optional=True),
            "delete_protection": SWITCH,
            "rebuild_protection": SWITCH,
            "shutdown_before_deletion": SWITCH,
            "primary_disk_size": Attribute("number", computed=True),
        },
        {
            "public_net": {
                "ipv4_enabled": Attribute("bool", optional=True, default=True),
                "ipv6_enabled": Attribute("bool", optional=True, default=True),
                "ipv4": Attribute("number", optional=True, computed=True),
                "ipv6": Attribute("number", optional=True, computed=True),
            },
            "network": {
                "network_id": Attribute("number", optional=True, computed=True, deprecated=True),
                "subnet_id": GIVEN,
                "ip": GIVEN,
                "alias_ips": Attribute(["set", "string"], optional=True, computed=True),
                "mac_address": TOLD,
            },
        },
        check=_check_server,
        hashed={"user_data": hash_of},
    ),
}
