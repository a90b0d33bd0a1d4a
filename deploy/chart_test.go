package deploy

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

const chart = "helm/twochat-connector"

// helm returns the program from the environment or the path. Without it the test is skipped; .ci/run fetches one.
func helm(t *testing.T) string {
	t.Helper()
	if named := os.Getenv("TWOCHAT_CONNECTOR_TEST_HELM"); named != "" {
		return named
	}
	path, err := exec.LookPath("helm")
	if err != nil {
		t.Skip("rendering the chart needs helm, which is not here; TWOCHAT_CONNECTOR_TEST_HELM names one")
	}
	return path
}

// render returns what the chart makes of a file of values.
func render(t *testing.T, values string, more ...string) ([]object, string, error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), helm(t),
		append([]string{"template", "chat", chart, "--namespace", "whatsapp", "--kube-version", "1.35.0", "--values", values},
			more...)...)
	var wrong bytes.Buffer
	command.Stderr = &wrong
	out, err := command.Output()
	if err != nil {
		return nil, wrong.String(), err
	}
	var objects []object
	decoder := yaml.NewDecoder(bytes.NewReader(out))
	for {
		var o object
		if err := decoder.Decode(&o); errors.Is(err, io.EOF) {
			return objects, "", nil
		} else if err != nil {
			t.Fatalf("the chart renders no YAML: %v", err)
		}
		if o.Kind != "" {
			objects = append(objects, o)
		}
	}
}

type object struct {
	Kind     string
	Metadata struct {
		Name        string
		Annotations map[string]string
	}
	Data map[string]string
	Spec struct {
		Replicas int
		Strategy struct{ Type string }
		Template struct {
			Metadata struct{ Annotations map[string]string }
			Spec     pod
		}
	}
}

type pod struct {
	AutomountServiceAccountToken  *bool `yaml:"automountServiceAccountToken"`
	EnableServiceLinks            *bool `yaml:"enableServiceLinks"`
	TerminationGracePeriodSeconds int   `yaml:"terminationGracePeriodSeconds"`
	SecurityContext               struct {
		RunAsNonRoot   bool                  `yaml:"runAsNonRoot"`
		SeccompProfile struct{ Type string } `yaml:"seccompProfile"`
	} `yaml:"securityContext"`
	Containers []struct {
		Name            string
		Args            []string
		LivenessProbe   probe `yaml:"livenessProbe"`
		ReadinessProbe  probe `yaml:"readinessProbe"`
		StartupProbe    probe `yaml:"startupProbe"`
		SecurityContext struct {
			ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
			AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
			Capabilities             struct{ Drop []string }
		} `yaml:"securityContext"`
		VolumeMounts []struct {
			Name    string
			SubPath string `yaml:"subPath"`
		} `yaml:"volumeMounts"`
	}
	Volumes []struct {
		Name   string
		Secret struct {
			SecretName  string `yaml:"secretName"`
			DefaultMode int    `yaml:"defaultMode"`
		}
	}
}

type probe struct {
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
}

func only(t *testing.T, objects []object, kinds ...string) object {
	t.Helper()
	var found []object
	for _, o := range objects {
		for _, kind := range kinds {
			if o.Kind == kind {
				found = append(found, o)
			}
		}
	}
	if len(found) != 1 {
		t.Fatalf("there are %d of %v, want 1", len(found), kinds)
	}
	return found[0]
}

// Each file of values becomes a configuration that the program accepts, in a pod that may run at the level restricted.
func TestChart_Values(t *testing.T) {
	files, err := filepath.Glob(chart + "/ci/*.yaml")
	if err != nil || len(files) < 6 {
		t.Fatalf("found %d files of values: %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			objects, wrong, err := render(t, file)
			if err != nil {
				t.Fatal(wrong)
			}
			configured := false
			for _, o := range objects {
				if content, ok := o.Data["config.yaml"]; o.Kind == "ConfigMap" && ok {
					configured = true
					loads(t, content)
				}
			}
			if !configured {
				t.Error("there is no configuration")
			}
			workload := only(t, objects, "Deployment", "StatefulSet")
			wantRestricted(t, workload.Spec.Template.Spec)
			budgets := 0
			for _, o := range objects {
				if o.Kind == "PodDisruptionBudget" {
					budgets++
				}
			}
			if several := workload.Spec.Replicas > 1; several != (budgets == 1) {
				t.Errorf("%d replicas, %d disruption budgets", workload.Spec.Replicas, budgets)
			}
		})
	}
}

