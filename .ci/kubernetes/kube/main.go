// Command kube is a Kubernetes node and its control plane in one binary, for tests: the first argument names the
// program.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func main() {
	programs := map[string]func() *cobra.Command{
		"apiserver":          apiserver.NewAPIServerCommand,
		"controller-manager": controllers.NewControllerManagerCommand,
		"scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() }, // it takes options
		"kubelet":            func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
		"proxy":              proxy.NewProxyCommand,
		"kubectl":            kubectl.NewDefaultKubectlCommand,
	}
	if len(os.Args) > 1 {
		name := os.Args[1]
		os.Args = append([]string{"kube-" + name}, os.Args[2:]...)
		if name == "etcd" {
			etcdmain.Main(os.Args)
			return
		}
		if program, ok := programs[name]; ok {
			os.Exit(cli.Run(program()))
		}
	}
	fmt.Fprintln(os.Stderr, "kube: expected etcd, apiserver, controller-manager, scheduler, kubelet, proxy or kubectl, and its flags")
	os.Exit(2)
}
