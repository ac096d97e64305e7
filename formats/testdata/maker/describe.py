"""What a server says that it holds: the expected contents of a file, apart from any decoder of files."""

MAX_UNIT = 64  # bytes that are looked at as the repeated part of a long string


def text(value):
    """Hexadecimal; a long periodic string is `unit*count+rest`, see README.md."""
    if len(value) > 2 * MAX_UNIT:
        for size in range(1, MAX_UNIT + 1):
            count = len(value) // size
            if value[: size * count] == value[:size] * count:
                rest = value[size * count :]
                return "%s*%d" % (value[:size].hex(), count) + ("+" + rest.hex() if rest else "")
    return value.hex()


def pairs(flat):
    return list(zip(flat[::2], flat[1::2]))


def fields_of(flat):
    """A reply of names and values as a dictionary."""
    return {name.decode(): value for name, value in pairs(flat)}


def contents(server, expires_at_ms):
    """Everything in the server, sorted. `expires_at_ms` holds what was set, for servers that only tell what is left."""
    client = server.client
    keys = []
    for db in databases(client):
        client.run("SELECT", db)
        for key in sorted(client.run("KEYS", "*")):
            keys.append(describe_key(client, db, key, expires_at_ms))
    client.run("SELECT", 0)
    return {"functions": functions(client), "keys": keys}


def databases(client):
    lines = client.run("INFO", "keyspace").decode().split("\r\n")
    return sorted(int(line[2 : line.index(":")]) for line in lines if line.startswith("db"))


def describe_key(client, db, key, expires_at_ms):
    kind = client.run("TYPE", key).decode()
    described = {
        "db": db,
        "key": text(key),
        "type": kind,
        "encoding": client.run("OBJECT", "ENCODING", key).decode(),
        "expires_at_ms": expiry(client, key, expires_at_ms.get((db, key))),
    }
    describe = {
        "string": string,
        "list": plain_list,
        "set": plain_set,
        "hash": hash_fields,
        "zset": sorted_set,
        "stream": stream,
    }.get(kind)
    described["value"] = describe(client, key) if describe else None
    return described


def expiry(client, key, was_set):
    at_ms = client.attempt("PEXPIRETIME", key)
    if at_ms is not None:
        return at_ms if at_ms >= 0 else None
    left = client.run("PTTL", key)
    if left < 0:
        return None
    seconds, micros = client.run("TIME")
    now = int(seconds) * 1000 + int(micros) // 1000
    assert abs(now + left - was_set) < 2000, (key, now + left, was_set)
    return was_set


def string(client, key):
    return text(client.run("GET", key))


def plain_list(client, key):
    return [text(element) for element in client.run("LRANGE", key, 0, -1)]


def plain_set(client, key):
    return [text(member) for member in sorted(client.run("SMEMBERS", key))]


def hash_fields(client, key):
    values = sorted(pairs(client.run("HGETALL", key)))
    names = [name for name, _ in values]
    times = client.attempt("HPEXPIRETIME", key, "FIELDS", len(names), *names) or [-1] * len(names)
    return [
        [text(name), text(value), at_ms if at_ms >= 0 else None] for (name, value), at_ms in zip(values, times)
    ]


def sorted_set(client, key):
    """In the server's order; scores as it prints them, which reads back as the same double."""
    return [
        [text(member), score.decode()] for member, score in pairs(client.run("ZRANGE", key, 0, -1, "WITHSCORES"))
    ]


def stream(client, key):
    entries = [
        [entry.decode(), [[text(name), text(value)] for name, value in pairs(flat)]]
        for entry, flat in client.run("XRANGE", key, "-", "+")
    ]
    told = client.attempt("XINFO", "STREAM", key, "FULL", "COUNT", 0)
    if told is None:
        return {"entries": entries, **stream_of_redis_5(client, key)}
    told = fields_of(told)
    described = {"entries": entries, "length": told["length"], "last_id": told["last-generated-id"].decode()}
    described["entries_added"] = told.get("entries-added")
    described["first_id"] = decoded(told.get("recorded-first-entry-id"))
    described["max_deleted_id"] = decoded(told.get("max-deleted-entry-id"))
    described["groups"] = [group(fields_of(flat)) for flat in told["groups"]]
    return described


def decoded(value):
    return value if value is None else value.decode()


def group(told):
    return {
        "name": text(told["name"]),
        "last_id": told["last-delivered-id"].decode(),
        "entries_read": told.get("entries-read"),
        "pending": [
            [entry.decode(), text(consumer), at_ms, times] for entry, consumer, at_ms, times in pending_of(told)
        ],
        "consumers": [consumer(fields_of(flat)) for flat in told["consumers"]],
    }


def consumer(told):
    return {
        "name": text(told["name"]),
        "seen_at_ms": told.get("seen-time"),
        "active_at_ms": told.get("active-time"),
        "pending": [entry[0].decode() for entry in pending_of(told)],
    }


def pending_of(told):
    return told["pel"] if "pel" in told else told["pending"]


def forget_what_a_log_does_not_hold(expected, found):
    """Consumers are seen at the time of the replay; Redis 7.0 also loses how many entries a group has read."""
    for was, now in zip(groups_of(expected), groups_of(found)):
        was["entries_read"] = now["entries_read"]
        for consumer in was["consumers"] + now["consumers"]:
            consumer["seen_at_ms"] = consumer["active_at_ms"] = None


def groups_of(contents):
    return [group for key in contents["keys"] if key["type"] == "stream" for group in key["value"]["groups"]]


def stream_of_redis_5(client, key):
    """Before `XINFO STREAM FULL` times of delivery and sight are told relative to now: they are left out."""
    told = fields_of(client.run("XINFO", "STREAM", key))
    groups = []
    for found in map(fields_of, client.run("XINFO", "GROUPS", key)):
        name = found["name"]
        pending = client.run("XPENDING", key, name, "-", "+", 10000)
        consumers = sorted(fields_of(flat)["name"] for flat in client.run("XINFO", "CONSUMERS", key, name))
        groups.append({
            "name": text(name),
            "last_id": found["last-delivered-id"].decode(),
            "entries_read": None,
            "pending": [[entry.decode(), text(owner), None, times] for entry, owner, _, times in pending],
            "consumers": [
                {
                    "name": text(consumer),
                    "seen_at_ms": None,
                    "active_at_ms": None,
                    "pending": [entry.decode() for entry, owner, _, _ in pending if owner == consumer],
                }
                for consumer in consumers
            ],
        })
    return {
        "length": told["length"],
        "last_id": told["last-generated-id"].decode(),
        "entries_added": None,
        "first_id": None,
        "max_deleted_id": None,
        "groups": groups,
    }


def functions(client):
    libraries = client.attempt("FUNCTION", "LIST", "WITHCODE") or []
    found = [fields_of(library) for library in libraries]
    return sorted(
        ({"name": text(library["library_name"]), "code": text(library["library_code"])} for library in found),
        key=lambda library: library["name"],
    )
