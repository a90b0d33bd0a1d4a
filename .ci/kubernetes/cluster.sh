#!/usr/bin/env bash
# A Kubernetes of one node, in a network namespace of its own (kube), with everything below one folder. It needs root and
# Debian's containerd, runc, CNI plugins, iptables, ipset and conntrack.
#
#   cluster.sh control DIR       only etcd, the API server, controllers and scheduler
#   cluster.sh node DIR IMAGES   containerd with the images of a tar, kubelet, kube-proxy, CoreDNS, enforcement of network policies
#   cluster.sh down DIR          ends all of it and restores the machine's settings
#   cluster.sh in COMMAND …      runs a command in the cluster's network
#
# KUBE_CACHE as in tools.sh. Nothing listens outside of the namespace.
set -euo pipefail
bin=${KUBE_CACHE:-$HOME/.cache/twochat-kube}/bin
node=10.200.0.1
services=10.202.0

inside() { nsenter --net=/run/netns/kube "$@"; }

# daemon NAME COMMAND …: runs it in the background, in the cluster's network, with a log of its own.
daemon() {
	local name=$1
	shift
	setsid nohup nsenter --net=/run/netns/kube "$@" >"$dir/log/$name.log" 2>&1 </dev/null &
	echo "$!" >>"$dir/pids"
	echo "$!" >"$dir/run/$name.pid"
}

# until_ SECONDS COMMAND …: retries until it succeeds, and fails after that time.
until_() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.3
	done
}

network() {
	ip netns add kube 2>/dev/null || true
	inside ip link set lo up
	if ! inside ip link show eth0 >/dev/null 2>&1; then
		# A pair whose other end leads nowhere gives the node an address and a default route, but reaches nobody.
		inside ip link add eth0 type veth peer name eth0p
		inside ip addr add $node/24 dev eth0
		inside ip link set eth0p up
		inside ip link set eth0 up
		inside ip route add default via 10.200.0.254
	fi
	inside sysctl -qw net.ipv4.ip_forward=1
	inside sysctl -qw net.bridge.bridge-nf-call-iptables=1 2>/dev/null || true
}

keys() {
	cd "$dir/pki"
	[ ! -f sa.key ] || return 0
	openssl genrsa -out sa.key 2048 2>/dev/null
	openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null
	openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 30 -subj /CN=ca 2>/dev/null
	openssl req -newkey rsa:2048 -nodes -keyout api.key -out api.csr -subj /CN=kube-apiserver 2>/dev/null
	openssl x509 -req -in api.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -out api.crt \
		-extfile <(echo "subjectAltName=IP:127.0.0.1,IP:$node,IP:$services.1,DNS:kubernetes.default.svc,DNS:localhost") 2>/dev/null
	local token
	token=$(openssl rand -hex 16)
	echo "$token,admin,admin,system:masters" >tokens.csv
	cat >"$dir/kubeconfig" <<-YAML
		apiVersion: v1
		kind: Config
		clusters: [{name: k, cluster: {server: "https://$node:6443", certificate-authority: $dir/pki/ca.crt}}]
		users: [{name: admin, user: {token: $token}}]
		contexts: [{name: k, context: {cluster: k, user: admin}}]
		current-context: k
	YAML
}

control() {
	mkdir -p "$dir"/{log,pki,cni,etcd,kubelet,containerd,run}
	: >"$dir/pids"
	# The kubelet changes these for the whole machine.
	[ -f "$dir/sysctl" ] || sysctl vm.overcommit_memory kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys kernel.keys.root_maxbytes >"$dir/sysctl"
	network
	keys
	local pki=$dir/pki
	daemon etcd "$bin/kube" etcd --data-dir "$dir/etcd" --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
		--listen-peer-urls http://127.0.0.1:2380 --unsafe-no-fsync
	daemon apiserver "$bin/kube" apiserver --etcd-servers http://127.0.0.1:2379 --bind-address $node --advertise-address $node --secure-port 6443 \
		--tls-cert-file "$pki/api.crt" --tls-private-key-file "$pki/api.key" --client-ca-file "$pki/ca.crt" --token-auth-file "$pki/tokens.csv" \
		--authorization-mode Node,RBAC --service-account-issuer https://kubernetes.default.svc --service-account-key-file "$pki/sa.pub" \
		--service-account-signing-key-file "$pki/sa.key" --service-cluster-ip-range $services.0/24 --allow-privileged \
		--kubelet-preferred-address-types InternalIP
	until_ 120 inside "$bin/kube" kubectl --kubeconfig "$dir/kubeconfig" get --raw /readyz || { tail -5 "$dir/log/apiserver.log" >&2; return 1; }
	daemon controllers "$bin/kube" controller-manager --kubeconfig "$dir/kubeconfig" --service-account-private-key-file "$pki/sa.key" \
		--root-ca-file "$pki/ca.crt" --leader-elect=false
	daemon scheduler "$bin/kube" scheduler --kubeconfig "$dir/kubeconfig" --leader-elect=false
}

