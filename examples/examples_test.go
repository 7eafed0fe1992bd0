package examples

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"nuthatch/internal/config"
)

// object is what the tests look at in a Kubernetes object.
type object struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct{ Name string }
	Data       map[string]string
	Spec       struct {
		Selector any
		Template struct {
			Spec struct {
				Grace      int `yaml:"terminationGracePeriodSeconds"`
				Containers []struct {
					Args  []string
					Ready struct {
						HTTPGet probe `yaml:"httpGet"`
					} `yaml:"readinessProbe"`
					Live struct {
						HTTPGet probe `yaml:"httpGet"`
					} `yaml:"livenessProbe"`
					Ports []struct {
						Name          string
						ContainerPort int `yaml:"containerPort"`
					}
				}
			}
		}
	}
}

type probe struct{ Path, Port string }

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func objects(t *testing.T) map[string]object {
	t.Helper()
	paths, err := filepath.Glob("kubernetes/*.yml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no objects: %v", err)
	}
	all := make(map[string]object)
	for _, path := range paths {
		var o object
		if err := yaml.Unmarshal([]byte(read(t, path)), &o); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if o.APIVersion == "" || o.Kind == "" || o.Metadata.Name != "nuthatch" {
			t.Errorf("%s has no apiVersion, kind or name: %+v", path, o)
		}
		all[o.Kind] = o
	}
	return all
}

func TestKubernetes(t *testing.T) {
	all := objects(t)
	for _, kind := range []string{"ConfigMap", "Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler"} {
		if _, ok := all[kind]; !ok {
			t.Errorf("there is no %s", kind)
		}
	}
	cfg, err := config.Parse("nuthatch.yml", []byte(all["ConfigMap"].Data["nuthatch.yml"]))
	if err != nil {
		t.Fatal(err)
	}
	if !cfg.Process.Watch {
		t.Error("the ConfigMap is not watched")
	}
	pod := all["Deployment"].Spec.Template.Spec
	if grace := time.Duration(pod.Grace) * time.Second; grace <= cfg.Process.DrainDelay+cfg.Process.DrainTimeout {
		t.Errorf("a pod is killed after %v, before it has drained", grace)
	}
	c := &pod.Containers[0]
	if c.Ready.HTTPGet != (probe{"/readyz", "admin"}) || c.Live.HTTPGet != (probe{"/healthz", "admin"}) {
		t.Errorf("probes: %+v, %+v", c.Ready, c.Live)
	}
	if admin := c.Ports[2]; admin.Name != "admin" || admin.ContainerPort != cfg.Process.Admin.Port {
		t.Errorf("the admin listener's port is %+v, the file's %d", admin, cfg.Process.Admin.Port)
	}
	if port := pod.Containers[0].Ports[0].ContainerPort; port != cfg.Pools[0].Listen.Port {
		t.Errorf("the container's port is %d, the pool's %d", port, cfg.Pools[0].Listen.Port)
	}
}

// TestUnits checks that every line of a unit is a comment, a section or a
// setting, and what the proxy relies on.
func TestUnits(t *testing.T) {
	want := map[string][]string{
		"systemd/nuthatch.service": {"Type=notify", "NotifyAccess=all", "WatchdogSec=", "ExecReload=/bin/kill -USR1 $MAINPID"},
		"systemd/nuthatch.socket":  {"ListenStream=127.0.0.1:22121"},
	}
	for path, settings := range want {
		text := read(t, path)
		section := ""
		for i, line := range strings.Split(text, "\n") {
			switch {
			case line == "" || strings.HasPrefix(line, "#"):
			case strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]"):
				section = line
			case section == "" || strings.IndexByte(line, '=') < 1:
				t.Errorf("%s:%d: %q is no setting", path, i+1, line)
			}
		}
		for _, s := range settings {
			if !strings.Contains(text, "\n"+s) {
				t.Errorf("%s has no %s", path, s)
			}
		}
	}
}

func TestDockerfile(t *testing.T) {
	text := read(t, "docker/Dockerfile")
	for _, want := range []string{"CGO_ENABLED=0", "FROM scratch", "USER 65532:65532", "STOPSIGNAL SIGTERM"} {
		if !strings.Contains(text, want) {
			t.Errorf("the Dockerfile has no %s", want)
		}
	}
}
