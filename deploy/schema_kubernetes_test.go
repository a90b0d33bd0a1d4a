package deploy

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// openAPIVariable names a file with the answer of an API server at /openapi/v2.
const openAPIVariable = "TWOCHAT_CONNECTOR_TEST_OPENAPI"

// apiType is a definition of the API server's, or a property of one.
type apiType struct {
	Ref        string             `json:"$ref"`
	Properties map[string]apiType `json:"properties"`
	Items      *apiType           `json:"items"`
	Required   []string           `json:"required"`
}

const (
	core = "io.k8s.api.core.v1."
	net  = "io.k8s.api.networking.v1."
)

// The values taken from Kubernetes have exactly the keys of a real API server.
func TestSchema_Kubernetes(t *testing.T) {
	path := os.Getenv(openAPIVariable)
	if path == "" {
		t.Skip("it needs the API of a real Kubernetes: " + openAPIVariable + " names a file with its /openapi/v2")
	}
	var api struct{ Definitions map[string]apiType }
	if err := json.Unmarshal([]byte(read(t, path)), &api); err != nil {
		t.Fatal(err)
	}
	values := schemaOfValues(t)
	c := comparison{t: t, ours: values.Definitions, theirs: api.Definitions, seen: map[string]bool{}}
	for ours, theirs := range map[string]string{
		"extraEnv": core + "EnvVar", "extraEnvFrom": core + "EnvFromSource", "extraVolumes": core + "Volume",
		"extraVolumeMounts": core + "VolumeMount",
		"initContainers":    core + "Container", "extraContainers": core + "Container", "tolerations": core + "Toleration",
		"affinity":                  core + "Affinity",
		"topologySpreadConstraints": core + "TopologySpreadConstraint", "hostAliases": core + "HostAlias", "dnsConfig": core +
			"PodDNSConfig",
		"podSecurityContext": core + "PodSecurityContext", "securityContext": core + "SecurityContext", "resources": core +
			"ResourceRequirements",
		"imagePullSecrets": core + "LocalObjectReference",
	} {
		value := values.Properties[ours]
		if value.Items != nil {
			value = value.Items
		}
		c.compare(ours, value, apiType{Ref: "#/definitions/" + theirs})
	}
	policy := values.Properties["networkPolicy"].Properties
	c.compare("networkPolicy.egress[]", policy["egress"].Items,
		apiType{Ref: "#/definitions/" + net + "NetworkPolicyEgressRule"})
	c.compare("networkPolicy.ingressFrom[]", policy["ingressFrom"].Items,
		apiType{Ref: "#/definitions/" + net + "NetworkPolicyPeer"})
	if c.looked < 60 {
		t.Errorf("compared %d objects only", c.looked)
	}
}

type comparison struct {
	t      *testing.T
	ours   map[string]*schema
	theirs map[string]apiType
	seen   map[string]bool // pairs of definitions
	looked int
}

func (c *comparison) compare(path string, ours *schema, theirs apiType) {
	c.t.Helper()
	if ours.Ref != "" || theirs.Ref != "" {
		pair := ours.Ref + " " + theirs.Ref
		if ours.Ref != "" && c.seen[pair] {
			return
		}
		c.seen[pair] = true
	}
	if name, ok := strings.CutPrefix(ours.Ref, "#/definitions/"); ok {
		ours = c.ours[name]
	}
	if name, ok := strings.CutPrefix(theirs.Ref, "#/definitions/"); ok {
		theirs = c.theirs[name]
	}
	if theirs.Items != nil && ours.Items != nil {
		c.compare(path+"[]", ours.Items, *theirs.Items)
		return
	}
	if len(theirs.Properties) == 0 {
		return
	}
	c.looked++
	for name, property := range theirs.Properties {
		if known := ours.Properties[name]; known == nil {
			c.t.Errorf("%s: the schema lacks %s", path, name)
		} else {
			c.compare(path+"."+name, known, property)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(ours.Properties)) {
		if _, ok := theirs.Properties[name]; !ok {
			c.t.Errorf("%s: the schema has %s, which Kubernetes has not", path, name)
		}
	}
	for _, name := range theirs.Required {
		if !slices.Contains(ours.Required, name) {
			c.t.Errorf("%s: the schema does not ask for %s", path, name)
		}
	}
}
