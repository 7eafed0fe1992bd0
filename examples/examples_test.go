package examples

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
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
					Ports []port
				}
			}
		}
	}
}

type probe struct{ Path, Port string }

type port struct {
	Name          string
	ContainerPort int `yaml:"containerPort"`
}

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
	if want := []port{{"redis", cfg.Pools[0].Listen.Port}, {"admin", cfg.Process.Admin.Port}}; !slices.Equal(c.Ports, want) {
		t.Errorf("the container's ports are %+v, want %+v", c.Ports, want)
	}
	// The statistics port would be the pod's, and asks for no password.
	if i := slices.Index(c.Args, "-a"); i < 0 || c.Args[i+1] != "127.0.0.1" {
		t.Errorf("the statistics port is open to others: %q", c.Args)
	}
}

// settings are the settings of a unit.
func settings(t *testing.T, path string) []string {
	t.Helper()
	var all []string
	section := ""
	for i, line := range strings.Split(read(t, path), "\n") {
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]"):
			section = line
		case section == "" || strings.IndexByte(line, '=') < 1:
			t.Errorf("%s:%d: %q is no setting", path, i+1, line)
		default:
			all = append(all, line)
		}
	}
	return all
}

// TestUnits checks that every line of a unit is a comment, a section or a
// setting, and what the proxy relies on.
func TestUnits(t *testing.T) {
	want := map[string][]string{
		"systemd/nuthatch.service": {
			"Type=notify", "NotifyAccess=all", "WatchdogSec=10s", "DynamicUser=yes", "SupplementaryGroups=nuthatch-config",
			"RuntimeDirectory=nuthatch",
		},
		"systemd/nuthatch.socket": {"ListenStream=127.0.0.1:22121"},
	}
	for path, wanted := range want {
		all := settings(t, path)
		for _, s := range wanted {
			if !slices.Contains(all, s) {
				t.Errorf("%s has no %s", path, s)
			}
		}
		for _, s := range all {
			// A signal tells nobody whether it was obeyed.
			if strings.HasPrefix(s, "ExecReload=") && strings.Contains(s, "kill") {
				t.Errorf("%s: %s cannot fail", path, s)
			}
		}
	}
	// What systemd listens at and no pool has keeps clients waiting.
	cfg, err := config.Load("systemd/nuthatch.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range settings(t, "systemd/nuthatch.socket") {
		addr, listens := strings.CutPrefix(s, "ListenStream=")
		if listens && !slices.ContainsFunc(cfg.Pools, func(p config.Pool) bool { return p.Listen.String() == addr }) {
			t.Errorf("no pool of systemd/nuthatch.yml listens at %s", addr)
		}
	}
	if group := read(t, "systemd/nuthatch.sysusers"); !strings.Contains(group, "\ng nuthatch-config ") {
		t.Errorf("the group of the unit is not made: %s", group)
	}
	// All processes of the unit get a signal, unless it says otherwise.
	for _, path := range documents(t) {
		for line := range strings.Lines(read(t, path)) {
			if strings.Contains(line, "systemctl kill") && !strings.Contains(line, "--kill-whom=main") {
				t.Errorf("%s: %s", path, line)
			}
		}
	}
}

// documents are the files that show how things are run.
func documents(t *testing.T) []string {
	t.Helper()
	all := []string{"../README.md"}
	for _, pattern := range []string{"../docs/*.md", "*/*", "../conf/*"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return all
}

// TestDockerRun: the configuration that a documented `docker run` mounts listens where
// the port is published to, and its servers are other containers of the example.
func TestDockerRun(t *testing.T) {
	runs := regexp.MustCompile(`docker run .*`)
	mount := regexp.MustCompile(`-v "\$PWD/(\S+):/etc/nuthatch:ro"`)
	published := regexp.MustCompile(`-p (?:127\.0\.0\.1:)?\d+:(\d+)`)
	names := regexp.MustCompile(`--name (\S+)`)
	found := 0
	for _, path := range documents(t) {
		var containers []string
		for _, run := range runs.FindAllString(read(t, path), -1) {
			if m := names.FindStringSubmatch(run); m != nil {
				containers = append(containers, m[1])
			}
			if !strings.HasSuffix(run, " nuthatch") {
				continue
			}
			found++
			folder, ports := mount.FindStringSubmatch(run), published.FindAllStringSubmatch(run, -1)
			if folder == nil || len(ports) == 0 {
				t.Fatalf("%s: %s", path, run)
			}
			cfg, err := config.Load(filepath.Join("..", folder[1], "nuthatch.yml"))
			if err != nil {
				t.Fatal(err)
			}
			for i := range cfg.Pools {
				p := &cfg.Pools[i]
				if p.Listen.IsLocal() || !slices.ContainsFunc(ports, func(m []string) bool { return m[1] == strconv.Itoa(p.Listen.Port) }) {
					t.Errorf("%s: %s\nnobody reaches pool %s at %s", path, run, p.Name, p.Listen)
				}
				for _, s := range p.Servers {
					if !slices.Contains(containers, s.Address.Host) {
						t.Errorf("%s: server %s is none of %q", path, s.Address, containers)
					}
				}
			}
		}
	}
	if found == 0 {
		t.Error("no docker run is documented")
	}
}

func TestDockerfile(t *testing.T) {
	text := read(t, "docker/Dockerfile")
	for _, want := range []string{
		"CGO_ENABLED=0", "FROM scratch", "COPY --from=build --chown=65532:65532 /sockets/ /run/", "USER 65532:65532", "STOPSIGNAL SIGTERM", `"-a", "127.0.0.1"`, `CMD ["/nuthatch", "ctl", "ready"]`, "\nEXPOSE 22121\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the Dockerfile has no %s", want)
		}
	}
}
