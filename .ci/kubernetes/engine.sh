# To be sourced: a Docker engine below the folder $work, in a network namespace of its own (engine), so that none of its
# rules and bridges reaches the machine's network. Containers reach each other and the namespace, and nothing outside.
export DOCKER_HOST=unix://$work/docker.sock DOCKER_BUILDKIT=1 DOCKER_CONFIG=$work/client
docker() { /usr/bin/docker "$@"; }
in_engine() { nsenter --net=/run/netns/engine "$@"; }

engine_start() {
	mkdir -p "$work/client"
	ip netns add engine 2>/dev/null || true
	in_engine ip link set lo up
	in_engine sysctl -qw net.ipv4.ip_forward=1
	setsid nohup nsenter --net=/run/netns/engine dockerd --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/docker.pid" \
		-H "$DOCKER_HOST" --bip 10.203.0.1/24 --default-address-pool base=10.204.0.0/16,size=24 >"$work/dockerd.log" 2>&1 </dev/null &
	for _ in $(seq 300); do docker version >/dev/null 2>&1 && break; sleep 0.2; done
	docker version >/dev/null || { tail -3 "$work/dockerd.log" >&2; fail "the engine does not start"; }
}

engine_stop() {
	# An engine that is started again with the same images has no data.
	docker ps -aq 2>/dev/null | xargs -r /usr/bin/docker rm -f >/dev/null 2>&1 || true
	{ docker network prune -f && docker volume prune -f; } >/dev/null 2>&1 || true
	local engine=''
	[ ! -f "$work/docker.pid" ] || engine=$(cat "$work/docker.pid")
	[ -z "$engine" ] || kill "$engine" 2>/dev/null || true
	# Waits for the process, not only for its socket: right afterwards the folder may be moved, and another engine started
	# in it.
	for _ in $(seq 300); do [ -n "$engine" ] && kill -0 "$engine" 2>/dev/null || break; sleep 0.1; done
	rm -f "$work/docker.pid" "$work/docker.sock"
	grep -F " $work" /proc/mounts | awk '{print $2}' | sort -r | xargs -r umount -l 2>/dev/null || true
	ip netns del engine 2>/dev/null || true
}
