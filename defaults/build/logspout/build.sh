#!/bin/sh
# Runs in the base image, in /src, where Logspout's own source lies.
set -eu

apk add --no-cache build-base ca-certificates git go mercurial
mkdir -p /go/src/github.com/gliderlabs
cp -r /src /go/src/github.com/gliderlabs/logspout
cd /go/src/github.com/gliderlabs/logspout
export GOPATH=/go
if [ -f go.mod ]; then
	go get github.com/kalisio/logspout-slack
	go mod tidy
else
	go get
fi
go build -ldflags "-X main.Version=${1:-$(cat VERSION)}" -o /bin/logspout
apk del build-base git go mercurial
rm -rf /go /root/.cache
