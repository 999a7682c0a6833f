#!/bin/sh
# Fill an environment (python -m venv --without-pip FOLDER) with what the image holds; run from the top folder.
#   envoy/install.sh FOLDER
set -eu
folder=$1
python=$folder/bin/python
pip() { "${PYTHON:-python3}" -m pip --python "$python" install --quiet --disable-pip-version-check "$@"; }

pip --require-hashes --requirement envoy/requirements.lock
# The build backend is in the lock: nothing is fetched beside it.
pip --no-deps --no-build-isolation .
find "$folder/lib" -depth -type d -name tests -exec rm -r {} +

# Whole seconds: an image's layers keep no others, and bytecode and compiled kernels are known by their source's time.
find "$folder/lib" -name '*.py' -exec touch --date=2020-01-01T00:00:00Z {} +
"$python" -m compileall -q "$folder/lib"

# For any CPU of this architecture, as the image says with NUMBA_CPU_NAME.
mkdir -p "$folder/share/ztag"
NUMBA_CPU_NAME=generic NUMBA_CACHE_DIR=$folder/share/ztag "$python" -P - <<'KERNELS'
from ztag_extauthz.stores.kernels import warm

for module in ("envoy.fingerprint_kernel", "stores.limits.table", "stores.limits.semaphore", "authorization.risk.kernel"):
    warm(f"ztag_extauthz.{module}")
KERNELS
"$python" k8s/verify/bill.py "$folder" > "$folder/share/ztag/sbom.cdx.json"
chmod -R a+rX,go-w "$folder"
