#!/usr/bin/env bash
# The chart and the overlays on a real cluster. The commands of deploy/README.md are run as printed, from `helm install` to
# events in the broker; then upgrade, rollback, kill -9, a rotated key, a drained node, rolling updates while messages
# come in, network policies, token and TLS of the admin server, the order in which a sidecar starts, and the volume of the
# embedded server. A plain NATS client reads everything back.
#
#   pods.sh DIR       the node of `cluster.sh node DIR IMAGES` has to run already
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
deploy=$(cd "$here/../../deploy" && pwd)
dir=$(realpath -m "${1:?pods.sh: expected a folder}")
bin=${KUBE_CACHE:-$HOME/.cache/twochat-kube}/bin
export KUBECONFIG=$dir/kubeconfig
in_cluster() { "$here/cluster.sh" in "$@"; }
kubectl() { in_cluster "$bin/kube" kubectl "$@"; }
helm() { in_cluster "$bin/helm" --namespace whatsapp "$@"; }
chart=$deploy/helm/twochat-connector
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
streams=15550100100,15550100101,15550100102
# audited WHAT [STREAMS [NOW]]: stops new messages, and checks that everything listed is in the log once. NOW is the stream
# that began with `start: now`.
clean() { fake GET "audit?nats=nats://$nats:4222&log=WHATSAPP&of=$1&now=$2" >"$dir/audit"; }
audited() {
	fake POST quiet
	within 90 "$1: every message once" clean "${2:-$streams}" "${3:-}"
	say "$1: $(tr '\n' ';' <"$dir/audit")"
	fake POST resume
}
# read_through WHAT COMMAND …: checks that no stream is unread for more than 20 s, twice the time that a replica counts
# which is not heard of, during the command.
read_through() {
	local what=$1 gap
	shift
	fake POST "mark?of=$streams"
	"$@"
	sleep 5
	gap=$(fake GET unread)
	awk -v gap="$gap" 'BEGIN { exit !(gap <= 20) }' || fail "$what: a stream was not read for $gap s"
	say "$what: no stream unread for more than $gap s"
}
wait_for_pods() { kubectl -n "$1" wait --for=condition=Available deployment --all --timeout=120s >/dev/null || fail "the pods of $1"; }


