package main

import (
	"io/fs"
	"regexp"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// namespaceVariable is where a pod is told its namespace, by the downward API.
const namespaceVariable = "POD_NAMESPACE"

// serviceAccount is the file in which a pod with a token finds its namespace, resolver the one with the names that its
// DNS completes.
const (
	serviceAccount = "var/run/secrets/kubernetes.io/serviceaccount/namespace"
	resolver       = "etc/resolv.conf"
)

var namespaceForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// namespace is the namespace of Kubernetes in which the process runs, as its pod is told; empty outside of a cluster.
func (p *program) namespace() string {
	found := ""
	for _, variable := range p.env {
		if value, ok := strings.CutPrefix(variable, namespaceVariable+"="); ok {
			found = value
		}
	}
	if found == "" && p.root != nil {
		if content, err := fs.ReadFile(p.root, serviceAccount); err == nil {
			found = strings.TrimSpace(string(content))
		} else if content, err := fs.ReadFile(p.root, resolver); err == nil {
			found = searched(string(content))
		}
	}
	if !namespaceForm.MatchString(found) {
		return ""
	}
	return found
}

// searched is the namespace in a resolver's list of searched domains: NAMESPACE.svc.cluster.local comes first.
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

// inNamespace says whether a name is SERVICE.NAMESPACE of the process's own namespace. Such a name could be bought
// where the namespace is called as a top-level domain of the Internet is (dev, shop, cloud), and leads out of the
// cluster there: it is not taken then.
func inNamespace(host, namespace string) bool {
	service, rest, ok := strings.Cut(host, ".")
	if !ok || namespace == "" || rest != namespace || !namespaceForm.MatchString(service) {
		return false
	}
	_, public := publicsuffix.PublicSuffix(namespace)
	return !public
}
