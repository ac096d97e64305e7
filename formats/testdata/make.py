#!/usr/bin/env python3
"""Makes RDB files and append-only logs with a real server, and what that server says they hold.

    make.py --server /path/to/redis-server --out formats/testdata/redis-7.0 [--only base,lru]

Each file comes with a `.json` of the same name. Its values are asked of a second server that has loaded the file,
and must be those that the first one had: no file is described that lost something.
"""
import argparse
import json
import os
import shutil
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from maker import dataset, describe
from maker.server import Server, Version

# Long enough for another timestamp in a log, and for the server to find and delete what has expired.
TICK_SECONDS = 1.1

SMALL_NODES = {"list-compress-depth": "1", "list-max-ziplist-size": "4"}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--server", required=True, help="the server's binary")
    arguments.add_argument("--out", required=True, help="folder and first part of the files' names")
    arguments.add_argument("--only", help="kinds of file, separated by commas: " + ", ".join(KINDS))
    chosen = arguments.parse_args()
    version = Version(chosen.server)
    for kind in (chosen.only or ",".join(KINDS)).split(","):
        make, oldest = KINDS[kind]
        if version.at_least(*oldest):
            name = chosen.out if kind == "base" else "%s-%s" % (chosen.out, kind)
            made = make(chosen.server, name)
            print("%-12s %-18s %s" % (version, kind, name if made else "left out"))