# A user has a checkout, helm and kubectl.
mkdir -p "$dir/checkout" "$dir/path"
cp -rL "$deploy" "$dir/checkout/"
printf '#!/bin/sh\nexec "%s" in "%s" "$@"\n' "$here/cluster.sh" "$bin/helm" >"$dir/path/helm"
printf '#!/bin/sh\nexec "%s" in "%s" kubectl "$@"\n' "$here/cluster.sh" "$bin/kube" >"$dir/path/kubectl"
chmod +x "$dir"/path/*
# as_printed COMMAND: runs it as printed, except for the key. A command that follows a log has to show three events in a
# minute, and is then ended.
as_printed() {
	local command=${1//UAK…/UAKfirst}
	say "\$ $1"
	case $1 in
	*' --follow' | *' tail')
		(cd "$dir/checkout" && PATH=$dir/path:$PATH timeout 60 bash -c "$command" | head -n 3) >"$dir/said" 2>&1 || true
		[ "$(wc -l <"$dir/said")" = 3 ] || { cat "$dir/said" >&2; fail "as printed: $1"; }
		;;
	*) (cd "$dir/checkout" && PATH=$dir/path:$PATH bash -euo pipefail -c "$command") >"$dir/said" 2>&1 || { cat "$dir/said" >&2; fail "as printed: $1"; } ;;
	esac
	case $1 in *"create namespace "*) kubectl label --overwrite namespace "${1##* }" pod-security.kubernetes.io/enforce=restricted >/dev/null ;; esac
}
# stranger HEADING: runs all commands that are printed below it, as a user would.
stranger() {
	local commands command
	"$here/printed.sh" files "$1" >"$dir/checkout/my.yaml" 2>/dev/null || true
	mapfile -t commands < <("$here/printed.sh" commands "$1")
	[ ${#commands[@]} -gt 2 ] || fail "deploy/README.md prints no commands below $1"
	for command in "${commands[@]}"; do as_printed "$command"; done
}

mkdir -p "$dir"/{nats,sidecar,embedded}
chmod 777 "$dir/sidecar" "$dir/embedded"
DIR=$dir envsubst '$DIR' <"$here/world.yaml" | kubectl apply -f - >/dev/null
for namespace in monitoring elsewhere; do kubectl create namespace $namespace >/dev/null; done
# They are left from when the API server alone validated the manifests.
kubectl delete namespace whatsapp shop --ignore-not-found --wait >/dev/null
kubectl -n kube-system wait --for=condition=Available deployment/coredns --timeout=120s >/dev/null || fail "CoreDNS"
wait_for_pods world
wait_for_pods nats
fake=$(kubectl -n world get service fake -o jsonpath='{.spec.clusterIP}')
nats=$(kubectl -n nats get service nats -o jsonpath='{.spec.clusterIP}')
say "the cluster, a NATS server and a fake 2Chat are ready"

stranger "With Helm"
audited "as printed: helm install" shop shop

helm upgrade chat "$chart" --values "$here/values.yaml" --wait --timeout 2m >/dev/null || fail "helm upgrade"
audited "helm upgrade to other streams"
read_through "helm upgrade" helm upgrade chat "$chart" --values "$here/values.yaml" --set config.poll.max_interval=3s --wait --timeout 2m >/dev/null
read_through "helm rollback" helm rollback chat 2 --wait --timeout 2m >/dev/null
rolled "rollback"
restart() { kubectl -n whatsapp rollout restart deployment/chat-twochat-connector >/dev/null && rolled "a rolling update"; }
for _ in 1 2; do read_through "rolling update" restart; done
audited "upgrade, rollback, two rolling updates"

# Three replicas share the streams, whatever replaces them. ROLLOUTS is how often all of them are replaced.
scaled() { kubectl -n whatsapp scale deployment/chat-twochat-connector --replicas="$1" >/dev/null && rolled "$1 replicas"; }
read_through "three replicas" scaled 3
for _ in $(seq "${ROLLOUTS:-2}"); do read_through "rolling update of three replicas" restart; done
kill_one() { kill -9 "$(pgrep -f '^/usr/local/bin/twochat-connector run --config' | head -n 1)" && sleep 15; }
read_through "kill -9 of one of three replicas" kill_one
read_through "one replica again" scaled 1
audited "three replicas, replaced, one killed"

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
kubectl -n whatsapp create secret generic twochat --from-literal=api-key=UAKsecond --dry-run=client -o yaml | kubectl apply -f - >/dev/null 2>&1
mounted() { kubectl -n whatsapp exec "$victim" -c connector -- /usr/local/bin/twochat-connector version; [ "$(cat "$dir"/kubelet/pods/*/volumes/kubernetes.io~secret/api-key/api-key)" = UAKsecond ]; }
within 120 "the rotated secret is mounted" mounted
fake POST 'key?is=UAKsecond'
sleep 8
kubectl -n whatsapp wait --for=condition=Ready "pod/$victim" --timeout=90s >/dev/null || fail "the rotated key is not read"
audited "the key rotated under the running pod"
[ "$(restarts "$victim")" = "$before" ] || fail "the pod restarted"

kubectl drain node1 --ignore-daemonsets --delete-emptydir-data --force --timeout=60s --pod-selector='app notin (fake)' >"$dir/drain" 2>&1 || { cat "$dir/drain"; fail "drain"; }
kubectl uncordon node1 >/dev/null
wait_for_pods kube-system
wait_for_pods nats
wait_for_pods whatsapp
audited "the node drained"

