#!/usr/bin/env bash
# A real API server strictly validates what the chart and the overlays render, with the real custom resource definitions.
#
#   validate.sh DIR       the control plane of `cluster.sh control DIR` has to run already
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
deploy=$(cd "$here/../../deploy" && pwd)
dir=$(realpath -m "${1:?validate.sh: expected a folder}")
bin=${KUBE_CACHE:-$HOME/.cache/twochat-kube}/bin
kubectl() { "$here/cluster.sh" in "$bin/kube" kubectl --kubeconfig "$dir/kubeconfig" "$@"; }
skipped=0
skip() { echo "SKIPPED: $1"; skipped=$((skipped + 1)); }

# definitions MODULE VERSION FILES: applies the custom resource definitions that a Go module contains.
definitions() {
	local folder
	folder=$(cd / && GOFLAGS='' go mod download -json "$1@$2" 2>/dev/null | sed -n 's/.*"Dir": "\(.*\)".*/\1/p' || true)
	[ -n "$folder" ] || { skip "the definitions of $1 cannot be fetched"; return 0; }
	# shellcheck disable=SC2086 # the files are a pattern
	for file in $folder/$3; do kubectl apply --server-side -f "$file" >/dev/null; done
}
kubectl apply --server-side -f "$here/crd" >/dev/null
definitions github.com/prometheus-operator/prometheus-operator v0.85.0 'example/prometheus-operator-crd/*rules.yaml'
definitions github.com/prometheus-operator/prometheus-operator v0.85.0 'example/prometheus-operator-crd/*monitors.yaml'
definitions github.com/external-secrets/external-secrets v1.3.2 'config/crds/bases/external-secrets.io_externalsecrets.yaml'
definitions github.com/argoproj/argo-cd/v3 v3.2.0 'manifests/crds/application-crd.yaml'
for _ in $(seq 20); do kubectl wait --for=condition=Established crd --all --timeout=60s >/dev/null 2>&1 && break; sleep 1; done
for namespace in whatsapp shop argocd; do kubectl create namespace $namespace >/dev/null 2>&1 || true; done
kubectl label --overwrite namespace whatsapp shop default pod-security.kubernetes.io/enforce=restricted pod-security.kubernetes.io/warn=restricted >/dev/null

failed=0 valid=0
# ask NAME ARGUMENT…: validates the manifest on standard input. A warning counts as a failure.
ask() {
	local answer
	if answer=$(kubectl apply --server-side --dry-run=server --validate=strict "${@:2}" -f - 2>&1) && ! grep -q '^Warning' <<<"$answer"; then
		valid=$((valid + 1))
	else
		echo "REFUSED: $1"
		grep -v 'serverside-applied' <<<"$answer" || true
		failed=$((failed + 1))
	fi
}
for helm in helm helm3; do
	[ -x "$bin/$helm" ] || { skip "$helm is not built"; continue; }
	for values in "$deploy"/helm/twochat-connector/ci/*.yaml; do
		"$bin/$helm" template chat "$deploy/helm/twochat-connector" --namespace whatsapp --kube-version 1.35.0 --values "$values" >"$dir/rendered.yaml"
		ask "$helm $(basename "$values")" <"$dir/rendered.yaml"
	done
	"$bin/$helm" lint --strict --quiet "$deploy/helm/twochat-connector" --values "$deploy/helm/twochat-connector/ci/jetstream.yaml" || failed=$((failed + 1))
done
for overlay in overlays/deployment overlays/sidecar; do
	kubectl kustomize "$deploy/kubernetes/$overlay" >"$dir/rendered.yaml"
	ask "$overlay" <"$dir/rendered.yaml"
done
kubectl kustomize "$deploy/kubernetes/base" >"$dir/rendered.yaml"
ask base <"$dir/rendered.yaml"
for example in "$deploy"/kubernetes/examples/*.yaml; do ask "$(basename "$example")" <"$example"; done
# The schema of the chart's values has the keys of this API.
kubectl get --raw /openapi/v2 >"$dir/openapi.json"
(cd "$deploy" && TWOCHAT_CONNECTOR_TEST_OPENAPI=$dir/openapi.json go test -count=1 -run '^TestSchema_Kubernetes$' .) || failed=$((failed + 1))
# A wrong manifest has to be refused, otherwise the checks above prove nothing.
if printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: x }\ndatum: {}\n' | kubectl apply --server-side --dry-run=server --validate=strict -n whatsapp -f - >/dev/null 2>&1; then
	echo "the API server takes an unknown field"
	failed=$((failed + 1))
fi
echo "validated by the API server: $valid, refused: $failed, skipped: $skipped"
[ $failed -eq 0 ]