node() {
	cat >"$dir/cni/10-bridge.conflist" <<-JSON
		{"cniVersion": "0.4.0", "name": "pods", "plugins": [
		 {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
		  "ipam": {"type": "host-local", "dataDir": "$dir/run/ipam", "ranges": [[{"subnet": "10.201.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
		 {"type": "portmap", "capabilities": {"portMappings": true}}]}
	JSON
	cat >"$dir/containerd.toml" <<-TOML
		version = 2
		root = "$dir/containerd"
		state = "$dir/run/containerd"
		[grpc]
		  address = "$dir/run/containerd.sock"
		[plugins."io.containerd.grpc.v1.cri"]
		  sandbox_image = "local/pause:1"
		  # Without CAP_SYS_RESOURCE, the OOM killer's scores cannot be lowered.
		  restrict_oom_score_adj = true
		  [plugins."io.containerd.grpc.v1.cri".cni]
		    bin_dir = "/usr/lib/cni"
		    conf_dir = "$dir/cni"
	TOML
	daemon containerd containerd -c "$dir/containerd.toml"
	until_ 30 test -S "$dir/run/containerd.sock"
	until_ 30 ctr -a "$dir/run/containerd.sock" version
	ctr -a "$dir/run/containerd.sock" -n k8s.io image import "$1" >"$dir/log/import.log"
	echo "nameserver 127.0.0.1" >"$dir/resolv.conf"
	cat >"$dir/kubelet.yaml" <<-YAML
		apiVersion: kubelet.config.k8s.io/v1beta1
		kind: KubeletConfiguration
		cgroupDriver: cgroupfs
		failCgroupV1: false
		cgroupRoot: /
		cgroupsPerQOS: true
		enforceNodeAllocatable: [pods]
		authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
		authorization: {mode: AlwaysAllow}
		failSwapOn: false
		containerRuntimeEndpoint: unix://$dir/run/containerd.sock
		resolvConf: $dir/resolv.conf
		clusterDNS: [$services.10]
		clusterDomain: cluster.local
		syncFrequency: 5s
		configMapAndSecretChangeDetectionStrategy: Watch
		evictionHard: {memory.available: 100Mi}
	YAML
	daemon kubelet "$bin/kube" kubelet --config "$dir/kubelet.yaml" --kubeconfig "$dir/kubeconfig" --root-dir "$dir/kubelet" \
		--cert-dir "$dir/kubelet/pki" --node-ip $node --hostname-override node1
	cat >"$dir/proxy.yaml" <<-YAML
		apiVersion: kubeproxy.config.k8s.io/v1alpha1
		kind: KubeProxyConfiguration
		mode: iptables
		clientConnection: {kubeconfig: $dir/kubeconfig}
		clusterCIDR: 10.201.0.0/24
		hostnameOverride: node1
		conntrack: {maxPerCore: 0, min: 0}
	YAML
	daemon proxy "$bin/kube" proxy --config "$dir/proxy.yaml"
	local kubectl=("$bin/kube" kubectl --kubeconfig "$dir/kubeconfig")
	until_ 60 inside "${kubectl[@]}" get node node1
	inside "${kubectl[@]}" wait --for=condition=Ready node/node1 --timeout=90s >/dev/null
	inside "${kubectl[@]}" apply -f "$(dirname "${BASH_SOURCE[0]}")/coredns.yaml" >/dev/null
	if [ -x "$bin/kube-router" ]; then
		NODE_NAME=node1 daemon kube-router "$bin/kube-router" --run-router=false --run-firewall=true --run-service-proxy=false \
			--kubeconfig "$dir/kubeconfig" --hostname-override node1 --service-cluster-ip-range $services.0/24 --metrics-port 0
	fi
}

down() {
	[ -d "$dir" ] || return 0
	local name pid task ctr=(ctr -a "$dir/run/containerd.sock" -n k8s.io)
	# First those that would start pods again.
	for name in kubelet proxy kube-router; do
		[ ! -f "$dir/run/$name.pid" ] || kill "$(cat "$dir/run/$name.pid")" 2>/dev/null || true
	done
	sleep 1
	if [ -S "$dir/run/containerd.sock" ]; then
		for task in $("${ctr[@]}" task ls -q 2>/dev/null); do "${ctr[@]}" task kill -s 9 "$task" || true; done
		sleep 1
		for task in $("${ctr[@]}" task ls -q 2>/dev/null); do "${ctr[@]}" task rm -f "$task" || true; done
		for task in $("${ctr[@]}" container ls -q 2>/dev/null); do "${ctr[@]}" container rm "$task" || true; done
	fi >/dev/null 2>&1
	for pid in $(tac "$dir/pids" 2>/dev/null); do kill "$pid" 2>/dev/null || true; done
	sleep 2
	for pid in $(cat "$dir/pids" 2>/dev/null); do kill -9 "$pid" 2>/dev/null || true; done
	grep -F " $dir" /proc/mounts | awk '{print $2}' | sort -r | xargs -r umount -l 2>/dev/null || true
	for name in $(ls /run/netns 2>/dev/null | grep '^cni-' || true); do ip netns del "$name" || true; done
	ip netns del kube 2>/dev/null || true
	[ ! -f "$dir/sysctl" ] || sysctl -qp "$dir/sysctl" || true
	find /sys/fs/cgroup -depth -type d -path '*/kubepods*' -exec rmdir {} + 2>/dev/null || true
}

what=${1:-}
shift || true
if [ "$what" = in ]; then
	inside "$@"
	exit
fi
dir=$(realpath -m "${1:?cluster.sh: expected a folder}")
shift
case $what in
control) control ;;
node) node "$@" ;;
down) down ;;
*) echo "cluster.sh: expected control, node, down or in" >&2; exit 2 ;;
esac
