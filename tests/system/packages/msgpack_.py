"""Pack and unpack, with an extension type and a stream; the C code, not the fallback."""

import datetime
import io

import msgpack

print(msgpack.packb({"a": [1, 2.5, None]}), msgpack.unpackb(b"\x93\x01\x02\x03"))
moment = datetime.datetime(2024, 5, 6, tzinfo=datetime.UTC)
print(msgpack.unpackb(msgpack.packb(moment, datetime=True), timestamp=3))
stream = io.BytesIO(b"".join(map(msgpack.packb, range(3))))
print(list(msgpack.Unpacker(stream)), msgpack.Packer.__module__)
