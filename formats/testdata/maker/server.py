"""A server of its own in a temporary folder, and a client that speaks RESP2 to it."""
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

# What a server answers when it is too old (or too different) for a command or a setting.
UNSUPPORTED = re.compile("unknown command|unknown (debug )?subcommand|syntax error, try|try .* help", re.IGNORECASE)

START_SECONDS = 10
REWRITE_SECONDS = 30


class ServerError(Exception):
    """An error reply."""


def encode(argument):
    if isinstance(argument, bytes):
        return argument
    return str(argument).encode()


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.stream = self.socket.makefile("rb")

    def run(self, *arguments):
        """The reply; an error reply is raised."""
        parts = [encode(argument) for argument in arguments]
        request = b"*%d\r\n" % len(parts)
        for part in parts:
            request += b"$%d\r\n%s\r\n" % (len(part), part)
        self.socket.sendall(request)
        reply = self._reply()
        if isinstance(reply, ServerError):
            raise reply
        return reply

    def attempt(self, *arguments):
        """As `run`, but `None` when this server does not know the command."""
        try:
            return self.run(*arguments)
        except ServerError as error:
            if UNSUPPORTED.search(str(error)):
                return None
            raise

    def _reply(self):
        line = self.stream.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b"-":
            return ServerError(rest.decode(errors="replace"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.stream.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return None if rest == b"-1" else [self._reply() for _ in range(int(rest))]
        raise ConnectionError("not RESP: %r" % line)


class Version:
    """The product's own version, and that of the Redis whose commands and settings it has."""

    def __init__(self, path):
        text = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
        self.product = "valkey" if text.startswith("Valkey") else "redis"
        self.text = re.search(r"v=([0-9.]+)", text).group(1)
        own = tuple(int(part) for part in self.text.split("."))
        self.redis = (7, 2, 4) if self.product == "valkey" else own

    def at_least(self, *wanted):
        return self.redis >= wanted

    def __str__(self):
        return "%s %s" % (self.product, self.text)


class Server:
    """Runs `path` with `settings` (name → text, written to a configuration file) until the `with` block ends.

    `data` maps names in the server's folder to files and folders that it starts with.
    """

    def __init__(self, path, settings=(), data=()):
        self.path = path
        self.version = Version(path)
        self.folder = tempfile.mkdtemp(prefix="testdata-")
        self.port = free_port()
        self.settings = {"port": self.port, "bind": "127.0.0.1", "save": '""', "dir": self.folder}
        if self.version.at_least(7, 0):
            self.settings["enable-debug-command"] = "yes"
        self.settings.update(settings)
        for name, source in dict(data).items():
            copy = shutil.copytree if os.path.isdir(source) else shutil.copy
            copy(source, os.path.join(self.folder, name))

    def __enter__(self):
        configuration = os.path.join(self.folder, "server.conf")
        with open(configuration, "w") as file:
            file.writelines("%s %s\n" % setting for setting in self.settings.items())
        self.log = open(os.path.join(self.folder, "log"), "w")
        self.process = subprocess.Popen(
            [self.path, configuration], stdout=self.log, stderr=self.log, cwd=self.folder
        )
        self._wait_until_loaded()
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder)

    def _wait_until_loaded(self):
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.client = Client(self.port)
                self.client.run("SELECT", 0)
                self.client.run("PING")
                self.client.run("RANDOMKEY")
                return
            except (OSError, ServerError):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    with open(os.path.join(self.folder, "log")) as log:
                        raise SystemExit("%s did not start:\n%s" % (self.path, log.read()))
                time.sleep(0.05)

    def wait_for_cluster(self):
        while b"cluster_state:ok" not in self.client.run("CLUSTER", "INFO"):
            time.sleep(0.1)

    def stop(self):
        """An orderly end without a snapshot: what was appended to the log is written out."""
        try:
            self.client.run("SHUTDOWN", "NOSAVE")
        except ConnectionError:
            pass
        self.process.wait(timeout=10)

    def rewrite_log(self):
        self.client.run("BGREWRITEAOF")
        assert b"aof_last_bgrewrite_status:ok" in self._end_of_rewrite()

    def fail_to_rewrite_log(self):
        self.client.run("BGREWRITEAOF")
        children = "/proc/%d/task/%d/children" % (self.process.pid, self.process.pid)
        with open(children) as file:
            os.kill(int(file.read()), signal.SIGKILL)
        assert b"aof_last_bgrewrite_status:err" in self._end_of_rewrite()

    def _end_of_rewrite(self):
        deadline = time.monotonic() + REWRITE_SECONDS
        while True:
            state = self.client.run("INFO", "persistence")
            if b"aof_rewrite_in_progress:0" in state and b"aof_rewrite_scheduled:0" in state:
                return state
            assert time.monotonic() < deadline, "the rewrite does not end"
            time.sleep(0.05)


def free_port():
    """A port with room above it: a cluster node also listens 10 000 higher."""
    for port in range(21000, 29000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise SystemExit("no free port")
