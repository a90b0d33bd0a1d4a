package cli

import (
	"io/fs"
	"regexp"
	"strings"
)

// namespaceVariable is the variable in which the downward API gives a pod its namespace.
const namespaceVariable = "POD_NAMESPACE"

// serviceAccount is the file in which a pod with a token finds its namespace. resolver is the file with the domains
// that the pod's DNS searches.
const (
	serviceAccount = "var/run/secrets/kubernetes.io/serviceaccount/namespace"
	resolver       = "etc/resolv.conf"
)

// NamespaceForm matches the name of a Kubernetes namespace or service.
var NamespaceForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// Namespace is the Kubernetes namespace in which the process runs; empty outside a cluster.
func (p *Program) Namespace() string {
	found := ""
	for _, variable := range p.Env {
		if value, ok := strings.CutPrefix(variable, namespaceVariable+"="); ok {
			found = value
		}
	}
	if found == "" && p.Root != nil {
		if content, err := fs.ReadFile(p.Root, serviceAccount); err == nil {
			found = strings.TrimSpace(string(content))
		} else if content, err := fs.ReadFile(p.Root, resolver); err == nil {
			found = searched(string(content))
		}
	}
	if !NamespaceForm.MatchString(found) {
		return ""
	}
	return found
}

// searched is the namespace in a resolver's search list, which begins with NAMESPACE.svc.cluster.local.
func searched(text string) string {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "search" {
			continue
		}
		for _, domain := range fields[1:] {
			if namespace, rest, ok := strings.Cut(domain, "."); ok && (rest == "svc" || strings.HasPrefix(rest, "svc.")) {
				return namespace
			}
		}
	}
	return ""
}
