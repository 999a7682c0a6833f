// What istiod sends to one sidecar or waypoint, from files: no cluster, no API server.
//
//	istiod-sidecar sidecar|waypoint MESH KUBERNETES ISTIO NAMESPACE IP LABEL=VALUE…
//
// MESH is a MeshConfig, KUBERNETES core objects (Service, Pod …), ISTIO Istio's own. Prints one JSON object:
// listeners and clusters, as Envoy's xDS has them.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"istio.io/istio/pilot/pkg/features"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/test"
)

func main() {
	if err := test.Wrap(run); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(t test.Failer) {
	kind := map[string]model.NodeType{"sidecar": model.SidecarProxy, "waypoint": model.Waypoint}[os.Args[1]]
	meshConfig, err := mesh.ApplyMeshConfigDefaults(read(t, os.Args[2]))
	if err != nil {
		t.Fatal(err)
	}
	kubernetes, istio := read(t, os.Args[3]), read(t, os.Args[4])
	if kind == model.Waypoint {
		// The index of ambient reads Istio's objects as Kubernetes' own, the rest reads the Gateway as configuration.
		features.EnableAmbient = true
		kubernetes += "\n---\n" + istio
		istio = kubernetes
	}
	server := xds.NewFakeDiscoveryServer(t, xds.FakeOptions{
		MeshConfig:             meshConfig,
		KubernetesObjectString: kubernetes,
		ConfigString:           istio,
	})
	namespace, labels := os.Args[5], map[string]string{}
	for _, pair := range os.Args[7:] {
		key, value, _ := strings.Cut(pair, "=")
		labels[key] = value
	}
	proxy := server.SetupProxy(&model.Proxy{
		Type:            kind,
		ConfigNamespace: namespace,
		IPAddresses:     []string{os.Args[6]},
		Labels:          labels,
		Metadata:        &model.NodeMetadata{Namespace: namespace, Labels: labels, IstioVersion: "1.31.0"},
	})
	print(t, map[string][]json.RawMessage{
		"listeners": messages(t, server.Listeners(proxy)),
		"clusters":  messages(t, server.Clusters(proxy)),
	})
}

func messages[M proto.Message](t test.Failer, found []M) []json.RawMessage {
	result := []json.RawMessage{}
	for _, message := range found {
		text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		result = append(result, text)
	}
	return result
}

func read(t test.Failer, file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func print(t test.Failer, value any) {
	if err := json.NewEncoder(os.Stdout).Encode(value); err != nil {
		t.Fatal(err)
	}
}
