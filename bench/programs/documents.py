"""Documents to JSON and back, and through regular expressions: the library's C code."""

import json
import re

rows = [
    {"id": i, "name": f"item-{i}", "tags": [str(i % 7), "x" * (i % 5)], "v": i / 3}
    for i in range(800)
]
total = 0
for _ in range(6):
    text = json.dumps(rows)
    rows = json.loads(text)
    total += len(text)
pattern = re.compile(r'"name": "item-(\d+)", "tags": \["(\d)"')
found = [(int(a), int(b)) for a, b in pattern.findall(text)]
print(total, len(found), sum(a * b for a, b in found))
