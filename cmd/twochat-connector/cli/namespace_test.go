package cli

import (
	"testing"
	"testing/fstest"
)

// The namespace comes from a variable, from the pod's service account, or from its resolver, in this order.
func TestProgram_Namespace(t *testing.T) {
	account := &fstest.MapFile{Data: []byte("messaging\n")}
	searches := &fstest.MapFile{Data: []byte(
		"nameserver 10.96.0.10\nsearch chats.svc.cluster.local svc.cluster.local cluster.local lan\noptions ndots:5\n")}
	for name, test := range map[string]struct {
		env  []string
		root fstest.MapFS
		want string
	}{
		"variable":           {[]string{"POD_NAMESPACE=shop", "X=y"}, fstest.MapFS{serviceAccount: account}, "shop"},
		"service account":    {nil, fstest.MapFS{serviceAccount: account, resolver: searches}, "messaging"},
		"resolver":           {nil, fstest.MapFS{resolver: searches}, "chats"},
		"resolver of a host": {nil, fstest.MapFS{resolver: {Data: []byte("search svc.example lan\n# search a.svc.b\n")}}, ""},
		"no name":            {[]string{"POD_NAMESPACE=a.b"}, nil, ""},
		"no cluster":         {nil, fstest.MapFS{}, ""},
	} {
		p := &Program{Env: test.env}
		if test.root != nil {
			p.Root = test.root
		}
		if got := p.Namespace(); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
