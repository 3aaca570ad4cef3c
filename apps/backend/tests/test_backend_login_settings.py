"""Login providers and cookies as an operator sets them, and what is said of what cannot be."""

import json
from pathlib import Path
from typing import Any

import pytest

from aicd_backend.login_providers import GithubProvider, OidcProvider
from aicd_backend.settings import BackendSettings
from aicd_backend.testing.world import KEYS
from aicd_core.errors import InvalidInputError

ACME: dict[str, Any] = {"name": "acme", "issuer": "https://login.acme.example", "client_id": "aicd"}
HUB: dict[str, Any] = {"name": "github", "kind": "github", "client_id": "Iv1.x", "client_secret": "hunter" + "2"}


def load(monkeypatch: pytest.MonkeyPatch, providers: Any, **variables: str | None) -> BackendSettings:
    text = providers if isinstance(providers, str) else json.dumps(providers)
    given = {"PUBLIC_URL": "https://api.test", "SECRET_KEYS": KEYS.get_secret_value(), "LOGIN_PROVIDERS": text}
    for name, value in (given | variables).items():
        if value is not None:
            monkeypatch.setenv(f"AICD_{name}", value)
    return BackendSettings.load()


def test_providers_are_a_list_in_json(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("from a file\n")
    acme, hub = load(monkeypatch, [ACME | {"client_secret_file": str(file)}, HUB]).login_providers
    assert isinstance(acme, OidcProvider)
    assert isinstance(hub, GithubProvider)
    assert (acme.secret, hub.secret) == ("from a file", "hunter" + "2")
    assert (hub.url, hub.api) == ("https://github.com", "https://api.github.com")
    file.write_text("replaced")
    assert acme.secret == "replaced"


def test_an_enterprise_server_has_its_api_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    (hub,) = load(monkeypatch, [HUB | {"url": "https://git.acme.example"}]).login_providers
    assert isinstance(hub, GithubProvider)
    assert hub.api == "https://git.acme.example/api/v3"


@pytest.mark.parametrize(
    ("providers", "variables", "told"),
    [
        ("{", {}, "AICD_LOGIN_PROVIDERS: Value error, it is no JSON"),
        ({"a": 1}, {}, "AICD_LOGIN_PROVIDERS: "),
        ([ACME | {"issuer": "http://login.acme.example"}], {}, "AICD_LOGIN_PROVIDERS (0.oidc.issuer): "),
        ([ACME | {"issuer": "https://user@login.acme.example"}], {}, "must be https://HOST/"),
        ([ACME | {"name": "Acme Inc"}], {}, "(0.oidc.name)"),
        ([ACME | {"sekret": "hunter" + "2"}], {}, "(0.oidc.sekret)"),
        ([{"name": "acme"}], {}, "(0.oidc.issuer): Field required"),
        ([HUB | {"kind": "gitlab"}], {}, "AICD_LOGIN_PROVIDERS (0)"),
        ([HUB | {"url": "https://github.com/"}], {}, "(0.github.url)"),
        ([HUB | {"client_secret_file": "/nowhere"}], {}, "client_secret or client_secret_file, not both"),
        ([ACME | {"client_secret_file": "/nowhere"}], {}, "client_secret_file /nowhere cannot be read"),
        ([ACME, ACME], {}, "two providers have the same name"),
        ([ACME], {"PUBLIC_URL": None}, "needs AICD_PUBLIC_URL"),
        ([ACME], {"SECRET_KEYS": None, "PUBLIC_URL": None}, "needs AICD_PUBLIC_URL and AICD_SECRET_KEYS"),
        ([], {"PUBLIC_URL": "https://api.test/"}, "AICD_PUBLIC_URL: "),
        ([], {"COOKIE_SECURE": "false"}, "AICD_COOKIE_SECURE: "),
        ([], {"COOKIE_SECURE": "false", "PUBLIC_URL": None}, "AICD_COOKIE_SECURE: "),
        ([], {"COOKIE_SECURE": "false", "PUBLIC_URL": "http://api.test"}, "AICD_COOKIE_SECURE: "),
    ],
)
def test_what_cannot_be_used_is_named_and_no_secret_shown(
    providers: Any, variables: dict[str, str | None], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidInputError) as refused:
        load(monkeypatch, providers, **variables)
    assert told in refused.value.message
    assert "hunter2" not in refused.value.message


def test_cookies_without_tls_are_for_one_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, [], COOKIE_SECURE="false", PUBLIC_URL="http://localhost:8080")
    assert (settings.session_cookie, settings.login_cookie) == ("aicd_session", "aicd_login")


def test_no_secret_is_in_the_settings_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "hunter2" not in repr(load(monkeypatch, [HUB]))
