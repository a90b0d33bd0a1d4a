#!/usr/bin/env bash
# The chart and the sidecar on a real cluster: install, test, upgrade, rollback, kill -9, a rotated key, a drained node, rolling updates with
# messages flowing, network policies, the order in which a sidecar starts. Everything is read back by a plain NATS client.
#
#   pods.sh DIR       the node of `cluster.sh node DIR IMAGES` runs already
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
deploy=$(cd "$here/../../deploy" && pwd)
dir=$(realpath -m "${1:?pods.sh: expected a folder}")
bin=${KUBE_CACHE:-$HOME/.cache/twochat-kube}/bin
export KUBECONFIG=$dir/kubeconfig
in_cluster() { "$here/cluster.sh" in "$@"; }
kubectl() { in_cluster "$bin/kube" kubectl "$@"; }
helm() { in_cluster "$bin/helm" --namespace whatsapp "$@"; }
fail() {
	echo "FAILED: $*" >&2
	kubectl get pods -A -o wide >&2 || true
	kubectl -n whatsapp logs deployment/chat-twochat-connector -c connector --tail=20 >&2 || true
	exit 1
}
say() { printf '%4d s  %s\n' $((SECONDS)) "$*"; }
SECONDS=0

# within SECONDS TEXT COMMAND …: waits until it succeeds.
within() {
	local end=$((SECONDS + $1)) what=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || fail "not in time: $what"
		sleep 0.5
	done
}
rolled() { kubectl -n whatsapp rollout status deployment/chat-twochat-connector --timeout=120s >/dev/null || fail "$1"; }
fake() { in_cluster curl -fsS --max-time 70 -X "$1" "http://$fake:9900/-/$2"; }
nats_url() { echo "nats://$(kubectl -n world get service nats -o jsonpath='{.spec.clusterIP}'):4222"; }
# audited WHAT: holds still, and wants all that is listed to be in the stream once.
clean() { fake GET "audit?nats=$(nats_url)&stream=WHATSAPP" >"$dir/audit"; }
audited() {
	fake POST quiet
	within 60 "$1: every message once" clean
	say "$1: $(tr '\n' ';' <"$dir/audit")"
	fake POST resume
}
# read_through WHAT COMMAND …: no stream may stand unread for more than 15 s meanwhile.
read_through() {
	local what=$1 gap
	shift
	fake POST mark
	"$@"
	sleep 5
	gap=$(fake GET unread)
	awk -v gap="$gap" 'BEGIN { exit !(gap <= 15) }' || fail "$what: a stream was not read for $gap s"
	say "$what: no stream unread for more than $gap s"
}
wait_for_pods() { kubectl -n "$1" wait --for=condition=Available deployment --all --timeout=120s >/dev/null || fail "the pods of $1"; }

mkdir -p "$dir/nats" "$dir/sidecar"
chmod 777 "$dir/sidecar"
DIR=$dir envsubst '$DIR' <"$here/world.yaml" | kubectl apply -f - >/dev/null
for namespace in whatsapp shop monitoring elsewhere; do kubectl create namespace $namespace >/dev/null 2>&1 || true; done
kubectl label --overwrite namespace whatsapp shop pod-security.kubernetes.io/enforce=restricted >/dev/null
for namespace in whatsapp shop; do kubectl -n $namespace create secret generic twochat --from-literal=api-key=first >/dev/null; done
kubectl -n kube-system wait --for=condition=Available deployment/coredns --timeout=120s >/dev/null || fail "CoreDNS"
wait_for_pods world
fake=$(kubectl -n world get service fake -o jsonpath='{.spec.clusterIP}')
say "the cluster, a NATS server and a fake 2Chat are ready"

helm install chat "$deploy/helm/twochat-connector" --values "$here/values.yaml" --wait --timeout 2m >/dev/null || fail "helm install"
say "installed and ready"
helm test chat --timeout 1m >/dev/null || fail "helm test"
audited "helm install, helm test"

read_through "helm upgrade" helm upgrade chat "$deploy/helm/twochat-connector" --values "$here/values.yaml" --set config.poll.max_interval=3s --wait --timeout 2m >/dev/null
read_through "helm rollback" helm rollback chat 1 --wait --timeout 2m >/dev/null
rolled "rollback"
restart() { kubectl -n whatsapp rollout restart deployment/chat-twochat-connector >/dev/null && rolled "a rolling update"; }
for _ in 1 2 3; do read_through "rolling update" restart; done
audited "upgrade, rollback, three rolling updates"

pod() { kubectl -n whatsapp get pods -l app.kubernetes.io/instance=chat,app.kubernetes.io/name=twochat-connector --field-selector=status.phase=Running -o jsonpath='{.items[0].metadata.name}'; }
restarts() { kubectl -n whatsapp get pod "$1" -o jsonpath='{.status.containerStatuses[0].restartCount}'; }
one_pod() { [ "$(kubectl -n whatsapp get pods -l app.kubernetes.io/name=twochat-connector --no-headers | wc -l)" = 1 ]; }
within 60 "one pod" one_pod
victim=$(pod)
kill -9 $(pgrep -f '^/usr/local/bin/twochat-connector run --config') || fail "there is no process to kill"
again() { [ "$(restarts "$victim")" -ge 1 ] && kubectl -n whatsapp wait --for=condition=Ready "pod/$victim" --timeout=1s; }
within 60 "the killed container runs again" again
audited "kill -9 in the pod"

