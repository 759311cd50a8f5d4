"""Resolves jobs, one a line of JSON, with a fake index in the place of vitrine-fetch.

Arguments: the folders to import from. A job is {"projects", "locked", "job"}; the answer
{"plan", "asked"}. A line {"settings": [files, environment]} asks for pip's index instead.
"""

import json
import sys
import tempfile
from pathlib import Path

sys.path[:0] = sys.argv[1:]

from fake_index import Index  # noqa: E402

from vitrine import imports, index, resolve, wire  # noqa: E402

for line in sys.stdin:
    asked = json.loads(line)
    if "settings" in asked:
        answer = index.index_settings(*asked["settings"])
    else:
        fake = Index(asked["projects"], asked["locked"])
        wire.fetch = fake.fetch
        with tempfile.TemporaryDirectory() as folder:
            lock = Path(folder) / "lock.json"
            lock.write_text(fake.lock_file())
            imports.LOCK_FILE, imports._by_import = str(lock), None
            answer = {"plan": resolve.main(asked["job"]), "asked": fake.asked}
    print(json.dumps(answer), flush=True)
