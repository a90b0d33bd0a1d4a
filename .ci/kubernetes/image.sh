#!/usr/bin/env bash
# Builds the image of the unchanged Dockerfile, checks it, runs it as docker users do, and writes it with all images of a
# test cluster into one tar. It needs root and Debian's docker.io.
#
#   image.sh FOLDER       writes FOLDER/images.tar
#
# No image registry can be reached. Two substitutes have the names of the Dockerfile's base images: the Go toolchain of
# this machine on a static busybox, and what distroless/static:nonroot consists of (users, CA certificates, time zones,
# no shell). The second also trusts the fake 2Chat's certificate, so that an installation as printed finds the fake under
# 2Chat's own name. The first contains the modules, because no container reaches a proxy, and their compiled packages,
# which are kept between runs beside the cluster's programs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
bin=${KUBE_CACHE:-$HOME/.cache/twochat-kube}/bin
cache=${KUBE_CACHE:-$HOME/.cache/twochat-kube}/build
work=$(realpath -m "${1:?image.sh: expected a folder}")
connector=ghcr.io/twochat-connector/twochat-connector:0.1.0
mkdir -p "$work"/pki
fail() { echo "image: $*" >&2; exit 1; }
. "$here/engine.sh"
trap engine_stop EXIT
engine_start

# certificates NAME: makes the fake 2Chat's certificate, and the authority that signs it.
certificates() {
	cd "$work/pki"
	openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 30 -subj /CN=test 2>/dev/null
	openssl req -newkey rsa:2048 -nodes -keyout api.key -out api.csr -subj "/CN=$1" 2>/dev/null
	openssl x509 -req -in api.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -out api.crt -extfile <(echo "subjectAltName=DNS:$1") 2>/dev/null
	chmod 644 api.key
	cd "$OLDPWD"
}

