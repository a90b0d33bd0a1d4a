package deploy

import (
	"os/exec"
	"strings"
	"testing"
)

// With a token and a certificate, everything in a release that asks the admin server has both: the monitors, the test,
// and the probes, which need no token.
func TestChart_AdminTokenAndTLS(t *testing.T) {
	rendered := func(set string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), helm(t), "template", "chat", chart, "--namespace", "whatsapp",
			"--kube-version", "1.35.0", "--values", chart+"/ci/jetstream.yaml",
			"--set", "podMonitor.enabled=true,serviceMonitor.enabled=true"+set).CombinedOutput()
		if err != nil {
			t.Fatalf("%s", out)
		}
		return string(out)
	}
	token, tls := rendered(",adminToken.existingSecret=admin"), rendered(",adminTLS.existingSecret=admin-tls")
	for _, test := range []struct {
		text               string
		withToken, withTLS int // number of occurrences
	}{
		{"token_file: /etc/twochat-admin/token", 1, 0},
		{"secretName: admin\n", 1, 0},
		{"secretName: admin,", 1, 0}, // of the test
		{"credentials: { name: admin, key: token }", 2, 0},
		{"--token-file=/etc/twochat-admin/token", 1, 0},
		{"cert_file: /etc/twochat-admin-tls/tls.crt", 0, 1},
		{"scheme: HTTPS", 0, 3},
		{"scheme: https", 0, 2},
		{"serverName: chat-twochat-connector.whatsapp.svc", 0, 2},
		{"--admin=https://chat-twochat-connector.whatsapp.svc:8080", 0, 1},
		{"--ca-file=/etc/twochat-admin-tls/ca.crt", 0, 1},
		{"--admin=http://chat-twochat-connector:8080", 1, 0},
	} {
		if got := strings.Count(token, test.text); got != test.withToken {
			t.Errorf("with a token, %q is there %d times, want %d", test.text, got, test.withToken)
		}
		if got := strings.Count(tls, test.text); got != test.withTLS {
			t.Errorf("with TLS, %q is there %d times, want %d", test.text, got, test.withTLS)
		}
	}
	plain := rendered("")
	for _, text := range []string{"/etc/twochat-admin", "HTTPS", "https", "authorization", "tlsConfig"} {
		if strings.Contains(plain, text) {
			t.Errorf("with neither, %q is there", text)
		}
	}
}
