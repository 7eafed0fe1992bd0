package helm

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nuthatch/internal/config"
)

// small is the least that somebody has to say.
const small = `
pools:
  sessions:
    listen: 0.0.0.0:6379
    redis: true
    timeout: 400
    servers: ["redis-0.redis:6379:1 redis-0", "redis-1.redis:6379:1 redis-1"]
`

// everything turns on all that the chart has.
const everything = small + `
autoscaling: {enabled: true, maxReplicas: 1000000}
podMonitor: {enabled: true, labels: {team: "12"}}
networkPolicy:
  enabled: true
  from: [{podSelector: {matchLabels: {app: shop}}}]
  monitoring: [{namespaceSelector: {matchLabels: {name: monitoring}}}]
podAnnotations: {a: "1e3"}
podLabels: {b: "0123"}
nodeSelector: {disk: "true"}
tolerations: [{key: k, operator: Exists}]
affinity: {podAntiAffinity: {}}
priorityClassName: high
imagePullSecrets: [{name: registry}]
service: {type: LoadBalancer, annotations: {a: "off"}}
serviceAccount: {annotations: {a: "0123"}}
env: [{name: PASSWORD, value: "0123"}]
volumes: [{name: certs, secret: {secretName: certs}}]
volumeMounts: [{name: certs, mountPath: /certs}]
`

// nothing turns off all that can be turned off.
const nothing = small + `
admin: {existingSecret: mine}
podDisruptionBudget: {enabled: false}
`

// A podMonitor is one of the Prometheus operator's, as far as the chart uses it.
type podMonitor struct {
	meta.TypeMeta   `json:",inline"`
	meta.ObjectMeta `json:"metadata"`
	Spec            struct {
		Selector            meta.LabelSelector `json:"selector"`
		PodMetricsEndpoints []struct {
			Port          string `json:"port"`
			Path          string `json:"path"`
			Interval      string `json:"interval"`
			Authorization struct {
				Credentials core.SecretKeySelector `json:"credentials"`
			} `json:"authorization"`
		} `json:"podMetricsEndpoints"`
	} `json:"spec"`
}

// TestLint has Helm look at the chart: as it comes, with little, and with all that it has turned
// on and off.
func TestLint(t *testing.T) {
	for _, values := range []string{"", small, everything, nothing} {
		for _, found := range lintMessages(load(t, values)) {
			t.Errorf("%s with %s", found, values)
		}
	}
}

