"""A session with redis-py: arguments are the port and the protocol's version."""
import sys
import threading

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

port, protocol = int(sys.argv[1]), int(sys.argv[2])
r = redis.Redis(port=port, protocol=protocol, decode_responses=True)
r.flushall()

assert r.ping()
assert r.set("greeting", "hello") is True
assert r.get("greeting") == "hello"
assert r.get("nothing") is None
assert r.set("greeting", "x", nx=True) is None
assert r.set("greeting", "bye", get=True) == "hello"
assert r.incrby("count", 5) == 5
assert r.decr("count") == 4
assert r.append("text", "abc") == 3
assert r.strlen("text") == 3
assert r.mset({"a": 1, "b": 2, "c": 3}) is True
assert r.mget("a", "b", "nothing") == ["1", "2", None]
assert r.msetnx({"a": 1, "z": 2}) is False
assert r.exists("a", "b", "z") == 2
assert r.rename("a", "renamed") is True
assert r.copy("renamed", "copied") is True
assert r.type("copied") == "string"
assert r.expire("copied", 100) is True
assert 0 < r.ttl("copied") <= 100
assert r.persist("copied") is True
assert r.ttl("copied") == -1
assert r.delete("copied", "renamed", "nothing") == 2
assert sorted(r.keys("*e*")) == ["greeting", "text"]
assert sorted(r.scan_iter("*")) == ["b", "c", "count", "greeting", "text"]
assert r.dbsize() == 5
assert r.randomkey() in ("b", "c", "count", "greeting", "text")
assert r.getdel("b") == "2"
assert r.getex("c", ex=50) == "3"

try:
    r.incr("greeting")
    raise SystemExit("an error was expected")
except redis.ResponseError as error:
    assert "not an integer" in str(error), error

with r.pipeline(transaction=False) as pipe:
    for index in range(1000):
        pipe.set(f"p{index}", index)
    for index in range(1000):
        pipe.get(f"p{index}")
    replies = pipe.execute()
assert replies[:1000] == [True] * 1000
assert replies[1000:] == [str(index) for index in range(1000)]

pool = redis.ConnectionPool(port=port, protocol=protocol, max_connections=8)


def count():
    client = redis.Redis(connection_pool=pool)
    for _ in range(200):
        client.incr("shared")


threads = [threading.Thread(target=count) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert r.get("shared") == "1600"

blocking = redis.BlockingConnectionPool(port=port, protocol=protocol, max_connections=2, timeout=20)


def fill(name):
    client = redis.Redis(connection_pool=blocking, decode_responses=True)
    with client.pipeline(transaction=False) as pipe:
        for index in range(100):
            pipe.set(f"{name}:{index}", index).expire(f"{name}:{index}", 1000)
        assert all(pipe.execute())


threads = [threading.Thread(target=fill, args=(name,)) for name in ("x", "y", "z", "w")]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(list(r.scan_iter("[w-z]:*", count=50))) == 400

patient = Retry(ConstantBackoff(0.05), 200)
other = redis.Redis(
    port=port, protocol=protocol, db=3, decode_responses=True, client_name="tester", retry=patient
)
assert other.get("greeting") is None
other.set("greeting", "three")
assert other.client_getname() == "tester"
assert other.dbsize() == 1
assert r.info("server")["redis_mode"] == "standalone"
assert r.config_get("appendonly") == {"appendonly": "yes"}
assert r.execute_command("WAITAOF", 1, 0, 5000) == [1, 0]
assert len(r.client_list()) >= 2

# The server is killed and comes back: connections are made anew, in their database and under their name.
print("restart")
input()
assert other.get("greeting") == "three"
assert other.client_getname() == "tester"
try:
    old = r.get("greeting")
except redis.ConnectionError:  # without retries the first call may see the old connection end
    old = r.get("greeting")
assert old == "bye"
assert r.get("shared") == "1600"
assert r.get("p999") == "999"
assert 0 < r.ttl("x:99") <= 1000
counted = redis.Redis(connection_pool=pool, decode_responses=True, retry=patient)
pool.disconnect()
assert counted.incr("shared") == 1601
other.flushdb()
assert other.dbsize() == 0
print("all well")
