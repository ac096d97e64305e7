#!/usr/bin/env python3
"""Makes RDB files of generations whose servers are hard to come by, byte by byte, and asks a server what they hold.

    handmade.py --server /path/to/redis-server --out formats/testdata/handmade

The server is the judge: it loads each file, and what it answers is the expected contents.
Any server that still reads zipmaps will do, up to Redis 8 and Valkey 9.
"""
import argparse
import os
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import make
from maker import dataset, describe
from maker.server import Server

EXPIRES_AT_SECONDS = 2145916800  # 2038-01-01: the field is a signed 32 bit number

STRING, LIST, SET, ZSET, HASH, ZSET_2 = range(6)
HASH_ZIPMAP = 9
AUX, EXPIRETIME_MS, EXPIRETIME, SELECTDB, EOF = 250, 252, 253, 254, 255


def length(value):
    if value < 1 << 6:
        return bytes([value])
    if value < 1 << 14:
        return struct.pack(">H", 0x4000 | value)
    return b"\x80" + struct.pack(">I", value)


def length32(value):
    """Longer than needed, as a reader must take it."""
    return b"\x80" + struct.pack(">I", value)


def length64(value):
    return b"\x81" + struct.pack(">Q", value)


def string(value, length=length):
    return length(len(value)) + value


def integer(value, size):
    return bytes([0xC0 | {1: 0, 2: 1, 4: 2}[size]]) + value.to_bytes(size, "little", signed=True)


def sequence(parts, length=length):
    return length(len(parts)) + b"".join(string(part) for part in parts)


def mapping(pairs):
    return length(len(pairs)) + b"".join(string(part) for pair in pairs for part in pair)


def text_score(text):
    return bytes([len(text)]) + text


INFINITE, MINUS_INFINITE = b"\xfe", b"\xff"


def zipmap(pairs):
    """`count` `len key len free value unused…` `0xff`; a count of 254 says that the pairs have to be counted."""
    body = bytes([min(len(pairs), 254)])
    for key, value, free in pairs:
        body += zipmap_length(len(key)) + key
        body += zipmap_length(len(value)) + bytes([free]) + value + b"\xaa" * free
    return body + b"\xff"


def zipmap_length(value):
    return bytes([value]) if value < 254 else b"\xfe" + struct.pack("<I", value)


def key(kind, name, value):
    return bytes([kind]) + string(name) + value


def crc64(data):
    """CRC-64 with the polynomial of Jones, reflected, from zero."""
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x95AC9329AC4BC9B5 if byte & 1 else 0)
        table.append(byte)
    crc = 0
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc


def file(version, *parts):
    """Files have a checksum from version 5 on."""
    data = b"REDIS%04d" % version + b"".join(parts) + bytes([EOF])
    return data + (struct.pack("<Q", crc64(data)) if version >= 5 else b"")


def database(number):
    return bytes([SELECTDB]) + length(number)


def in_seconds(seconds):
    return bytes([EXPIRETIME]) + struct.pack("<I", seconds)


def first_generation():
    """Redis 1.x and 2.0: plain types, expiry in seconds, scores as text, no checksum."""
    scores = [(b"a", text_score(b"1.5")), (b"b", INFINITE), (b"c", MINUS_INFINITE), (b"d", text_score(b"-1e+300"))]
    return file(
        1,
        database(0),
        key(STRING, b"raw", string(b"value")),
        key(STRING, b"int8", integer(-128, 1)),
        key(STRING, b"int16", integer(-32768, 2)),
        key(STRING, b"int32", integer(-2147483648, 4)),
        bytes([STRING]) + integer(1234, 2) + string(b"a key that is an integer"),
        key(LIST, b"list", sequence([b"a", b"", b"c"])),
        key(SET, b"set", sequence([b"a", b"1"])),
        in_seconds(EXPIRES_AT_SECONDS) + key(ZSET, b"zset", length(4) + b"".join(string(m) + s for m, s in scores)),
        database(3),
        in_seconds(EXPIRES_AT_SECONDS + 1) + key(HASH, b"hash", mapping([(b"f", b"v"), (b"g", b"")])),
    )


def zipmaps():
    """Redis 2.2 and 2.4: hashes as zipmaps, with unused bytes behind values and with long parts."""
    long = dataset.words(300, seed=20)
    many = [(b"f%d" % i, b"%d" % (i * i), i % 3) for i in range(300)]
    return file(
        3,
        database(0),
        key(HASH_ZIPMAP, b"zipmap", string(zipmap([(b"a", b"1", 0), (b"b", b"", 0), (b"", b"two", 0)]))),
        key(HASH_ZIPMAP, b"zipmap:unused", string(zipmap([(b"a", b"1", 4), (b"b", b"22", 1), (b"c", b"", 3)]))),
        key(HASH_ZIPMAP, b"zipmap:253", string(zipmap([(b"k" * 253, b"v" * 253, 0), (b"k", b"v", 0)]))),
        key(HASH_ZIPMAP, b"zipmap:long", string(zipmap([(long, b"v", 0), (b"k", long, 2), (b"n", b"1", 0)]))),
        key(HASH_ZIPMAP, b"zipmap:many", string(zipmap(many))),
        in_seconds(EXPIRES_AT_SECONDS) + key(HASH_ZIPMAP, b"zipmap:expires", string(zipmap([(b"a", b"b", 0)]))),
    )


def wide_lengths():
    """Version 8, of Redis 4: doubles in binary, expiry in milliseconds; every length wider than it needs to be."""
    doubles = [(b"a", -0.0), (b"b", 0.1), (b"c", float("inf")), (b"d", 5e-324)]
    return file(
        8,
        bytes([AUX]) + string(b"redis-ver", length32) + string(b"4.0.0", length64),
        bytes([AUX]) + string(b"unknown to everyone") + integer(7, 1),
        bytes([SELECTDB]) + length32(0),
        bytes([STRING]) + string(b"raw", length64) + string(b"value", length32),
        bytes([EXPIRETIME_MS]) + struct.pack("<Q", dataset.EXPIRES_AT_MS),
        key(STRING, b"expires", string(b"", length64)),
        key(LIST, b"list", sequence([b"a", b"b"], length64)),
        key(ZSET_2, b"zset", length32(4) + b"".join(string(m) + struct.pack("<d", score) for m, score in doubles)),
    )


FILES = {"rdb1": first_generation, "zipmap": zipmaps, "wide-lengths": wide_lengths}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--server", required=True, help="the server's binary, 7.0 or newer")
    arguments.add_argument("--out", required=True, help="folder and first part of the files' names")
    chosen = arguments.parse_args()
    for name, contents in FILES.items():
        path = "%s-%s" % (chosen.out, name)
        with open(path + ".rdb", "wb") as opened:
            opened.write(contents())
        with Server(chosen.server, data={"dump.rdb": path + ".rdb"}) as server:
            found = describe.contents(server, {})
            for described in found["keys"]:
                described["encoding"] = None  # that of the server which reads, not of the file
            head = {"server": "none, read by %s" % server.version, "rdb_version": make.rdb_version(path + ".rdb")}
            make.write(path + ".json", {**head, "expired_keys": [], "functions": []}, found["keys"])


if __name__ == "__main__":
    main()