// TestObjects: every object is one that Kubernetes takes, and they fit each other.
func TestObjects(t *testing.T) {
	all := objects(t, everything)
	deployment := as[apps.Deployment](t, all["Deployment"])
	service := as[core.Service](t, all["Service"])
	scaler := as[autoscaling.HorizontalPodAutoscaler](t, all["HorizontalPodAutoscaler"])
	disruption := as[policy.PodDisruptionBudget](t, all["PodDisruptionBudget"])
	network := as[networking.NetworkPolicy](t, all["NetworkPolicy"])
	monitor := as[podMonitor](t, all["PodMonitor"])
	admin := as[core.Secret](t, all["Secret shop-nuthatch-admin"])
	account := as[core.ServiceAccount](t, all["ServiceAccount"])
	cfg := configOf(t, all)
	pod := deployment.Spec.Template

	if deployment.Spec.Replicas != nil || scaler.Spec.MaxReplicas != 1000000 || scaler.Spec.ScaleTargetRef.Name != deployment.Name {
		t.Errorf("replicas: %v, %+v", deployment.Spec.Replicas, scaler.Spec)
	}
	for _, selector := range []map[string]string{
		deployment.Spec.Selector.MatchLabels, service.Spec.Selector, disruption.Spec.Selector.MatchLabels,
		network.Spec.PodSelector.MatchLabels, monitor.Spec.Selector.MatchLabels,
	} {
		for key, value := range selector {
			if pod.Labels[key] != value {
				t.Errorf("%s=%s selects no pod", key, value)
			}
		}
	}
	if grace := time.Duration(*pod.Spec.TerminationGracePeriodSeconds) * time.Second; grace <= cfg.Process.DrainDelay+cfg.Process.DrainTimeout {
		t.Errorf("a pod is killed after %v, before it has drained", grace)
	}
	if pod.Spec.ServiceAccountName != account.Name {
		t.Errorf("the pod's account is %s, and there is %s", pod.Spec.ServiceAccountName, account.Name)
	}
	if len(service.Spec.Ports) != 1 || int(service.Spec.Ports[0].Port) != cfg.Pools[0].Listen.Port ||
		service.Spec.Ports[0].TargetPort.StrVal != pod.Spec.Containers[0].Ports[0].Name {
		t.Errorf("the Service has %+v, the pod %+v", service.Spec.Ports, pod.Spec.Containers[0].Ports)
	}
	if network.Spec.Ingress[0].Ports[0].Port.StrVal != service.Spec.Ports[0].Name || network.Spec.Ingress[1].Ports[0].Port.StrVal != "admin" {
		t.Errorf("the network's ports are %+v", network.Spec.Ingress)
	}
	token := monitor.Spec.PodMetricsEndpoints[0].Authorization.Credentials
	if token.Name != admin.Name || len(admin.Data[token.Key]) == 0 || string(admin.Data["token"]) == string(admin.Data[token.Key]) {
		t.Errorf("Prometheus has the token %+v of %v", token, admin.Data)
	}
	for got, want := range map[string]string{
		pod.Annotations["a"]: "1e3", pod.Labels["b"]: "0123", pod.Spec.NodeSelector["disk"]: "true", service.Annotations["a"]: "off",
		pod.Spec.Containers[0].Env[0].Value: "0123", monitor.Labels["team"]: "12",
	} {
		if got != want {
			t.Errorf("the text %q became %q", want, got)
		}
	}
}

// TestSwitchedOff: what is off is not there, and the Secret of somebody's own is used.
func TestSwitchedOff(t *testing.T) {
	all := objects(t, nothing)
	for _, kind := range []string{"HorizontalPodAutoscaler", "PodMonitor", "NetworkPolicy", "PodDisruptionBudget", "Secret shop-nuthatch-admin"} {
		if all[kind] != "" {
			t.Errorf("there is a %s", kind)
		}
	}
	if d := as[apps.Deployment](t, all["Deployment"]); *d.Spec.Replicas != 3 || d.Spec.Template.Spec.Volumes[1].Secret.SecretName != "mine" {
		t.Errorf("%+v", d.Spec)
	}
}

