package kafka

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestMembers_Secured lets replicas find each other over TLS, as a user that has to authenticate. On the fake the user has
// no other rights than those to the group that the documentation names.
func TestMembers_Secured(t *testing.T) {
	authority := newAuthority(t)
	config := func(mechanism, user string) Config {
		return Config{
			Topic: newTopic(), TLS: TLS{CAFile: writeFile(t, "ca", authority.pem())},
			SASL: SASL{Mechanism: mechanism, Username: user, PasswordFile: writeFile(t, "password", "right")},
		}
	}
	meet := func(t *testing.T, b *broker, config Config) {
		one := attend(t, b, config, "fleet/pod-a:8080.1")
		wantAll(30*time.Second, one)
		two := attend(t, b, config, "fleet/pod-b:8080.2")
		t.Logf("the second: %v", wantAll(5*time.Second, one, two))
		left := two.leave()
		t.Logf("one leaves: %v, of which %v its own", wantAll(2*time.Second, one)+left, left)
		one.wantNoFailures()
	}
	t.Run("fake", func(t *testing.T) {
		cert, key, _, _ := authority.sign("broker")
		pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
		if err != nil {
			t.Fatal(err)
		}
		right := func(operation kmsg.ACLOperation) kfake.ACL {
			return kfake.ACL{
				Resource: kmsg.ACLResourceTypeGroup, Name: "twochat-connector.", Pattern: kmsg.ACLResourcePatternTypePrefixed,
				Operation: operation, Allow: true,
			}
		}
		b := lenientFake(t, 1, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{pair}}), kfake.EnableSASL(),
			kfake.EnableACLs(), kfake.User("SCRAM-SHA-512", "connector", "right", right(kmsg.ACLOperationRead),
				right(kmsg.ACLOperationDescribe)))
		meet(t, b, config("scram-sha-512", "connector"))
	})
	if realBroker.real(t) != nil {
		t.Run("real", func(t *testing.T) {
			_, _, b := secured(t, authority)
			meet(t, b, config("plain", "connector"))
		})
	}
}