stand_ins() {
	local go=$work/golang static=$work/static name processor modules
	rm -rf "$go" "$static"
	mkdir -p "$go"/{bin,etc/ssl/certs,tmp,root,usr/local,proc,sys,dev,go} "$static"/{etc/ssl/certs,tmp,home/nonroot,root,proc,sys,dev,usr/share,var/tmp}
	cp /bin/busybox "$go/bin/"
	for name in sh ls cat mkdir cp rm env uname id true sed grep; do ln -s busybox "$go/bin/$name"; done
	cp -a "$(go env GOROOT)" "$go/usr/local/go"
	modules=$(go env GOMODCACHE)/cache/download
	for processor in amd64 arm64; do (cd "$top" && GOCACHE=$cache CGO_ENABLED=0 GOARCH=$processor go build -trimpath -o /dev/null ./cmd/twochat-connector); done
	(cd "$top" && go mod download)
	(cd "$top" && GOFLAGS=-modcacherw GOMODCACHE=$go/go/pkg/mod GOPROXY=file://$modules GONOSUMDB='*' go mod download)
	cp -a "$cache" "$go/go/cache"
	echo 'root:x:0:0:root:/root:/bin/sh' >"$go/etc/passwd"
	printf '%s\n' root:x:0:0:root:/root:/sbin/nologin nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin \
		nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin >"$static/etc/passwd"
	printf '%s\n' root:x:0: nobody:x:65534: nonroot:x:65532: >"$static/etc/group"
	echo 'hosts: files dns' >"$static/etc/nsswitch.conf"
	cp /etc/ssl/certs/ca-certificates.crt "$go/etc/ssl/certs/"
	cat /etc/ssl/certs/ca-certificates.crt "$work/pki/ca.crt" >"$static/etc/ssl/certs/ca-certificates.crt"
	[ ! -d /usr/share/zoneinfo ] || cp -a /usr/share/zoneinfo "$static/usr/share/"
	chmod 1777 "$go/tmp" "$static/tmp" "$static/var/tmp"
	chown 65532:65532 "$static/home/nonroot"
	tar -C "$go" -c . | docker import -c "ENV PATH=/go/bin:/usr/local/go/bin:/bin GOPATH=/go GOCACHE=/go/cache GOTOOLCHAIN=local GOFLAGS=-buildvcs=false \
		GOPROXY=off SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt" - golang:1.26 >/dev/null
	tar -C "$static" -c . | docker import -c 'USER 65532' -c 'ENV PATH=/usr/local/bin:/usr/bin:/bin SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt' \
		-c 'WORKDIR /home/nonroot' - gcr.io/distroless/static-debian12:nonroot >/dev/null
	rm -rf "$go" "$static"
}

# small NAME PROGRAM [FILE…]: makes an image of one static program and some files.
small() {
	local folder name=$1
	folder=$(mktemp -d)
	cp "$2" "$folder/program"
	shift 2
	[ $# = 0 ] || cp "$@" "$folder"
	tar -C "$folder" -c . | docker import -c 'USER 65532' -c 'ENTRYPOINT ["/program"]' - "$name" >/dev/null
	rm -rf "$folder"
}

echo "stand-ins for golang:1.26 and distroless/static (no registry of images is reached)"
certificates api.p.2chat.io
stand_ins
docker build --quiet --build-arg VERSION=0.1.0-test -t "$connector" "$top" >/dev/null
# For another processor the program is cross-compiled, so the build stage is enough to test it.
docker build --quiet --platform linux/arm64 --target build -t local/arm64:1 "$top" >/dev/null
container=$(docker create local/arm64:1 true)
docker cp "$container:/out/twochat-connector" "$work/arm64"
docker rm "$container" >/dev/null
[ "$(od -An -tx1 -j18 -N2 "$work/arm64" | tr -d ' ')" = b700 ] || fail "the build for arm64 is no program for arm64"
rm "$work/arm64"

inspect() { docker inspect -f "$1" "$connector"; }
[ "$(inspect '{{.Config.User}}')" = 65532:65532 ] || fail "it runs as $(inspect '{{.Config.User}}')"
[ "$(inspect '{{.Config.StopSignal}}')" = SIGTERM ] || fail "its stop signal is $(inspect '{{.Config.StopSignal}}')"
[ "$(inspect '{{.Config.Healthcheck}}')" = '<nil>' ] || fail "it has a health check"
! inspect '{{.Config.Env}}' | grep -q TWOCHAT || fail "its environment overrules a mounted file"
for label in title source version licenses; do
	[ -n "$(inspect "{{index .Config.Labels \"org.opencontainers.image.$label\"}}")" ] || fail "it has no label $label"
done
container=$(docker create "$connector")
docker export "$container" | tar -t >"$work/files"
docker rm "$container" >/dev/null
! grep -qE '(^|/)(sh|bash|busybox|apt|dpkg)$' "$work/files" || fail "it has a shell or a package manager"
limits=(--read-only --cap-drop=ALL --user 65532 --security-opt no-new-privileges -m 64m --network=host) # that of the engine
docker run --rm "${limits[@]}" "$connector" version | grep -q 0.1.0-test || fail "it does not say its version"
if docker run --rm "${limits[@]}" --entrypoint /bin/sh "$connector" -c true 2>/dev/null; then fail "it has a shell"; fi

# It starts, is healthy, and stops cleanly in under a second. It does not end because 2Chat cannot be reached.
port=$((20000 + RANDOM % 20000))
name=twochat-run
docker run -d --name $name "${limits[@]}" --tmpfs /data:mode=1777 -e TWOCHAT_API_KEY=test -e TWOCHAT_CONNECTOR_ADMIN_LISTEN=127.0.0.1:$port \
	-e TWOCHAT_CONNECTOR_TWOCHAT_BASE_URL=http://127.0.0.1:9 -e TWOCHAT_CONNECTOR_TWOCHAT_STREAMS=+15550100100 \
	-e TWOCHAT_CONNECTOR_SINK_FILE_PATH=/data/events.jsonl "$connector" >/dev/null
for _ in $(seq 100); do in_engine curl -fsS "http://127.0.0.1:$port/healthz" >/dev/null 2>&1 && break; sleep 0.1; done
in_engine curl -fsS "http://127.0.0.1:$port/healthz" >/dev/null || { docker logs $name >&2; fail "it is not healthy"; }
began=$(date +%s%N)
docker stop -t 25 $name >/dev/null
took=$((($(date +%s%N) - began) / 1000000))
code=$(docker inspect -f '{{.State.ExitCode}}' $name)
docker rm $name >/dev/null
[ "$code" = 0 ] || fail "it ended with $code"
[ $took -lt 1000 ] || fail "it took $took ms to stop"
echo "image: $(docker image inspect -f '{{.Size}}' "$connector") bytes, runs read-only as 65532 without capabilities in 64 MB, stopped with 0 in $took ms"

gcc -static -O2 -o "$work/pause" "$here/pause.c"
(cd "$top" && export CGO_ENABLED=0 GOCACHE=$cache && go build -trimpath -o "$work/fake" ./.ci/kubernetes/fake && go build -trimpath -o "$work/nats-server" github.com/nats-io/nats-server/v2)
small local/pause:1 "$work/pause"
small local/fake:1 "$work/fake" "$work/pki/api.crt" "$work/pki/api.key"
small local/nats-server:1 "$work/nats-server"
images=("$connector" local/pause:1 local/fake:1 local/nats-server:1)
if [ -x "$bin/coredns" ]; then
	small local/coredns:1 "$bin/coredns"
	images+=(local/coredns:1)
fi
docker save -o "$work/images.tar" "${images[@]}"
