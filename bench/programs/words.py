"""Counting words: strings, dictionaries, sorting."""

from collections import Counter

syllables = ["ka", "to", "mi", "re", "su", "no", "la", "vi"]
state, words = 7, []
for _ in range(15_000):
    state = (state * 1103515245 + 12345) & 0x7FFFFFFF
    words.append("".join(syllables[(state >> shift) & 7] for shift in (4, 9, 14)))
text = " ".join(words)
counts = Counter(word.title() for word in text.split())
groups: dict[str, list[str]] = {}
for word in counts:
    groups.setdefault(word[0], []).append(word[::-1])
print(len(counts), counts.most_common(3), {k: len(sorted(v)) for k, v in sorted(groups.items())})