func wantRestricted(t *testing.T, p pod) {
	t.Helper()
	if !p.SecurityContext.RunAsNonRoot || p.SecurityContext.SeccompProfile.Type != "RuntimeDefault" {
		t.Errorf("the pod's security context is %+v", p.SecurityContext)
	}
	if p.AutomountServiceAccountToken == nil || *p.AutomountServiceAccountToken || p.EnableServiceLinks == nil ||
		*p.EnableServiceLinks {
		t.Error("a token or the links of services reach the pod")
	}
	if p.TerminationGracePeriodSeconds < 30 {
		t.Errorf("%d s to stop in", p.TerminationGracePeriodSeconds)
	}
	for _, c := range p.Containers {
		s := c.SecurityContext
		if !s.ReadOnlyRootFilesystem || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation ||
			len(s.Capabilities.Drop) != 1 || s.Capabilities.Drop[0] != "ALL" {
			t.Errorf("container %s: security context %+v", c.Name, s)
		}
		for _, mount := range c.VolumeMounts {
			if mount.SubPath != "" {
				t.Errorf("container %s: %s is mounted by subPath, so that a rotated secret would not show", c.Name, mount.Name)
			}
		}
	}
	c := p.Containers[0]
	if c.LivenessProbe.HTTPGet.Path != "/healthz" || c.StartupProbe.HTTPGet.Path != "/healthz" ||
		c.ReadinessProbe.HTTPGet.Path != "/readyz" {
		t.Errorf("the probes ask %+v %+v %+v", c.LivenessProbe, c.StartupProbe, c.ReadinessProbe)
	}
}

// What cannot work is refused, with the message in a comment at the top of the file.
func TestChart_Refused(t *testing.T) {
	files, err := filepath.Glob(chart + "/ci/refused/*.yaml")
	if err != nil || len(files) < 7 {
		t.Fatalf("found %d files of values: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			want, ok := strings.CutPrefix(strings.SplitN(read(t, file), "\n", 2)[0], "# want: ")
			if !ok {
				t.Fatal("it does not say what it wants")
			}
			_, wrong, err := render(t, file)
			if err == nil || !strings.Contains(wrong, want) {
				t.Errorf("error %v, %s; want it to name %s", err, wrong, want)
			}
		})
	}
}

// A changed configuration makes a new pod. A changed Secret does not.
func TestChart_Checksum(t *testing.T) {
	sum := func(more ...string) string {
		objects, wrong, err := render(t, chart+"/ci/jetstream.yaml", more...)
		if err != nil {
			t.Fatal(wrong)
		}
		return only(t, objects, "Deployment").Spec.Template.Metadata.Annotations["checksum/config"]
	}
	before := sum()
	if before == "" || before != sum("--set", "apiKey.existingSecret=other") {
		t.Error("the checksum does not stay")
	}
	if before == sum("--set", "config.start=beginning") {
		t.Error("the checksum stays where the configuration changes")
	}
}

// A rolling update is used only for sinks that fence a second writer. For the others the old pod ends first.
func TestChart_Exchange(t *testing.T) {
	for values, want := range map[string]string{
		"jetstream": "RollingUpdate", "kafka": "RollingUpdate",
		"file": "Recreate",
	} {
		objects, wrong, err := render(t, chart+"/ci/"+values+".yaml")
		if err != nil {
			t.Fatal(wrong)
		}
		if got := only(t, objects, "Deployment").Spec.Strategy.Type; got != want {
			t.Errorf("%s: %s, want %s", values, got, want)
		}
	}
	for _, values := range []string{"embedded", "nats"} {
		objects, wrong, err := render(t, chart+"/ci/"+values+".yaml")
		if err != nil {
			t.Fatal(wrong)
		}
		only(t, objects, "StatefulSet")
	}
}

// The chart creates no secret and reads none from the cluster.
func TestChart_Secrets(t *testing.T) {
	err := filepath.WalkDir(chart+"/templates", func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text := read(t, path)
		for _, forbidden := range []string{"kind: Secret", "lookup ", "subPath"} {
			if strings.Contains(text, forbidden) {
				t.Errorf("%s has %q", path, forbidden)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The chart passes helm's strict lint with each file of values.
func TestChart_Lint(t *testing.T) {
	files, err := filepath.Glob(chart + "/ci/*.yaml")
	if err != nil || len(files) < 6 {
		t.Fatalf("found %d files of values: %v", len(files), err)
	}
	for _, file := range files {
		if said, err := exec.CommandContext(t.Context(), helm(t), "lint", "--strict", chart, "--values",
			file).CombinedOutput(); err != nil {
			t.Errorf("%s: %s", file, said)
		}
	}
}
