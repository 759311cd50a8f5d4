"""Attack 18: files without end.

Expected: ENOSPC at the quota of bytes and at that of inodes, limit (file-bytes, file-count,
open-files) in the result, and everything is freed when the run is over: the next one finds an empty
/tmp and the whole quota.
"""

from __future__ import annotations

from driver import Json
from soak import memory_kib
from target import Target, generations

OPTIONS = ("--timeout", "10", "--file-bytes", "32M", "--file-count", "5000", "--memory", "128M")
MIB = 1 << 20

FILLS = {
    "one file": ("file-bytes", "f = open('/tmp/a', 'wb')\nwhile True: f.write(bytes(100_000))"),
    "many files": ("file-bytes", """
import os
for i in range(10**6):
    with open(f'/tmp/{i}', 'wb') as f: f.write(bytes(100_000))
"""),
    "unlinked files": ("file-bytes", """
import os
kept = []
for i in range(100):
    kept.append(open('/tmp/a', 'wb'))
    os.unlink('/tmp/a')
    kept[-1].write(bytes(MIB))
    kept[-1].flush()
"""),
    "empty files": ("file-count", "for i in range(10**7): open(f'/tmp/{i}', 'w').close()"),
    "directories": ("file-count", "import os\nfor i in range(10**7): os.mkdir(f'/tmp/{i}')"),
    "deep directories": ("file-count", "import os\nwhile True: os.mkdir('d'); os.chdir('d')"),
    "symbolic links": ("file-count", """
import os
for i in range(10**7): os.symlink('x', f'/tmp/{i}')
"""),
    "open files": ("open-files", """
kept = []
for i in range(10**7): kept.append(open('/tmp/a', 'w'))
"""),
    "pipes": ("open-files", "import os\nwhile True: os.pipe()"),
    "duplicates": ("open-files", "import os\nwhile True: os.dup(0)"),
    "holes": ("file-bytes", """
import os
f = os.open('/tmp/a', os.O_RDWR | os.O_CREAT)
for i in range(10**6): os.pwrite(f, b'x', i * 100_000)
"""),
    "names": ("file-count", "for i in range(10**7): open(f'/tmp/{i:0200}', 'w').close()"),
}  # fmt: skip

SPARSE = """
import os
f = os.open('/tmp/a', os.O_RDWR | os.O_CREAT)
os.ftruncate(f, 1 << 40)
os.pwrite(f, b'x', (1 << 40) - 1)
came = [os.fstat(f).st_size, os.fstat(f).st_blocks * 512 < MIB]
for size in (1 << 41, 1 << 62, 2**63 - 1):
    try: os.ftruncate(f, size)
    except OSError as error: came.append(error.strerror)
came.append(os.pread(f, 10, 1 << 39))
came
"""

LEFT = """
import os
found = [path for path in (os.listdir('/tmp') + os.listdir('/home/vitrine'))]
with open('/tmp/own', 'wb') as file: file.write(bytes(30 * MIB))
found
"""


def attack(target: Target, code: str) -> Json:
    return target.attack(code, MIB=MIB)


def test_each_way_to_fill(shared: Target) -> None:
    for name, (limit, code) in FILLS.items():
        result = attack(shared, code)
        assert (result["status"], result["limits"]) == ("limit", [limit]), (name, result)
        assert result["error"]["type"] == "OSError", (name, result)
        # Nothing is left, and the quota is whole again.
        result = attack(shared, LEFT)
        assert (result["status"], result["return_value"]) == ("success", []), (name, result)


def test_a_terabyte_of_nothing(shared: Target) -> None:
    result = attack(shared, SPARSE)
    assert result["status"] == "success", result
    size, is_small, *refused, read = result["return_value"]
    assert (size, is_small) == (1 << 40, True)
    assert refused == ["File too large"] * 3 and read == "\0" * 10
    result = attack(shared, "f = open('/tmp/a', 'w+b')\nf.truncate(1 << 40)\nf.read()")
    assert result["limits"] == ["memory"], result


def test_reads_of_a_deep_path(shared: Target) -> None:
    code = """
import os, shutil
try:
    while True: os.mkdir('d'); os.chdir('d')
except OSError: pass
try: length = len(os.getcwd())
except OSError as error: length = error.strerror
os.chdir('/home/vitrine')
try: shutil.rmtree('d')
except (OSError, RecursionError): pass
length
"""
    assert attack(shared, code)["status"] == "success"


def test_memory_is_given_back(shared: Target) -> None:
    """The zygote is none the larger for what its cells have written."""
    [zygote] = generations(shared.pid)["zygote"]
    before = memory_kib(zygote, "smaps_rollup", "Pss")
    for _ in range(20):
        attack(shared, "open('/tmp/a', 'wb').write(bytes(30 * MIB))")
    assert memory_kib(zygote, "smaps_rollup", "Pss") < before + 16 * 1024
