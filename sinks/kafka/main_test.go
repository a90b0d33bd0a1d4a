package kafka

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(brokerVariable) == "" {
		fmt.Printf("%s is not set: nothing is tested against a real Kafka (set it to a version like 4.1.0, or to a folder with its jars)\n", brokerVariable)
	}
	code := m.Run()
	realBroker.remove()
	if code == 0 {
		if err := goleak.Find(goleak.IgnoreTopFunction("github.com/twmb/franz-go/pkg/kfake.(*group).manage")); err != nil {
			fmt.Println(err)
			code = 1
		}
	}
	os.Exit(code)
}
