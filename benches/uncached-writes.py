#!/usr/bin/env python3
"""Writes files of one size 1 MiB at a time, ordinarily or past the page cache, and prints how long that took: the table of
docs/decisions/0008-uncached-writes.md. Linux 6.16 or newer.

    benches/uncached-writes.py FOLDER cached|uncached FILES BYTES_PER_FILE
"""
import os
import shutil
import sys
import time

RWF_DONTCACHE = 0x80  # linux/fs.h

folder, how, files, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
flags = {"cached": 0, "uncached": RWF_DONTCACHE}[how]
piece = os.urandom(min(size, 1 << 20))
os.mkdir(folder)
try:
    os.sync()
    began, cpu = time.monotonic(), os.times().system
    for number in range(files):
        fd = os.open(os.path.join(folder, str(number)), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        os.ftruncate(fd, size)
        for at in range(0, size, len(piece)):
            os.pwritev(fd, [piece[: min(len(piece), size - at)]], at, flags)
        os.close(fd)
    written, kernel = time.monotonic() - began, os.times().system - cpu
    began = time.monotonic()
    os.sync()
    print(f"{how} {files} x {size}: {written:.2f} s, kernel {kernel:.2f} s, then sync {time.monotonic() - began:.2f} s")
finally:
    shutil.rmtree(folder)
