"""Apps: themselves, their installations, their tokens, and how one is made of a manifest."""

from aicd_github.testing.github.asking import RefusedError, minted
from aicd_github.testing.github.calls import Call, Reply
from aicd_github.testing.github.shapes import stamp
from aicd_github.testing.github.state import Installation


def get_app(call: Call) -> Reply:
    return Reply(call.shapes.app(call.who.require_app()))


def get_installation(call: Call) -> Reply:
    return Reply(call.shapes.installation(_installation(call)))


def installation_of_repository(call: Call) -> Reply:
    app = call.who.require_app()
    repo = call.world.repository(call.path["owner"], call.path["repo"])
    for installed in call.world.installations:
        if repo and installed.app is app and repo.id in installed.repositories and not installed.removed:
            return Reply(call.shapes.installation(installed))
    raise RefusedError(404, "Not Found")


def create_token(call: Call) -> Reply:
    token = minted(_installation(call), call.sent, call.world.repositories)
    call.world.tokens.append(token)
    chosen = [call.shapes.repository(repo) for repo in call.world.repositories if repo.id in token.repositories]
    told = {"token": token.secret, "expires_at": stamp(token.expires_at), "permissions": token.permissions}
    return Reply(told | {"repository_selection": "selected", "repositories": chosen}, 201)


def convert_manifest(call: Call) -> Reply:
    made = call.world.conversions.pop(call.path["code"], None)
    if made is None:
        raise RefusedError(404, "Not Found")
    return Reply(made, 201)


def _installation(call: Call) -> Installation:
    app = call.who.require_app()
    for installed in call.world.installations:
        if installed.id == int(call.path["installation_id"]) and installed.app is app and not installed.removed:
            return installed
    raise RefusedError(404, "Not Found")