def base(path, name):
    """All data, default settings, and one key whose time has passed when the file is written."""
    with Server(path) as server:
        filler = filled(server, dataset.everything)
        expected = describe.contents(server, filler.expires_at_ms)
        filler.attempt("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        server.client.run("SET", "expired", "gone", "PX", 1)
        time.sleep(0.01)
        written = server.version.at_least(5, 0)  # older servers leave such a key out of the file
        return save(server, name, expected, filler, expired=["expired"] if written else [])


def uncompressed(path, name):
    """`rdbcompression no`; list nodes that are compressed in memory are written as they are."""
    settings = {"rdbcompression": "no"}
    if Version(path).at_least(3, 2):
        settings.update(SMALL_NODES)
    with Server(path, settings) as server:
        filler = filled(server, dataset.two_databases)
        server.client.run("RPUSH", "list:nodes", *[dataset.periodic(60 + i) for i in range(24)])
        return save(server, name, describe.contents(server, filler.expires_at_ms), filler)


def no_checksum(path, name):
    """`rdbchecksum no`: the last eight bytes are zero."""
    with Server(path, {"rdbchecksum": "no"}) as server:
        filler = filled(server, dataset.two_databases)
        return save(server, name, describe.contents(server, filler.expires_at_ms), filler)


def idle_times(path, name):
    return with_usage(path, name, "allkeys-lru", "IDLETIME", "idle_seconds", [0, 1, 63, 64, 3600, 16383, 16384, 90000])


def frequencies(path, name):
    return with_usage(path, name, "allkeys-lfu", "FREQ", "frequency", [0, 1, 5, 127, 128, 200, 254, 255])


def with_usage(path, name, policy, option, field, usages):
    """Every key gets its idle time or its frequency by being restored with it."""
    with Server(path, {"maxmemory-policy": policy, "maxmemory": "1gb"}) as server:
        filler = filled(server, dataset.two_databases)
        expected = describe.contents(server, filler.expires_at_ms)
        run = server.client.run
        wanted = [usages[i % len(usages)] for i in range(len(expected["keys"]))]
        for _ in range(10):
            for described, value in zip(expected["keys"], wanted):
                restore(run, described, option, value)
            save(server, name, expected, filler, usage=(field, wanted))
            if usage(run, expected["keys"], option) == wanted:
                return True
        raise SystemExit("%s does not stand still" % option)


def restore(run, described, option, value):
    key = bytes.fromhex(described["key"])
    run("SELECT", described["db"])
    dumped = run("DUMP", key)
    run("RESTORE", key, described["expires_at_ms"] or 0, dumped, "REPLACE", "ABSTTL", option, value)


def usage(run, keys, option):
    found = []
    for described in keys:
        run("SELECT", described["db"])
        found.append(run("OBJECT", option, bytes.fromhex(described["key"])))
    return found


def cluster(path, name):
    """A cluster node of its own: newer servers write what each slot holds."""
    settings = {"cluster-enabled": "yes", "cluster-require-full-coverage": "no"}
    with Server(path, settings) as server:
        server.client.run("CLUSTER", "ADDSLOTS", *range(16384))
        server.wait_for_cluster()
        filler = filled(server, dataset.small)
        for i in range(5):
            server.client.run("SET", "{same slot}%d" % i, i)
        return save(server, name, describe.contents(server, filler.expires_at_ms), filler)


def module(path, name):
    """A value of a module that is part of the server."""
    with Server(path) as server:
        filler = dataset.Filler(server)
        if not dataset.vector_set(filler):
            return False
        return save(server, name, describe.contents(server, filler.expires_at_ms), filler)


def log_of_commands(path, name):
    return log(path, name, preamble("no", Version(path)))


def log_with_preamble(path, name):
    return log(path, name, preamble("yes", Version(path)))


def preamble(yes_or_no, version):
    settings = {"aof-use-rdb-preamble": yes_or_no} if version.at_least(4, 0) else {}
    if version.at_least(7, 0):
        settings["aof-timestamp-enabled"] = "yes"
    return settings


def log_after_failed_rewrite(path, name):
    """A rewrite that was killed leaves a base and two increments."""
    return log(path, name, {"aof-use-rdb-preamble": "yes", "rdb-key-save-delay": 1000000}, Server.fail_to_rewrite_log)


def log(path, name, settings, rewrite=Server.rewrite_log):
    """A rewritten log and what was done after the rewrite."""
    settings = {"appendonly": "yes", "appendfsync": "always", **settings}
    with Server(path, settings) as server:
        filler = filled(server, dataset.two_databases)
        rewrite(server)
        time.sleep(TICK_SECONDS)
        dataset.commands_after_rewrite(filler)
        time.sleep(TICK_SECONDS)
        server.client.run("SET", "last", "command")
        expected = describe.contents(server, filler.expires_at_ms)
        server.stop()
        shutil.rmtree(name, ignore_errors=True)
        os.mkdir(name)
        for found in ("appendonly.aof", "appendonlydir"):
            source = os.path.join(server.folder, found)
            if os.path.isdir(source):
                shutil.copytree(source, os.path.join(name, found))
            elif os.path.exists(source):
                shutil.copy(source, name)
    data = {found: os.path.join(name, found) for found in os.listdir(name)}
    with Server(path, settings, data) as loaded:
        check_and_write(loaded, name, expected, filler)
    return True


KINDS = {
    "base": (base, (2, 8)),
    "uncompressed": (uncompressed, (2, 8)),
    "nochecksum": (no_checksum, (2, 8)),
    "lru": (idle_times, (5, 0)),
    "lfu": (frequencies, (5, 0)),
    "cluster": (cluster, (3, 0)),
    "module": (module, (8, 0)),
    "aof": (log_of_commands, (2, 8)),
    "aof-preamble": (log_with_preamble, (4, 0)),
    "aof-failed-rewrite": (log_after_failed_rewrite, (7, 0)),
}


def filled(server, fill):
    filler = dataset.Filler(server)
    fill(filler)
    return filler


def save(server, name, expected, filler, expired=(), usage=None):
    server.client.run("SAVE")
    shutil.copy(os.path.join(server.folder, "dump.rdb"), name + ".rdb")
    same = {setting: value for setting, value in server.settings.items() if setting.startswith("cluster")}
    data = {"dump.rdb": name + ".rdb"}
    if same:
        data["nodes.conf"] = os.path.join(server.folder, "nodes.conf")
    with Server(server.path, same, data) as loaded:
        if same:
            loaded.wait_for_cluster()
        check_and_write(loaded, name, expected, filler, expired, usage)
    return True


def check_and_write(loaded, name, expected, filler, expired=(), usage=None):
    """Writes what the file loads as; the encodings are those of the server that wrote the file."""
    found = describe.contents(loaded, filler.expires_at_ms)
    if os.path.isdir(name):
        describe.forget_what_a_log_does_not_hold(expected, found)
    assert len(found["keys"]) == len(expected["keys"]), "other keys after loading"
    for was, now in zip(expected["keys"], found["keys"]):
        now["encoding"] = was["encoding"]
        if was != now:
            raise SystemExit("%s: differs after loading:\n%s\n%s" % (name, json.dumps(was), json.dumps(now)))
    assert found["functions"] == expected["functions"], "other functions after loading"
    for i, described in enumerate(found["keys"]):
        if usage:
            described[usage[0]] = usage[1][i]
    head = {
        "server": str(loaded.version),
        "rdb_version": rdb_version(name + ".rdb"),
        "expired_keys": [describe.text(key.encode()) for key in expired],
        "functions": found["functions"],
    }
    write(name + ".json", head, found["keys"])


def rdb_version(file):
    if not os.path.exists(file):
        return None
    with open(file, "rb") as opened:
        return int(opened.read(9).lstrip(b"REDISVALKEY"))


def write(file, head, keys):
    """One line for each key."""
    lines = ["%s: %s" % (json.dumps(name), json.dumps(value)) for name, value in head.items()]
    lines.append('"keys": [\n%s\n]' % ",\n".join(json.dumps(key, separators=(",", ":")) for key in keys))
    with open(file, "w") as opened:
        opened.write("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