# status_from NAMESPACE: succeeds if a pod there reaches the admin port.
status_from() {
	local name=ask-$RANDOM
	kubectl -n "$1" run $name --image=ghcr.io/twochat-connector/twochat-connector:0.1.0 --restart=Never -- \
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

# With a token and a certificate: the probes of the pod and `helm test` know of both, others get nothing.
server=chat-twochat-connector.whatsapp.svc
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$dir/admin.key" -out "$dir/admin.crt" -days 2 -subj "/CN=$server" -addext "subjectAltName=DNS:$server" 2>/dev/null
openssl rand -hex 32 >"$dir/token"
kubectl -n whatsapp create secret generic twochat-admin --from-file=token="$dir/token" >/dev/null
kubectl -n whatsapp create secret generic twochat-admin-tls --from-file=tls.crt="$dir/admin.crt" --from-file=tls.key="$dir/admin.key" --from-file=ca.crt="$dir/admin.crt" >/dev/null
helm upgrade chat "$chart" --values "$here/values.yaml" --set adminToken.existingSecret=twochat-admin,adminTLS.existingSecret=twochat-admin-tls,networkPolicy.enabled=false \
	--wait --timeout 2m >/dev/null || fail "helm upgrade to a token and TLS"
helm test chat --timeout 1m >/dev/null || fail "helm test with a token and TLS"
address=$(kubectl -n whatsapp get service chat-twochat-connector -o jsonpath='{.spec.clusterIP}')
# admin PATH OPTION …: the code of the answer.
admin() { in_cluster curl -s -o /dev/null -w '%{http_code}' --max-time 10 --cacert "$dir/admin.crt" --resolve "$server:8080:$address" "https://$server:8080/$1" "${@:2}"; }
codes="$(admin status) $(admin metrics) $(admin status -H 'Authorization: Bearer wrong') $(admin status -H "Authorization: Bearer $(cat "$dir/token")") $(admin readyz)"
[ "$codes" = "401 401 401 200 200" ] || fail "with a token and TLS the admin server answers $codes"
audited "a token and TLS: probes and helm test have both, who has no token gets 401"
helm uninstall chat --wait >/dev/null
kubectl delete namespace whatsapp --wait >/dev/null
fake POST 'key?is=UAKfirst'

# With Kustomize, into the same log: the stream shop continues where it was.
stranger "With Kustomize"
audited "as printed: kubectl apply -k" shop,support shop
kubectl delete -k "$deploy/kubernetes/overlays/deployment" --wait >/dev/null

# The embedded server keeps its data on the volume of its StatefulSet. This also tests the older Helm.
helm() { in_cluster "$bin/helm3" --namespace whatsapp "$@"; }
helm install chat "$chart" --values "$chart/ci/embedded.yaml" --wait --timeout 2m >/dev/null || fail "helm install with the embedded server"
sequences() { kubectl -n whatsapp logs chat-twochat-connector-0 -c reader 2>/dev/null | sed -n 's/.*"sequence":"0*\([0-9]*\)".*/\1/p'; }
newest() { sequences | tail -n 1; }
beyond() { [ "$(newest || echo 0)" -gt "$1" ]; }
within 60 "the reader beside the embedded server" beyond 500
before=$(newest)
kubectl -n whatsapp delete pod chat-twochat-connector-0 --wait >/dev/null
within 60 "the next pod goes on after $before" beyond "$before"
[ "$(sequences | head -n 1)" -gt $((before - 500)) ] || fail "the embedded server began anew, at $(sequences | head -n 1)"
say "embedded: after another pod took the volume over, the log went on from $before to $(newest)"
helm uninstall chat --wait >/dev/null

# The sidecar: the app starts although 2Chat cannot be reached when the pod starts.
route() { kubectl -n world patch service api --type merge -p "{\"spec\": {\"selector\": {\"app\": \"$1\"}}}" >/dev/null; }
route nobody
mapfile -t commands < <("$here/printed.sh" commands "As a sidecar")
for command in "${commands[@]:0:3}"; do as_printed "$command"; done
app_runs() { [ "$(kubectl -n shop get pods -l app=shop -o jsonpath='{.items[0].status.containerStatuses[0].started}')" = true ]; }
within 60 "the app starts beside the sidecar while 2Chat is down" app_runs
started() { kubectl -n shop get pods -l app=shop -o jsonpath="{.items[0].status.$1.state.running.startedAt}"; }
[[ "$(started 'initContainerStatuses[0]')" < "$(started 'containerStatuses[0]')" || "$(started 'initContainerStatuses[0]')" = "$(started 'containerStatuses[0]')" ]] || fail "the app started before the sidecar"
say "sidecar: the app starts after it, with 2Chat down"
route fake
as_printed "${commands[3]}"
address=$(kubectl -n shop get pods -l app=shop -o jsonpath='{.items[0].status.podIP}')
in_cluster curl -fsS "http://$address:8081/healthz" >/dev/null || fail "the sidecar's probe"
say "sidecar: the app has read $(kubectl -n shop logs deployment/app -c app | wc -l) events from the embedded server"
began=$SECONDS
kubectl -n shop delete deployment app --wait --cascade=foreground --timeout=60s >/dev/null
say "sidecar: app and sidecar ended in $((SECONDS - began)) s"
echo "kubernetes: all as it should be in $SECONDS s"
