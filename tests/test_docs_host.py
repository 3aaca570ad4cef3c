"""A machine without containers, typed as docs/deploy-hetzner.md has it: its proxy, a second worker, its figures."""

import re
from pathlib import Path

import yaml

from docs_reader import ROOT, Reader, environment_of
from waf_proxy import running

SUDO = 'sudo() { "$@"; }\njournalctl() { cat "$HOME/log"; }\n'
"""A reader who is root already."""
NAMES = {"slug": "shells", "name": "Bash; cat & friends /etc/passwd"}
"""An organization that the rules take for an attack."""
HOST = {"Host": "aicd.example.com"}
RULES = "docker/prometheus/rules"


def reader_at(home: Path) -> Reader:
    """A reader in the folder of this project, whose machine's /etc is his own."""
    for folder in ("aicd", "systemd/system", "default", "prometheus/secrets"):
        (home / "etc" / folder).mkdir(parents=True)
    (home / "etc/aicd/worker.env").write_text("AICD_METRICS_PORT=9464\n")
    standing_in = {
        **{f"/etc/{name}/": f"{home}/etc/{name}/" for name in ("aicd", "systemd", "prometheus", "letsencrypt")},
        "/etc/default/": f"{home}/etc/default/",
        "/srv/acme": f"{home}/acme",
        "sudo deploy/systemd/proxy.sh": f"deploy/systemd/proxy.sh {home}/etc/aicd/proxy",
    }
    return Reader(home, environment_of(home, CHAT_URL="https://chat.example/hook"), standing_in, SUDO, ROOT)


def test_what_the_proxy_refuses_is_found_by_its_id_and_let_through(tmp_path: Path) -> None:
    reader = reader_at(tmp_path)
    reader.run("docs/deploy-hetzner.md", "sudo apt-get install nginx-light")
    written = tmp_path / "etc/aicd/proxy"
    nginx = (written / "nginx.conf").read_text()
    assert "8080" not in nginx + (written / "modsecurity.conf").read_text()
    assert (tmp_path / "etc/aicd/tls/privkey.pem").stat().st_mode & 0o077 == 0
    own = written / "own.conf"
    places = {
        str(own): str(own),
        "/run/credentials/aicd-proxy.service/": f"{tmp_path}/one/",
        "syslog:server=unix:/dev/log,nohostname,tag=aicd_proxy": f"{tmp_path}/access.log",
        f"{written}/": f"{tmp_path}/one/",
    }
    (tmp_path / "one").mkdir()
    with running(tmp_path / "one", written, places) as proxy, proxy.client() as client:
        assert client.get("/v1/me").status_code == 200
        refused = client.post("/v1/organizations", json=NAMES, headers=HOST)
        assert refused.json()["code"] == "blocked"
        (tmp_path / "log").write_text(proxy.log.read_text())
    told = reader.run(
        "docs/deploy-hetzner.md", "sudo journalctl -u aicd-proxy", put={"REQUEST_ID": refused.json()["request_id"]}
    )
    reader.run("docs/deploy-hetzner.md", "sudo tee -a /etc/aicd/proxy/own.conf")
    shown = re.findall(r"ruleRemoveTargetById=(\d+);(\S+?)[,\"]", own.read_text())
    assert re.findall(r'id "(\d+)"', told) == [*(rule for rule, _ in shown), "949110"]
    assert {f"variable `{field}'" for _, field in shown} < set(told.splitlines())

    reader.shell(f"deploy/systemd/proxy.sh {written}")  # as after an upgrade
    (tmp_path / "two").mkdir()
    places = {old: new.replace(f"{tmp_path}/one/", f"{tmp_path}/two/") for old, new in places.items()}
    with running(tmp_path / "two", written, places) as proxy, proxy.client() as client:
        assert client.post("/v1/organizations", json=NAMES, headers=HOST).status_code == 200
        other = client.post("/v1/organizations", json=NAMES | {"slug": NAMES["name"]}, headers=HOST)
        assert other.json()["code"] == "blocked"


def test_a_renewed_certificate_gets_to_the_proxy(tmp_path: Path) -> None:
    reader = reader_at(tmp_path)
    reader.run("docs/deploy-hetzner.md", "sudo apt-get install certbot")
    (tmp_path / "cert").mkdir()
    (tmp_path / "etc/aicd/tls").mkdir()
    for name in ("fullchain.pem", "privkey.pem"):
        (tmp_path / "cert" / name).write_text("new")
    hook = tmp_path / "etc/letsencrypt/renewal-hooks/deploy/aicd"
    told = f'systemctl() {{ echo "$*" >"$HOME/told"; }}; export -f systemctl; export RENEWED_LINEAGE={tmp_path}/cert'
    reader.shell(f"{told}; bash {hook}")
    assert hook.stat().st_mode & 0o111
    assert (tmp_path / "told").read_text() == "restart aicd-proxy\n"
    unit = (ROOT / "deploy/systemd/aicd-proxy.service").read_text()
    for name in ("fullchain.pem", "privkey.pem"):
        assert (tmp_path / "etc/aicd/tls" / name).read_text() == "new"
        assert f"LoadCredential={name}:/etc/aicd/tls/{name}\n" in unit


def test_prometheus_of_the_machine_asks_both_workers_and_has_the_rules(tmp_path: Path) -> None:
    reader = reader_at(tmp_path)
    reader.run("docs/deploy-hetzner.md", "sudo sed s/9464/9467/")
    unit = (tmp_path / "etc/systemd/system/aicd-worker-2.service").read_text()
    assert "EnvironmentFile=-/etc/aicd/worker-2.env\n" in unit
    second = (tmp_path / "etc/aicd/worker-2.env").read_text().strip().partition("=")[2]

    assert "SUCCESS" in reader.run("docs/deploy-hetzner.md", "sudo apt-get install --no-install-recommends prometheus")
    place = tmp_path / "etc/prometheus"
    config = yaml.safe_load((place / "prometheus.yml").read_text())
    (rules,) = config["rule_files"]
    assert len(list(place.parents[1].glob(rules.removeprefix("/")))) == len(list((ROOT / RULES).iterdir()))
    asked = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    compose = yaml.safe_load((ROOT / "docker/prometheus/prometheus.yml").read_text())
    assert set(asked) == {job["job_name"] for job in compose["scrape_configs"]} - {"loki", "alloy", "tempo"}
    (alertmanager,) = config["alerting"]["alertmanagers"]
    assert alertmanager["static_configs"][0]["targets"] == asked["alertmanager"]
    (others,) = yaml.safe_load((place / "workers.yml").read_text())
    assert others["targets"] == [f"localhost:{second}"]
    told = dict(re.findall(r"AICD_METRICS_PORT=(\d+).*>\.\./(\w+)\.env", (ROOT / "docs/deploy-hetzner.md").read_text()))
    for port, name in told.items():
        assert asked[f"aicd-{name}"] == [f"localhost:{port}"]
    assert set(told.values()) == {"api", "worker", "backup"}
    files = re.findall(r"_file: (\S+)", (place / "alertmanager.yml").read_text())
    assert {Path(file).parent for file in files} == {place / "secrets"}
    assert (place / "secrets/alert_chat_url").read_text() == "https://chat.example/hook"