before=$(restarts "$victim")
kubectl -n whatsapp create secret generic twochat --from-literal=api-key=second --dry-run=client -o yaml | kubectl apply -f - >/dev/null 2>&1
mounted() { kubectl -n whatsapp exec "$victim" -c connector -- /usr/local/bin/twochat-connector version; [ "$(cat "$dir"/kubelet/pods/*/volumes/kubernetes.io~secret/api-key/api-key)" = second ]; }
within 120 "the rotated secret is mounted" mounted
fake POST 'key?is=second'
sleep 8
kubectl -n whatsapp wait --for=condition=Ready "pod/$victim" --timeout=90s >/dev/null || fail "the rotated key is not read"
audited "the key rotated under the running pod"
[ "$(restarts "$victim")" = "$before" ] || fail "the pod restarted"

kubectl drain node1 --ignore-daemonsets --delete-emptydir-data --force --timeout=60s --pod-selector='app notin (fake)' >"$dir/drain" 2>&1 || { cat "$dir/drain"; fail "drain"; }
kubectl uncordon node1 >/dev/null
wait_for_pods kube-system
wait_for_pods world
wait_for_pods whatsapp
audited "the node drained"

# status_from NAMESPACE: whether a pod there reaches the admin port.
status_from() {
	local name=ask-$RANDOM
	kubectl -n "$1" run $name --image=local/twochat-connector:1 --image-pull-policy=Never --restart=Never -- \
		status --wait "$3" --admin http://chat-twochat-connector.whatsapp.svc:8080 >/dev/null
	kubectl -n "$1" wait --for=jsonpath='{.status.phase}'=Succeeded "pod/$name" --timeout="$2" >/dev/null 2>&1
}
if [ -x "$bin/kube-router" ]; then
	status_from monitoring 40s 30s || fail "the namespace that may ask the admin port is kept out"
	if status_from elsewhere 15s 1s; then fail "a namespace that may not reaches the admin port"; fi
	say "network policy: monitoring reaches the admin port, another namespace does not; the connector reaches its sink"
else
	echo "SKIPPED: kube-router is not built, so that network policies are not enforced"
fi
helm uninstall chat --wait >/dev/null

# The sidecar: 2Chat cannot be reached when the pod starts, and the app starts all the same.
mkdir -p "$dir/overlay"
cp -r "$deploy/kubernetes" "$dir/overlay/"
cat >"$dir/overlay/kubernetes/components/sidecar/config.yaml" <<YAML
twochat:
  base_url: http://127.0.0.1:9901
  api_key_file: /etc/twochat/api-key
  streams: [{ number: "+15550100100" }]
start: beginning
poll: { min_interval: 2s, max_interval: 4s, requests_per_minute: 600 }
sink: { embedded: { listen: "127.0.0.1:4222", dir: /data/embedded } }
admin: { listen: ":8081" }
YAML
cat >>"$dir/overlay/kubernetes/overlays/sidecar/kustomization.yaml" <<'YAML'
images:
  - { name: ghcr.io/twochat-connector/twochat-connector, newName: local/twochat-connector, newTag: "1" }
patches:
  - target: { kind: Deployment, name: app }
    patch: |
      - { op: replace, path: /spec/template/spec/containers/0/args/4, value: "+15550100100" }
  - target: { kind: PersistentVolumeClaim }
    patch: |
      - { op: add, path: /spec/storageClassName, value: "" }
YAML
kubectl -n shop create secret generic twochat --from-literal=api-key=second --dry-run=client -o yaml | kubectl apply -f - >/dev/null 2>&1
kubectl kustomize "$dir/overlay/kubernetes/overlays/sidecar" | kubectl apply -f - >/dev/null
app_runs() { [ "$(kubectl -n shop get pods -l app=shop -o jsonpath='{.items[0].status.containerStatuses[0].started}')" = true ]; }
within 60 "the app starts beside the sidecar while 2Chat is down" app_runs
started() { kubectl -n shop get pods -l app=shop -o jsonpath="{.items[0].status.$1.state.running.startedAt}"; }
[[ "$(started 'initContainerStatuses[0]')" < "$(started 'containerStatuses[0]')" || "$(started 'initContainerStatuses[0]')" = "$(started 'containerStatuses[0]')" ]] || fail "the app started before the sidecar"
say "sidecar: the app starts after it, with 2Chat down"
address=$(kubectl -n shop get pods -l app=shop -o jsonpath='{.items[0].status.podIP}')
sidecar_pid=$(pgrep -f '^/usr/local/bin/twochat-connector run --config' | head -1)
setsid nohup nsenter --net="/proc/$sidecar_pid/ns/net" "$dir/images/fake" forward 127.0.0.1:9901 "$fake:9900" >"$dir/log/forward.log" 2>&1 </dev/null &
echo "$!" >>"$dir/pids"
app_reads() { [ "$(kubectl -n shop logs deployment/app -c app | wc -l)" -ge 500 ]; }
within 120 "the app reads events at nats://127.0.0.1:4222" app_reads
in_cluster curl -fsS "http://$address:8081/healthz" >/dev/null || fail "the sidecar's probe"
say "sidecar: the app has read $(kubectl -n shop logs deployment/app -c app | wc -l) events from the embedded server"
began=$SECONDS
kubectl -n shop delete deployment app --wait --cascade=foreground --timeout=60s >/dev/null
say "sidecar: app and sidecar ended in $((SECONDS - began)) s"
echo "kubernetes: all as it should be in $SECONDS s"
