#!/bin/sh
# Build the real opa-envoy-plugin (Go; about two minutes the first time) and print where it is.
# CACHE names the folder that keeps it.
set -eu

VERSION=v1.15.2-envoy
MODULE=github.com/open-policy-agent/opa-envoy-plugin
CACHE=${CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ztag/opa-envoy-plugin-$VERSION}
BINARY=$CACHE/opa-envoy-plugin

if [ ! -x "$BINARY" ]; then
  mkdir -p "$CACHE"
  # The module's tags are withdrawn from `go install …@version`; a module of our own with its go.mod and go.sum works.
  export GOFLAGS=-mod=mod
  (
    cd "$CACHE"
    go mod download "$MODULE@$VERSION"
    source=$(go env GOMODCACHE)/$MODULE@$VERSION
    cp "$source/go.mod" "$source/go.sum" .
    chmod u+w go.mod go.sum
    go mod edit -module=scratch "-require=$MODULE@$VERSION"
    go build -o "$BINARY" "$MODULE/cmd/opa-envoy-plugin"
  )
fi
echo "$BINARY"
