"""What the files hold: small data of every type in every encoding that the server at hand can produce.

Everything is fixed: seeds, ids and points in time. What a server does not know is left out.
"""
import random

from maker.server import encode

EXPIRES_AT_MS = 4102444800123  # 2100-01-01, with odd milliseconds so that a rounding shows
DELIVERED_AT_MS = 1600000000000
BINARY_KEY = b"binary\x00\xff\r\n key"

# The edges of the integer encodings of intsets, ziplists, listpacks and of RDB's own strings.
EDGES = [0, 1, 12, 13, 63, 64, 127, 128, 255, 256, 4095, 4096, 8191, 8192, 32767, 32768, 65535, 65536]
EDGES += [8388607, 8388608, 2147483647, 2147483648, 9223372036854775807]
INTEGERS = sorted(set(EDGES + [-edge for edge in EDGES] + [-9223372036854775808]))

SCORES = ["-inf", "-1e300", "-2.5", "-0.0", "0", "0.1", "0.30000000000000004", "1", "3.0000000000000001e-05"]
SCORES += ["5e-324", "1234567890123456789", "1e300", "1.7976931348623157e308", "inf"]


def periodic(length):
    """Bytes that compress well but are no run of one byte."""
    unit = b"the quick brown fox jumps over the lazy dog, and then again; "
    return (unit * (length // len(unit) + 1))[:length]


def words(length, seed):
    """Text that compresses with many short back references."""
    source = random.Random(seed)
    vocabulary = [b"log", b"frame", b"segment", b"key", b"space", b"value", b"shard", b"snapshot", b"sync"]
    text = b" ".join(source.choice(vocabulary) for _ in range(length))
    return text[:length]


def noise(length, seed):
    """Bytes that do not compress."""
    return random.Random(seed).randbytes(length)


class Filler:
    """Runs commands in one database at a time and remembers the expiry times that it set."""

    def __init__(self, server):
        self.server = server
        self.client = server.client
        self.run = server.client.run
        self.attempt = server.client.attempt
        self.db = 0
        self.expires_at_ms = {}

    def select(self, db):
        self.run("SELECT", db)
        self.db = db

    def expire_at(self, key, at_ms):
        self.run("PEXPIREAT", key, at_ms)
        self.expires_at_ms[self.db, encode(key)] = at_ms

    def with_setting(self, names, value, fill):
        """Runs `fill` while the first setting of `names` that exists has `value`; not at all when none exists."""
        for name in names:
            before = self.run("CONFIG", "GET", name)
            if before:
                self.run("CONFIG", "SET", name, value)
                fill()
                self.run("CONFIG", "SET", name, before[1])
                return


def everything(filler):
    strings(filler)
    lists(filler)
    sets(filler)
    hashes(filler)
    hash_field_expiry(filler)
    sorted_sets(filler)
    streams(filler)
    functions(filler)
    filler.run("SET", "expires", "in 2100")
    filler.expire_at("expires", EXPIRES_AT_MS)
    filler.run("RPUSH", "list:expires", "a")
    filler.expire_at("list:expires", EXPIRES_AT_MS + 1000)
    for db in (1, 9, 15):
        filler.select(db)
        filler.run("SET", "db", db)
        filler.run("SET", "expires", "in db %d" % db)
        filler.expire_at("expires", EXPIRES_AT_MS + db)
    filler.select(0)


def small(filler):
    """A few keys of every type, for the files about something other than values."""
    filler.run("SET", "int", 12345)
    filler.run("SET", "raw", b"\x00\xffraw\r\n")
    filler.run("SET", "compressible", periodic(2000))
    filler.run("RPUSH", "list", "a", "b", "1", "-70000")
    filler.run("SADD", "set:ints", 1, 2, 300)
    filler.run("SADD", "set", "a", "b", "7")
    filler.run("HSET", "hash", "field", "value")
    filler.run("HSET", "hash", "n", "1")
    filler.run("ZADD", "zset", "1.5", "a", "-inf", "b")
    filler.attempt("XADD", "stream", "5-1", "field", "value")
    filler.run("SET", "expires", "in 2100")
    filler.expire_at("expires", EXPIRES_AT_MS)


def two_databases(filler):
    small(filler)
    filler.select(2)
    filler.run("SET", "db", 2)
    filler.select(0)


def strings(filler):
    for number in INTEGERS:
        filler.run("SET", "int:%d" % number, number)
    for text in ("-0", "+1", "007", " 1", "1.0", "9223372036854775808", "-2147483649"):
        filler.run("SET", "almost an int:" + text, text)
    filler.run("SET", "appended int", 12)
    filler.run("APPEND", "appended int", 34)
    filler.run("SET", "empty", b"")
    filler.run("SET", b"", "the empty key")
    filler.run("SET", BINARY_KEY, bytes(range(256)))
    filler.run("SET", "long key:" + "k" * 300, "v")
    for length in (20, 21, 44, 45, 63, 64):
        filler.run("SET", "noise:%d" % length, noise(length, seed=length))
    filler.run("SET", "noise:700", noise(700, seed=1))
    filler.run("SET", "run", b"x" * 300)
    filler.run("SET", "words", words(1500, seed=2))
    filler.run("SET", "periodic:16383", periodic(16383))
    filler.run("SET", "periodic:16384", periodic(16384))
    filler.run("SET", "periodic:100000", periodic(100000))
    filler.run("SETBIT", "bits", 4000, 1)
    filler.run("PFADD", "hyperloglog", *range(20))


def lists(filler):
    filler.run("RPUSH", "list:small", "a", "b", "", b"\x00\xff", noise(40, seed=3))
    filler.run("RPUSH", "list:ints", *INTEGERS)
    filler.run("RPUSH", "list:mixed", *[i if i % 3 else words(20 + i, seed=i) for i in range(600)][:80])
    filler.run("RPUSH", "list:many elements", *["element %d" % i for i in range(600)])
    # An entry behind one of 254 bytes or more has a five byte length of its predecessor.
    filler.run("RPUSH", "list:middle sizes", "a", periodic(253), "b", periodic(254), "c", periodic(5000), "d")
    node_size = ["list-max-listpack-size", "list-max-ziplist-size"]
    filler.with_setting(node_size, 8, lambda: filler.run("RPUSH", "list:many nodes", *range(1000, 1060)))
    big = [b"a", periodic(16383), b"b", periodic(17000), b"c"]
    filler.with_setting(
        node_size + ["list-max-ziplist-value"],
        -5 if filler.server.version.at_least(3, 2) else 20000,
        lambda: filler.run("RPUSH", "list:big elements in one node", *big),
    )
    filler.run("RPUSH", "list:plain node", "a", periodic(9000), "b", periodic(70000))
    packed_threshold = filler.attempt("DEBUG", "QUICKLIST-PACKED-THRESHOLD", "100b")
    if packed_threshold:
        filler.run("RPUSH", "list:plain nodes", "a", periodic(100), noise(101, seed=4), "b", words(150, seed=5))
        filler.run("DEBUG", "QUICKLIST-PACKED-THRESHOLD", "0")

    def compressed():
        filler.with_setting(
            node_size,
            4,
            lambda: filler.run("RPUSH", "list:compressed nodes", *[periodic(60 + i) for i in range(40)]),
        )

    filler.with_setting(["list-compress-depth"], 1, compressed)


def sets(filler):
    filler.run("SADD", "set:intset16", 1, -1, 32767, -32768, 0)
    filler.run("SADD", "set:intset32", 1, -1, 32768, -32769, 2147483647, -2147483648)
    filler.run("SADD", "set:intset64", *INTEGERS)
    filler.run("SADD", "set:small", "a", "b", "", b"\x00\xff", 1, -300, noise(30, seed=6))
    filler.run("SADD", "set:long member", "a", noise(65, seed=7), 2)
    filler.run("SADD", "set:many ints", *range(0, 6000, 10))
    filler.run("SADD", "set:many members", *["member %d" % i for i in range(200)])
    filler.run("SADD", "set:one", "only")


def hashes(filler):
    def fill(key, pairs):
        filler.run("HMSET", key, *[part for pair in pairs for part in pair])

    fill("hash:small", [("field", "value"), ("", "empty field"), ("empty value", ""), (b"\x00", b"\xff")])
    fill("hash:ints", [(number, -number) for number in INTEGERS])
    fill("hash:long value", [("a", noise(65, seed=8)), ("b", 1), (noise(70, seed=9), "c"), ("d", periodic(500))])
    fill("hash:64 byte values", [("f%d" % i, words(63 + i % 2, seed=i)) for i in range(10)])
    fill("hash:many fields", [("field %d" % i, i * i) for i in range(520)])


def hash_field_expiry(filler):
    def expire(key, fields, at_ms):
        return filler.attempt("HPEXPIREAT", key, at_ms, "FIELDS", len(fields), *fields)

    filler.run("HSET", "probe", "f", "v")
    known = expire("probe", ["f"], EXPIRES_AT_MS)
    filler.run("DEL", "probe")
    if not known:
        return
    filler.run("HSET", "hash ttl:small", "a", 1, "b", 2, "c", 3, "d", "four", "e", b"\x00")
    expire("hash ttl:small", ["a"], EXPIRES_AT_MS + 7)
    expire("hash ttl:small", ["b", "d"], EXPIRES_AT_MS)
    filler.run("HSET", "hash ttl:all fields", "a", 1, "b", 2)
    expire("hash ttl:all fields", ["a", "b"], EXPIRES_AT_MS)
    filler.run("HSET", "hash ttl:big", "a", noise(65, seed=10), "b", 2, "c", "3", "d", periodic(300))
    expire("hash ttl:big", ["a", "c"], EXPIRES_AT_MS + 65536)
    expire("hash ttl:big", ["d"], EXPIRES_AT_MS - 1)
    filler.run("HSET", "hash ttl:taken back", "a", 1, "b", 2)
    expire("hash ttl:taken back", ["a"], EXPIRES_AT_MS)
    filler.run("HPERSIST", "hash ttl:taken back", "FIELDS", 1, "a")
    filler.run("HSET", "hash ttl:and key ttl", "a", 1, "b", 2)
    expire("hash ttl:and key ttl", ["a"], EXPIRES_AT_MS)
    filler.expire_at("hash ttl:and key ttl", EXPIRES_AT_MS + 5000)


def sorted_sets(filler):
    def fill(key, pairs):
        filler.run("ZADD", key, *[part for pair in pairs for part in pair])

    fill("zset:scores", [(score, "score " + score) for score in SCORES])
    fill("zset:scores, long member", [(score, "score " + score) for score in SCORES] + [(2, noise(65, seed=11))])
    fill("zset:equal scores", [(7, member) for member in ("b", "a", "", b"\xff", "10", "9")])
    fill("zset:int members", [(i, number) for i, number in enumerate(INTEGERS)])
    fill("zset:many members", [(i * 0.1, "member %d" % i) for i in range(140)])


def streams(filler):
    if filler.attempt("XADD", "stream:one", "1-1", "field", "value") is None:
        return

    def nodes():
        for i in range(35):
            fields = ["a", i, "b", "text %d" % i]
            if i % 5 == 4:
                fields = ["other", -i, "", b"\x00\xff", "x%d" % i, noise(20, seed=i)]
            filler.run("XADD", "stream:nodes", "%d-%d" % (1000 + i * i * 1000, i % 3), *fields)

    filler.with_setting(["stream-node-max-entries"], 10, nodes)
    for i in (0, 3, 4, 11, 34):
        filler.run("XDEL", "stream:nodes", "%d-%d" % (1000 + i * i * 1000, i % 3))
    filler.run("XADD", "stream:last ids", "1526919030474-55", "f", "v")
    filler.run("XADD", "stream:last ids", "18446744073709551615-18446744073709551614", "f", words(300, seed=12))
    filler.run("XADD", "stream:emptied", "9-9", "f", "v")
    filler.run("XDEL", "stream:emptied", "9-9")
    filler.run("XADD", "stream:set id", "10-1", "f", "v")
    if filler.server.version.at_least(7, 0):
        filler.run("XSETID", "stream:set id", "20-2", "ENTRIESADDED", 100, "MAXDELETEDID", "15-3")
    else:
        filler.run("XSETID", "stream:set id", "20-2")
    filler.run("XGROUP", "CREATE", "stream:only a group", "group", "0", "MKSTREAM")
    groups(filler)


def groups(filler):
    key = "stream:groups"
    for i in range(1, 13):
        filler.run("XADD", key, "%d-0" % i, "n", i)
    filler.run("XGROUP", "CREATE", key, "untouched", "$")
    filler.run("XGROUP", "CREATE", key, "from the start", "0")
    filler.run("XGROUP", "CREATE", key, b"\x00group\xff", "5-0")
    for group, consumer, count in (
        ("from the start", "alice", 4),
        ("from the start", "bob", 3),
        ("from the start", "done", 1),
        (b"\x00group\xff", b"\xffconsumer\x00", 2),
    ):
        read = filler.run("XREADGROUP", "GROUP", group, consumer, "COUNT", count, "STREAMS", key, ">")
        ids = [entry[0] for entry in read[0][1]]
        # A claim fixes what would be the time of this run.
        for times, entry in enumerate(ids):
            filler.run(
                *("XCLAIM", key, group, consumer, 0, entry),
                *("TIME", DELIVERED_AT_MS + times, "RETRYCOUNT", times + 1),
            )
    filler.run("XACK", key, "from the start", "8-0", "2-0")
    if filler.server.version.at_least(6, 2):
        filler.run("XGROUP", "CREATECONSUMER", key, "from the start", "idle")
    filler.run("XDEL", key, "3-0")  # stays pending, the entry is gone


def functions(filler):
    commented = "-- " + "long comment " * 20 + "\nreturn redis.call('GET', k[1])"
    for name, body in (("zlib", "return 1"), ("alib", commented)):
        code = "#!lua name=%s\nredis.register_function('%s_f', function(k, a) %s end)\n" % (name, name, body)
        if filler.attempt("FUNCTION", "LOAD", code) is None:
            return


def vector_set(filler):
    """A value of a module, where the server has one built in; `False` where not."""
    filler.run("SET", "before", 1)
    if filler.attempt("VADD", "vectors", "VALUES", 3, "0.1", "1.2", "-0.5", "first") is None:
        return False
    filler.run("VADD", "vectors", "VALUES", 3, "1", "0", "0", "second", "SETATTR", '{"year": 2100}')
    filler.run("SET", "zzz after", 2)
    return True


def commands_after_rewrite(filler):
    """What a log holds behind its rewritten part: databases, transactions, scripts, deletions, expiry."""
    filler.run("INCRBY", "int", 5)
    filler.run("APPEND", "raw", b"\x00more")
    filler.run("DEL", "set")
    filler.run("MULTI")
    filler.run("SET", "in transaction", periodic(300))
    filler.run("LPUSH", "list", "first")
    filler.run("RPOPLPUSH", "list", "list:other")
    filler.run("EXEC")
    filler.select(3)
    filler.run("MSET", "a", 1, "b", 2, b"", b"\r\n")
    filler.run("SET", "expires", "v")
    filler.expire_at("expires", EXPIRES_AT_MS + 3)
    filler.run("EVAL", "redis.call('SET', KEYS[1], 'x'); redis.call('HSET', KEYS[2], 'f', ARGV[1])", 2, "s", "h", "1")
    filler.run("EXPIRE", "a", 100)
    filler.run("PERSIST", "a")
    filler.run("SET", "soon", "gone", "PX", 1)
    filler.select(0)
    filler.run("ZINCRBY", "zset", "0.1", "a")
    filler.run("SADD", "set:popped", "one")
    filler.run("SPOP", "set:popped")
    filler.run("SORT", "list", "ALPHA", "STORE", "sorted")
    filler.attempt("XADD", "stream", "6-1", "field", "2")
    filler.attempt("XGROUP", "CREATE", "stream", "group", "0")
    filler.attempt("XREADGROUP", "GROUP", "group", "consumer", "COUNT", 1, "STREAMS", "stream", ">")
    filler.attempt("XCLAIM", "stream", "group", "consumer", 0, "5-1", "TIME", DELIVERED_AT_MS)
    filler.attempt("HPEXPIREAT", "hash", EXPIRES_AT_MS, "FIELDS", 1, "n")
    filler.attempt("FUNCTION", "LOAD", "#!lua name=late\nredis.register_function('late', function() return 1 end)")
    filler.run("RENAME", "compressible", "renamed")
    filler.select(4)
    filler.run("SET", "flushed", 1)
    filler.run("FLUSHDB")
    filler.run("SET", "after flush", 1)
    filler.select(0)
