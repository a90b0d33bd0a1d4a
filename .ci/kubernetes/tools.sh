#!/usr/bin/env bash
# Builds the programs of a test cluster from the Go proxy alone, into a folder outside of the checkout:
#
#   tools.sh all | cluster | helm | policy | compose       prints the folder
#
# The folder is $KUBE_CACHE, else ~/.cache/twochat-kube. What is already in it is not built again. A first build takes
# about eleven minutes on two cores, most of it for the one binary that is etcd, the control plane and the node.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=${KUBE_CACHE:-$HOME/.cache/twochat-kube}/bin
mkdir -p "$bin"

kubernetes=1.35.4 # the last that works with containerd 1.6
helm4=v4.3.1
helm3=v3.19.0
router=v2.1.0
compose=v2.40.3
coredns=v1.13.1

# built NAME VERSION: succeeds if the program exists in this version.
built() { [ -x "$bin/$1" ] && [ "$(cat "$bin/.$1" 2>/dev/null)" = "$2" ]; }

# module FOLDER: copies a folder's main.go into a new folder, which becomes a module of its own.
module() {
	local folder
	folder=$(mktemp -d)
	cp "$here/$1/main.go" "$folder"
	echo "$folder"
}

kube() {
	built kube $kubernetes && return
	local folder go_mod staging=0.${kubernetes#1.}
	folder=$(module kube)
	go_mod=$(go mod download -json "k8s.io/kubernetes@v$kubernetes" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
	# Kubernetes' go.mod replaces the staging modules with folders. Their published versions are used here.
	{
		echo "module kube.test/kube"
		grep -E '^(go|godebug) ' "$go_mod"
		sed -n '/^godebug (/,/^)/p' "$go_mod"
		echo "require k8s.io/kubernetes v$kubernetes"
		echo "replace ("
		sed -n "s|^\t\(k8s.io/[a-z-]*\) => ./staging/.*|\t\1 => \1 v$staging|p" "$go_mod"
		echo ")"
	} >"$folder/go.mod"
	local version=k8s.io/component-base/version
	(cd "$folder" && GOFLAGS=-mod=mod go mod tidy && CGO_ENABLED=0 GOFLAGS=-mod=mod go build -trimpath -ldflags \
		"-s -w -X $version.gitVersion=v$kubernetes -X $version.gitMajor=1 -X $version.gitMinor=${kubernetes:2:2}" -o "$bin/kube" .)
	rm -rf "$folder"
	echo $kubernetes >"$bin/.kube"
}

coredns() {
	local folder version
	version="$coredns $(md5sum <"$here/coredns/main.go")" # its plugins are listed there
	built coredns "$version" && return
	folder=$(module coredns)
	(cd "$folder" && go mod init kube.test/coredns && GOFLAGS=-mod=mod go get "github.com/coredns/coredns@$coredns" &&
		GOFLAGS=-mod=mod go mod tidy && CGO_ENABLED=0 GOFLAGS=-mod=mod go build -trimpath -ldflags '-s -w' -o "$bin/coredns" .)
	rm -rf "$folder"
	echo "$version" >"$bin/.coredns"
}

# installed NAME MODULE VERSION: builds a program with go install, under this name.
installed() {
	built "$1" "$3" && return
	(cd / && GOFLAGS='' GOBIN="$bin/$1.new" CGO_ENABLED=0 go install -trimpath -ldflags '-s -w' "$2@$3")
	mv "$bin/$1.new"/* "$bin/$1"
	rmdir "$bin/$1.new"
	echo "$3" >"$bin/.$1"
}

helm() { installed helm helm.sh/helm/v4/cmd/helm $helm4; }
old_helm() { installed helm3 helm.sh/helm/v3/cmd/helm $helm3; }
policy() { installed kube-router github.com/cloudnativelabs/kube-router/v2/cmd/kube-router $router; }
# Its module excludes versions of others, which go install does not accept.
compose() {
	built docker-compose $compose && return
	local folder program=github.com/docker/compose/v2/cmd
	folder=$(mktemp -d)
	(cd "$folder" && go mod init kube.test/compose && GOFLAGS=-mod=mod go get "$program@$compose" &&
		CGO_ENABLED=0 GOFLAGS=-mod=mod go build -trimpath -ldflags '-s -w' -o "$bin/docker-compose" $program)
	rm -rf "$folder"
	echo $compose >"$bin/.docker-compose"
}

case ${1:-} in
cluster) kube >&2; coredns >&2 ;;
helm) helm >&2; old_helm >&2 ;;
policy) policy >&2 ;;
compose) compose >&2 ;;
all) helm >&2; old_helm >&2; kube >&2; coredns >&2; policy >&2; compose >&2 ;;
*) echo "tools.sh: expected all, cluster, helm, policy or compose" >&2; exit 2 ;;
esac
echo "$bin"
