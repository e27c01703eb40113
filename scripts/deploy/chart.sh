#!/usr/bin/env bash
# The Helm chart in each of its forms: helm lint, its manifests decoded strictly into Kubernetes' types and held against the
# CustomResourceDefinitions of Prometheus Operator, KEDA, the Gateway API inference extension and KServe, its settings against
# loopserve's own check, and values that must be refused. Everything comes from the Go proxy at a pinned version.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
make --no-print-directory build >/dev/null
unset GOFLAGS
helm=$work/helm
mkdir -p "$work/tool" && (cd "$work/tool" && GOBIN="$work" go install helm.sh/helm/v3/cmd/helm@v3.22.0) 2>"$work/log" || { tail -3 "$work/log"; echo "SKIP chart: helm could not be built"; exit 77; }
(cd scripts/deploy/kubecheck && go build -o "$work/" . ./envoy)
"$work/envoy" <deploy/balancer/envoy.yaml && echo "envoy.yaml: decodes strictly into Envoy's messages"
crds=()
crd() { # MODULE FILE: a CustomResourceDefinition as its project ships it
  local dir; dir=$(cd "$work/tool" && go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
  crds+=("$dir/$2")
}
crd github.com/prometheus-operator/prometheus-operator@v0.85.0 example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml
crd github.com/kedacore/keda/v2@v2.21.0 config/crd/bases/keda.sh_scaledobjects.yaml
crd sigs.k8s.io/gateway-api-inference-extension@v1.3.0 config/crd/bases/inference.networking.k8s.io_inferencepools.yaml
crd sigs.k8s.io/gateway-api-inference-extension@v1.3.0 config/crd/bases/inference.networking.x-k8s.io_inferenceobjectives.yaml
crd github.com/kserve/kserve@v0.16.0 config/crd/full/serving.kserve.io_servingruntimes.yaml

chart=deploy/helm/loopserve
keyed=(--set 'apiKeys={a-long-key,another-key}')
check() { # NAME VALUES...
  "$helm" lint --kube-version 1.34 --strict --quiet "$chart" "${@:2}" >"$work/log" || { cat "$work/log"; exit 1; }
  "$helm" template "$1" "$chart" --kube-version 1.34 --namespace ai "${@:2}" >"$work/$1.yaml"
  echo "$1: $("$work/kubecheck" "${crds[@]}" <"$work/$1.yaml")"
  # What the replica will read, with models that are here and keys in a file that is here.
  sed -n '/^  loopserve.yaml: |/,/^---/ { s/^    //p }' "$work/$1.yaml" | sed "s#/opt/loopserve/models#models#; s#/etc/loopserve-keys/keys#$work/keys#" >"$work/settings.yaml"
  echo a-long-key >"$work/keys"
  bin/loopserve config --config "$work/settings.yaml" --check >/dev/null
}
refused() { # VALUES...
  if "$helm" template x "$chart" --kube-version 1.34 "$@" >"$work/log" 2>&1; then echo "not refused: $*" >&2; exit 1; fi
}
check plain "${keyed[@]}"
check open --set settings.insecure=true --set networkPolicy.enabled=false --set topologyKey= --set drainDelaySeconds=0
check hub --set existingSecret=mine --set 'models={hf:ByteDance/Ouro-1.4B}' --set cache.size=50Gi --set cache.storageClass=fast --set settings.weights=int4 \
  --set 'env[0].name=HF_TOKEN,env[0].valueFrom.secretKeyRef.name=hub,env[0].valueFrom.secretKeyRef.key=token'
check scaled "${keyed[@]}" --set autoscaling.kind=hpa --set serviceMonitor.enabled=true --set serviceMonitor.labels.release=prometheus \
  --set-json 'networkPolicy.metricsFrom=[{"namespaceSelector":{"matchLabels":{"name":"monitoring"}}}]'
check keda "${keyed[@]}" --set serviceMonitor.enabled=true --set autoscaling.kind=keda --set cache.size=50Gi
check gateway "${keyed[@]}" --set inferencePool.enabled=true --set servingRuntime.enabled=true
check bundles "${keyed[@]}" --set bundles.claim=bundles --set 'verify={/bundles/mine}' --set 'models={/opt/loopserve/models}' --set 'image.pullSecrets[0].name=registry' \
  --set nodeSelector.zone=a --set 'tolerations[0].key=gpu' --set disruptionBudget.minAvailable=1
refused
refused --set 'apiKeys={short}'
refused "${keyed[@]}" --set autoscaling.kind=vpa
refused "${keyed[@]}" --set autoscaling.kind=keda
refused "${keyed[@]}" --set replica=3
refused "${keyed[@]}" --set-json 'models=[]'
echo "chart: refuses a start without keys, short keys, unknown values"
if sed 's/maxUnavailable: 0/maxUnavailabl: 0/' "$work/plain.yaml" | "$work/kubecheck" 2>/dev/null; then echo "an unknown field passed" >&2; exit 1; fi
