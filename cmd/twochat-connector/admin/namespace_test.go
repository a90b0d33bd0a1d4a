package admin

import (
	"testing"
)

// A name of two labels belongs to the cluster if the second label is the pod's own namespace. Nobody can register such
// a name.
func TestInNamespace(t *testing.T) {
	for _, test := range []struct {
		host, namespace string
		want            bool
	}{
		{"connector.messaging", "messaging", true},
		{"connector.default", "default", true},
		{"connector.team-a", "team-a", true},
		{"connector.messaging", "", false},
		{"connector.messaging", "other", false},
		{"a.connector.messaging", "messaging", false},
		{".messaging", "messaging", false},
		{"messaging", "messaging", false},
		{"evil.dev", "dev", false},
		{"evil.shop", "shop", false},
		{"evil.com", "com", false},
		{"evil.com", "messaging", false},
	} {
		if got := inNamespace(test.host, test.namespace); got != test.want {
			t.Errorf("%s in %q: %t, want %t", test.host, test.namespace, got, test.want)
		}
	}
}
