#!/bin/sh
# Build the tools that platform teams use, at fixed versions, and print the folder that holds them.
# Go and Python; some ten minutes the first time. CACHE names the folder that keeps them.
set -eu

HELM=v4.3.1
KUBECONFORM=v0.8.0
ISTIO=v0.0.0-20260827124520-eed52ebb66ad
ISTIO_API=v1.31.1
CONTROL_PLANE=v1.40.0
CHECKOV=3.3.30
CONTROL_PLANE_CONTRIB=v1.36.1-0.20260729145720-a2d8c7492908

here=$(cd "$(dirname "$0")" && pwd)
CACHE=${CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ztag/platform}
mkdir -p "$CACHE/bin" "$CACHE/istio/sidecar"
export GOBIN="$CACHE/bin" GOFLAGS=-buildvcs=false

[ -x "$GOBIN/kubeconform" ] || go install "github.com/yannh/kubeconform/cmd/kubeconform@$KUBECONFORM"
[ -x "$GOBIN/helm" ] || go install "helm.sh/helm/v4/cmd/helm@$HELM"

# In an environment of its own: it pins half of PyPI.
if [ ! -x "$GOBIN/checkov" ]; then
  "${PYTHON:-python3}" -m venv "$CACHE/checkov"
  "$CACHE/checkov/bin/python" -m pip install --quiet --disable-pip-version-check "checkov==$CHECKOV"
  ln -s "$CACHE/checkov/bin/checkov" "$GOBIN/checkov"
fi

# Istio's go.mod has replacements, which `go install …@version` refuses; a module of our own with its go.mod works.
cd "$CACHE/istio"
export GOFLAGS="-mod=mod -buildvcs=false"
if [ ! -f ready ]; then
  go mod download "istio.io/istio@$ISTIO" 2>/dev/null || (cd / && go mod download "istio.io/istio@$ISTIO")
  source=$(go env GOMODCACHE)/istio.io/istio@$ISTIO
  cp "$source/go.mod" "$source/go.sum" .
  chmod u+w go.mod go.sum
  go mod edit -module=scratch "-require=istio.io/istio@$ISTIO" \
    "-replace=istio.io/api=istio.io/api@$ISTIO_API" \
    "-replace=istio.io/client-go=istio.io/client-go@$ISTIO_API" \
    "-replace=github.com/envoyproxy/go-control-plane/envoy=github.com/envoyproxy/go-control-plane/envoy@$CONTROL_PLANE" \
    "-replace=github.com/envoyproxy/go-control-plane/contrib=github.com/envoyproxy/go-control-plane/contrib@$CONTROL_PLANE_CONTRIB"
  touch ready
fi
[ -x "$GOBIN/istioctl" ] || go build -o "$GOBIN/istioctl" istio.io/istio/istioctl/cmd/istioctl
if ! cmp -s "$here/istiod/main.go" sidecar/main.go || [ ! -x "$GOBIN/istiod-sidecar" ]; then
  cp "$here/istiod/main.go" sidecar/
  go build -o "$GOBIN/istiod-sidecar" ./sidecar
fi
echo "$GOBIN"
