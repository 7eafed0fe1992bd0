package examples

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/VictoriaMetrics/metricsql"
	"go.yaml.in/yaml/v3"

	"nuthatch/internal/stats"
	"nuthatch/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// exposed are the names of all metrics of a proxy that has served a request, and of
// those that it has when something goes wrong. Names that are to go are none.
func exposed(t *testing.T) map[string]bool {
	t.Helper()
	server, admin := testkit.StartRedis(t), testkit.FreeAddr(t)
	cert, key := testkit.NewAuthority(t).Pair("proxy")
	secured := "tls: {cert: " + cert + ", key: " + key + ", listen: \"" + testkit.FreeAddr(t) + "\"}"
	p := testkit.StartNuthatch(t, testkit.Pool{Protocol: testkit.Redis, Servers: testkit.Names(server), Lines: []string{secured}}.String()+
		"nuthatch:\n  metrics_old_names: false\n  admin: "+admin+"\n")
	p.Dial(testkit.Redis).Do("GET", "key")
	answer, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{"up": true} // Prometheus's own
	for _, m := range regexp.MustCompile(`(?m)^[a-z]\w*`).FindAllString(string(text), -1) {
		names[m] = true
	}
	for _, row := range slices.Concat(stats.PoolVectors[:], stats.ServerVectors[:], []stats.Field{stats.ServerErrors}) {
		names[row.Prom] = true
	}
	return names
}

// checkQuery fails if a query is none, or asks for a metric that is not there.
func checkQuery(t *testing.T, where, query string, names map[string]bool) {
	t.Helper()
	query = over(query, "5m")
	parsed, err := metricsql.Parse(query)
	if err != nil {
		t.Errorf("%s: %v in %s", where, err, query)
		return
	}
	asked := 0
	metricsql.VisitAll(parsed, func(e metricsql.Expr) {
		m, ok := e.(*metricsql.MetricExpr)
		if !ok {
			return
		}
		asked++
		for _, filters := range m.LabelFilterss {
			if name := filters[0].Value; filters[0].Label != "__name__" || !names[name] {
				t.Errorf("%s: no metric %s, in %s", where, name, query)
			}
		}
	})
	if asked == 0 {
		t.Errorf("%s asks for no metric: %s", where, query)
	}
}

// TestMetricsExist: the dashboard and the alerts ask for what a proxy exposes.
func TestMetricsExist(t *testing.T) {
	names := exposed(t)
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Labels      map[string]string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, "prometheus/alerts.yml")), &rules); err != nil {
		t.Fatal(err)
	}
	if len(rules.Groups) != 1 || len(rules.Groups[0].Rules) < 8 {
		t.Fatalf("rules: %+v", rules)
	}
	for _, r := range rules.Groups[0].Rules {
		if r.Alert == "" || r.Labels["severity"] == "" || r.Annotations["summary"] == "" {
			t.Errorf("an alert without a name, a severity or a summary: %+v", r)
		}
		checkQuery(t, r.Alert, r.Expr, names)
	}
	ids := make(map[int]bool)
	for _, p := range panels(t) {
		where := fmt.Sprintf("panel %d, %s", p.ID, p.Title)
		if ids[p.ID] || p.GridPos.X+p.GridPos.W > 24 || p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("%s is not in order: %+v", where, p)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			checkQuery(t, where, target.Expr, names)
		}
	}
	if len(ids) < 15 {
		t.Errorf("the dashboard has %d panels", len(ids))
	}
}
