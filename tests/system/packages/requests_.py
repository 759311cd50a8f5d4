"""It imports and prepares; the network is refused with its own exception."""

import requests

prepared = requests.Request("GET", "https://example.org/", params={"q": "a b"}).prepare()
print(prepared.url, requests.utils.default_user_agent().startswith("python-requests/"))
try:
    requests.get("http://192.0.2.1/", timeout=5)
except requests.exceptions.ConnectionError as error:
    print("refused:", type(error).__name__)
