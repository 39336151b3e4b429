"""OpenStack Swift for tests: a real one, from PyPI, in an environment of its own that scripts/setup makes."""

import signal
from pathlib import Path
from urllib.request import Request, urlopen

from tests.servers import PASSWORD, ROOT, Server, program

USER = "freehold:images"
NODE = Path(__file__).with_name("swift_node.py")


class SwiftServer(Server):
    """Swift with the container `images`: by its own API, and by S3's at `s3_url`. What it keeps ends with it."""

    def __init__(self) -> None:
        python = program(str(ROOT / ".venv" / "swift" / "bin" / "python"))
        super().__init__("swift")
        self.address = f"http://127.0.0.1:{self.port}"
        self.auth = f"{self.address}/auth/v1.0"
        self.url = f"swift://images/some/cloud?auth={self.auth}&user={USER}"
        self.s3_url = f"s3://images/some/cloud?endpoint={self.address}&region=us-east-1"
        self.s3_secrets = self.folder / "s3.toml"
        self.s3_secrets.write_text(f'access_key_id = "{USER}"\nsecret_access_key = "{PASSWORD}"\n')
        self.s3_secrets.chmod(0o600)
        self.run(python, str(NODE), str(self.folder), str(self.port), PASSWORD, answers=self._container)

    def _container(self) -> None:
        self.ask("PUT", "images")

    def ask(self, method: str, path: str, **headers: str) -> bytes:
        """What it answers about a path of the account, to one who goes past Freehold."""
        account, token = self.entered()
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        asked = Request(f"{account}/{path}", method=method, headers={"X-Auth-Token": token, **given})
        with urlopen(asked, timeout=5) as answer:
            return bytes(answer.read())

    def names(self, owner: str) -> list[str]:
        """Of all objects of an owner of images."""
        listed = self.ask("GET", f"images?prefix=some/cloud/{owner}").decode().splitlines()
        return [name.removeprefix(f"some/cloud/{owner}") for name in listed]

    def entered(self) -> tuple[str, str]:
        """The account's URL and a token."""
        asked = Request(self.auth, headers={"X-Auth-User": USER, "X-Auth-Key": PASSWORD})
        with urlopen(asked, timeout=5) as answer:
            return answer.headers["X-Storage-Url"], answer.headers["X-Auth-Token"]

    def forget_tokens(self) -> None:
        """Every token has run out."""
        self._tell(signal.SIGHUP)