// configOf is the configuration that the objects have, read as `nuthatch -t` reads it.
func configOf(t *testing.T, all map[string]string) *config.Config {
	t.Helper()
	text := as[core.Secret](t, all["Secret shop-nuthatch"]).StringData["nuthatch.yml"]
	cfg, err := config.Parse("nuthatch.yml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return cfg
}

// TestValuesSurvive: a file with every key of the configuration is the same after Helm: numbers
// stay numbers, true and false stay that.
func TestValuesSurvive(t *testing.T) {
	text, err := os.ReadFile("../../internal/config/testdata/good-every-key.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]map[string]any
	// A number with a leading zero is another one for Helm.
	if err := yaml.Unmarshal(bytes.Replace(text, []byte("timeout: 0400"), []byte("timeout: 400"), 1), &file); err != nil {
		t.Fatal(err)
	}
	file["alpha"]["server_max_queued_bytes"] = 68719476735
	file["alpha"]["max_keys"] = 10000000
	process := file["nuthatch"]
	delete(file, "nuthatch")
	port := 7000
	for _, pool := range file {
		pool["listen"], port = "0.0.0.0:"+strconv.Itoa(port), port+1
		if tls, ok := pool["tls"].(map[string]any); ok && tls["listen"] != nil {
			tls["listen"], port = "0.0.0.0:"+strconv.Itoa(port), port+1
		}
	}
	values := marshal(t, map[string]any{"pools": file, "process": process})
	process["admin"], process["admin_token_file"], process["admin_read_token_file"] = "0.0.0.0:22223", "/run/secrets/nuthatch/token", "/run/secrets/nuthatch/read-token"
	file["nuthatch"] = process
	want, err := config.Parse("nuthatch.yml", []byte(marshal(t, file)))
	if err != nil {
		t.Fatal(err)
	}
	got := configOf(t, objects(t, values))
	for i := range want.Pools {
		if !reflect.DeepEqual(got.Pools[i], want.Pools[i]) {
			t.Errorf("pool %s became\n%+v\nwant\n%+v", want.Pools[i].Name, got.Pools[i], want.Pools[i])
		}
	}
	if len(got.Pools) != len(want.Pools) || !reflect.DeepEqual(got.Process, want.Process) {
		t.Errorf("the process became\n%+v\nwant\n%+v", got.Process, want.Process)
	}
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	text, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestTextsSurvive: texts that look like something else stay texts, as passwords and as names.
func TestTextsSurvive(t *testing.T) {
	texts := []string{
		"0123", "1e3", "0x1F", "0o17", "1_000", "12:30:45", "1.0", "yes", "off", "True", "null", "~", "<<", "=",
		"a: b", "a #b", " a ", `"`, "'", `\`, "{{ .Values }}", "%", "@", "*a", "&a", "!a", "[a]", "{a: b}", "ä",
	}
	var values strings.Builder
	values.WriteString("pools:\n")
	for i, text := range texts {
		fmt.Fprintf(&values, "  pool.%d-a_b:\n    listen: 0.0.0.0:%d\n    redis: true\n    timeout: 400\n    redis_auth: %s\n    servers: [\"10.0.0.1:%d:%d %d\"]\n",
			i, 7000+i, strings.TrimSpace(marshal(t, text)), 6379+i, i+1, i)
	}
	cfg := configOf(t, objects(t, values.String()))
	for i, text := range texts {
		name := fmt.Sprintf("pool.%d-a_b", i)
		at := slices.IndexFunc(cfg.Pools, func(p config.Pool) bool { return p.Name == name })
		if at < 0 {
			t.Fatalf("there is no pool %s", name)
		}
		p := cfg.Pools[at]
		if string(p.RedisAuth) != text || p.Servers[0].Weight != i+1 || p.Servers[0].Name != strconv.Itoa(i) || p.Listen.Port != 7000+i {
			t.Errorf("%s: the password %q became %q; the server is %+v", name, text, p.RedisAuth, p.Servers[0])
		}
	}
}

// TestFaultsAreRefused: what nuthatch would refuse is refused before it reaches a cluster.
func TestFaultsAreRefused(t *testing.T) {
	for values, want := range map[string]string{
		"":               "set at least one pool",
		"pools: {}":      "set at least one pool",
		"pools: {a: {}}": "listen",
		strings.Replace(small, "0.0.0.0", "127.0.0.1", 1):           "nobody outside the pod would reach it",
		strings.Replace(small, "timeout", "timeuot", 1):             "timeuot",
		strings.Replace(small, "redis: true", "redis: 1", 1):        "redis",
		strings.Replace(small, "redis: true", "tracking: false", 1): "tracking",
		strings.Replace(small, "sessions:", "nuthatch:", 1):         "nuthatch",
		small + "process: {threads: many}":                          "threads",
	} {
		if _, err := template(load(t, values)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", values, err)
		}
	}
}

// TestManifests: the manifests of examples/kubernetes have no field that their kinds do not.
func TestManifests(t *testing.T) {
	paths, err := filepath.Glob("../../examples/kubernetes/*.yml")
	if err != nil || len(paths) == 0 {
		t.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for kind, doc := range split(t, string(text)) {
			switch kind {
			case "Deployment":
				as[apps.Deployment](t, doc)
			case "Service":
				as[core.Service](t, doc)
			case "ConfigMap":
				as[core.ConfigMap](t, doc)
			case "HorizontalPodAutoscaler":
				as[autoscaling.HorizontalPodAutoscaler](t, doc)
			case "PodDisruptionBudget":
				as[policy.PodDisruptionBudget](t, doc)
			default:
				t.Errorf("%s: a %s, which this test does not know", path, kind)
			}
		}
	}
}
