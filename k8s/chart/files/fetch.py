"""What an init container runs: fetch the bundle of policies, and keep it only if it is the one that was asked for."""

import hashlib
import os
import urllib.request

MAX_BYTES = 64 * 1024 * 1024

with urllib.request.urlopen(os.environ["URL"], timeout=30) as response:
    bundle = response.read(MAX_BYTES)
found = hashlib.sha256(bundle).hexdigest()
if found != os.environ["SHA256"]:
    raise SystemExit(f"the bundle's digest is {found}, not policy.bundle.sha256: {os.environ['SHA256']}")
with open(os.environ["TARGET"], "wb") as file:
    file.write(bundle)
