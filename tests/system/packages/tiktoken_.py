"""An encoding of one's own, as the documentation's part on extending has it."""

import tiktoken

ranks = {bytes([i]): i for i in range(256)}
for merge in (b"he", b"ll", b"hell", b"hello", b" w", b"or", b" wor"):
    ranks[merge] = len(ranks)
encoding = tiktoken.Encoding(
    name="small",
    pat_str=r"""\w+| \w+|\s+|[^\w\s]+""",
    mergeable_ranks=ranks,
    special_tokens={"<|end|>": 300},
)
tokens = encoding.encode("hello world!<|end|>", allowed_special="all")
print(tokens, encoding.decode(tokens))
print([encoding.decode_single_token_bytes(token) for token in tokens], encoding.n_vocab)
