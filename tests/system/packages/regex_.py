"""What re cannot do: named lists, fuzzy matching, recursion, variable look-behind, graphemes."""

import regex

print(regex.match(r"(\w)(?:(?R)|(\w?))\1", "kayak").group())
print(regex.search(r"(?:cats|dogs){e<=1}", "cat").fuzzy_counts)
print(regex.findall(r"\L<fruit>", "apple pie, pear tart", fruit=["apple", "pear"]))
print(regex.findall(r"(?<=a+)b", "aab ab b"), regex.findall(r"\X", "e\u0301a"))
print(regex.match(r"(?:(\w+) )+", "one two three ").captures(1))
