"""tarfile and zipfile, by their own command lines and by their interfaces."""

import hashlib
import os
import runpy
import sys
import tempfile
import zipfile

os.chdir(tempfile.mkdtemp())
os.makedirs("tree/deep/er")
for i in range(30):
    with open(f"tree/deep/file{i:02}.txt", "w") as file:
        file.write(f"{i} " * (i * 100))
with open("tree/deep/er/ünïcode.bin", "wb") as file:
    file.write(bytes(range(256)) * 64)
os.utime("tree/deep/file00.txt", (10**9, 10**9))


def run(module: str, *args: str) -> None:
    """`python -m module args`."""
    sys.argv = [module, *args]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code:
            print("status", end.code)


for mode in ("gz", "bz2", "xz"):
    name = f"tree.tar.{mode}"
    run("tarfile", "-c", name, "tree")
    run("tarfile", "-t", name)
    os.makedirs(f"out-{mode}")
    run("tarfile", "-e", name, f"out-{mode}")
run("zipfile", "-c", "tree.zip", "tree")
run("zipfile", "-t", "tree.zip")
run("zipfile", "-e", "tree.zip", "out-zip")
with zipfile.ZipFile("tree.zip") as archive:
    for info in archive.infolist():
        print(info.filename, info.file_size, info.CRC)
for out in ("out-gz", "out-bz2", "out-xz", "out-zip"):
    total = hashlib.sha256()
    for folder, folders, files in os.walk(out):
        folders.sort()
        for name in sorted(files):
            with open(os.path.join(folder, name), "rb") as file:
                total.update(name.encode() + file.read())
    print(out, total.hexdigest())
