package examples

import (
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"nuthatch/internal/testkit"
)

// A ruleTest is the file that `promtool test rules` reads.
type ruleTest struct {
	RuleFiles []string   `yaml:"rule_files"`
	Interval  string     `yaml:"evaluation_interval"`
	Tests     []ruleCase `yaml:"tests"`
}

type ruleCase struct {
	Interval string      `yaml:"interval"`
	Series   []series    `yaml:"input_series"`
	Alerts   []alertTest `yaml:"alert_rule_test"`
}

type series struct{ Series, Values string }

type alertTest struct {
	At     string  `yaml:"eval_time"`
	Name   string  `yaml:"alertname"`
	Expect []alert `yaml:"exp_alerts"`
}

type alert struct {
	Labels      map[string]string `yaml:"exp_labels"`
	Annotations map[string]string `yaml:"exp_annotations"`
}

type rule struct {
	Alert, Expr         string
	Labels, Annotations map[string]string
}

// alertRules are the rules of the example.
func alertRules(t *testing.T) []rule {
	t.Helper()
	var file struct{ Groups []struct{ Rules []rule } }
	if err := yaml.Unmarshal([]byte(read(t, "prometheus/alerts.yml")), &file); err != nil {
		t.Fatal(err)
	}
	return file.Groups[0].Rules
}

var ofLabel = regexp.MustCompile(`{{ \$labels\.(\w+) }}`)

// fires is the alert as Prometheus makes it of the labels of its expression.
func (r *rule) fires(labels map[string]string) alert {
	text := ofLabel.ReplaceAllStringFunc(r.Annotations["summary"], func(s string) string {
		return labels[ofLabel.FindStringSubmatch(s)[1]]
	})
	all := maps.Clone(labels)
	maps.Copy(all, r.Labels)
	return alert{all, map[string]string{"summary": text}}
}

// checkAlerts has promtool evaluate all rules over the series, ten seconds from one
// value to the next, after nine minutes: the expected ones fire, and no other.
func checkAlerts(t *testing.T, input []series, expect map[string][]map[string]string) {
	t.Helper()
	rules, err := filepath.Abs("prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	test := ruleCase{Interval: "10s", Series: input}
	for _, r := range alertRules(t) {
		one := alertTest{At: "9m", Name: r.Alert, Expect: []alert{}}
		for _, labels := range expect[r.Alert] {
			one.Expect = append(one.Expect, r.fires(labels))
		}
		test.Alerts = append(test.Alerts, one)
	}
	text, err := yaml.Marshal(ruleTest{[]string{rules}, "10s", []ruleCase{test}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "test.yml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool := testkit.Program(t, "promtool")
	if out, err := exec.CommandContext(t.Context(), promtool, "test", "rules", path).CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}

// scrape reads the metrics that the rules ask for, but for the histograms, which tell
// how fast the test's machine is.
func scrape(t *testing.T, admin string) map[string]float64 {
	t.Helper()
	return scrapeWith(t, admin, "no histogram")
}

// scrapeWith is scrape, with the histograms whose names have some text.
func scrapeWith(t *testing.T, admin, histograms string) map[string]float64 {
	t.Helper()
	answer, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	var asked strings.Builder
	for _, r := range alertRules(t) {
		asked.WriteString(r.Expr)
	}
	values := make(map[string]float64)
	for _, m := range regexp.MustCompile(`(?m)^(\w+)(?:{(.*)})? (\S+)$`).FindAllStringSubmatch(string(text), -1) {
		if !strings.Contains(asked.String(), m[1]) || strings.HasSuffix(m[1], "_bucket") && !strings.Contains(m[1]+"{"+m[2], histograms) {
			continue
		}
		v, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			t.Fatal(err)
		}
		labels := strings.Trim(m[2]+`,instance="i",job="nuthatch"`, ",")
		values[m[1]+"{"+labels+"}"] = v
	}
	return values
}

// TestAlerts: what an operator is woken for, by the metrics of a proxy that has a dead
// server in each kind of pool, one among two hundred, one that is full, one that wants
// another password, and some that are well.
func TestAlerts(t *testing.T) {
	well := testkit.StartRedis(t)
	full, locked := testkit.StartRedis(t, "--maxmemory", "100kb"), testkit.StartRedis(t, "--requirepass", "right")
	dead, admin := testkit.Refused(t), testkit.FreeAddr(t)
	pool := func(name string, lines []string, servers ...string) string {
		return testkit.Pool{Name: name, Protocol: testkit.Redis, Servers: servers, Lines: lines}.String()
	}
	var many []string
	for i := range 199 {
		many = append(many, well.Entry(fmt.Sprintf("n%03d", i)))
	}
	gone := testkit.Entry(dead, 1, "gone")
	ring := []string{"auto_eject_hosts: true", "server_retry_timeout: 3600000"}
	p := testkit.StartNuthatch(t, pool("well", nil, well.Entry("a"), well.Entry("b"))+
		pool("many", nil, append(many, gone)...)+
		pool("ring", ring, well.Entry("a"), gone)+
		pool("fail", append(ring, "eject: fail"), well.Entry("a"), gone)+
		pool("full", nil, full.Entry("a"))+
		pool("locked", []string{"redis_auth: wrong"}, locked.Entry("a"))+
		"nuthatch:\n  threads: 1\n  admin: "+admin+"\n")
	var clients []*testkit.Client
	for _, addr := range p.Addrs {
		clients = append(clients, testkit.Dial(t, testkit.Redis, addr))
	}
	clients[5].Do("AUTH", "wrong")
	traffic := func() {
		for i := range 1000 {
			for _, c := range clients {
				c.Do("GET", fmt.Sprintf("%x", sha256.Sum256([]byte{byte(i), byte(i >> 8)})))
			}
		}
		for i := range 5 {
			clients[4].Do("SET", fmt.Sprint(i), "v")  // OOM
			clients[0].Do("LPUSH", "wrong", "v")      // and then a request that is wrong
			clients[0].Do("INCR", "wrong")            // WRONGTYPE
			clients[0].Do("EVALSHA", "0", "1", "any") // NOSCRIPT
		}
	}
	traffic()
	before := scrape(t, admin)
	traffic()
	after := scrape(t, admin)
	var input []series
	for _, name := range slices.Sorted(maps.Keys(after)) {
		growth := 0.0
		if was, ok := before[name]; ok && strings.Contains(name, "_total{") {
			growth = after[name] - was
		}
		// promtool holds few samples. What has never happened adds nothing to a rate.
		if strings.Contains(name, "_total{") && after[name] == 0 && strings.Contains(name, `server="n`) {
			continue
		}
		input = append(input, series{name, fmt.Sprintf("%v+%vx60", after[name], growth)})
	}
	server := func(pool, server string) map[string]string {
		return map[string]string{"pool": pool, "server": server}
	}
	reply := func(of map[string]string, prefix string) map[string]string {
		of["error"] = prefix
		return of
	}
	checkAlerts(t, input, map[string][]map[string]string{
		"NuthatchServerDown":         {server("many", "gone"), server("fail", "gone"), server("locked", "a")},
		"NuthatchServerEjected":      {server("ring", "gone")},
		"NuthatchNoServerLeft":       {{"instance": "i", "pool": "locked"}},
		"NuthatchServerErrorReplies": {reply(server("full", "a"), "OOM"), reply(server("locked", "a"), "NOAUTH")},
		// Of two hundred servers one costs half a percent of the requests, of two a half.
		"NuthatchErrors": {{"instance": "i", "pool": "fail"}},
	})
}

// TestAlertsOfAServerThatIsTried: a server whose keys others have is tried again and
// again, which interrupts no alert, and is no worse than it is.
func TestAlertsOfAServerThatIsTried(t *testing.T) {
	const labels = `instance="i",job="nuthatch",pool="p",server="s"`
	alternate := func(name, more, a, b string) series {
		return series{name + "{" + labels + more + "}", strings.TrimSpace(strings.Repeat(a+" "+a+" "+b+" ", 20))}
	}
	checkAlerts(t, []series{
		alternate("nuthatch_server_state", `,state="ejected"`, "1", "0"), alternate("nuthatch_server_state", `,state="probing"`, "0", "1"),
		alternate("nuthatch_server_state", `,state="failing"`, "0", "0"), alternate("nuthatch_server_in_service", "", "0", "1"),
		alternate("nuthatch_server_ring_ratio", "", "0", "0.5"),
	}, map[string][]map[string]string{"NuthatchServerEjected": {{"pool": "p", "server": "s"}}})
}

// steady is a series that has one value.
func steady(name, labels string, value float64) series {
	return series{fmt.Sprintf(`%s{instance="i",job="nuthatch"%s}`, name, labels), fmt.Sprintf("%v+0x60", value)}
}

// bucketsOf are the series of a server's histogram: in ten seconds 1000 requests came, all of
// them within one bucket.
func bucketsOf(pool, server string, within float64) []series {
	var list []series
	for _, le := range []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .05, .25, 1} {
		growth := 0
		if le >= within {
			growth = 1000
		}
		list = append(list, series{
			fmt.Sprintf(`nuthatch_server_request_duration_seconds_bucket{instance="i",job="nuthatch",pool=%q,server=%q,family="read",le="%v"}`, pool, server, le),
			fmt.Sprintf("0+%dx60", growth),
		})
	}
	return append(list, series{
		fmt.Sprintf(`nuthatch_server_request_duration_seconds_bucket{instance="i",job="nuthatch",pool=%q,server=%q,family="read",le="+Inf"}`, pool, server), "0+1000x60",
	})
}

// TestAlertsOfScenarios: the edges of what TestAlertsOfRecordedTroubles records, each by itself,
// and that no other alert fires.
func TestAlertsOfScenarios(t *testing.T) {
	for name, tt := range map[string]struct {
		input  []series
		expect map[string][]map[string]string
	}{
		"a slow server of many": {
			slices.Concat(bucketsOf("p", "a", .001), bucketsOf("p", "b", .0025), bucketsOf("p", "c", .001), bucketsOf("p", "d", .05), bucketsOf("q", "a", .05)),
			map[string][]map[string]string{"NuthatchServerSlow": {{"pool": "p", "server": "d"}}},
		},
		"slow servers alone": {slices.Concat(bucketsOf("p", "a", .25), bucketsOf("p", "b", .25)), nil},
		"a reload":           {[]series{steady("nuthatch_config_last_reload_successful", "", 1)}, nil},
		"memory":             {[]series{steady("nuthatch_memory_held_bytes", "", 50), steady("nuthatch_memory_soft_limit_bytes", "", 100)}, nil},
		"no certificate, and one that holds": {
			[]series{
				steady("nuthatch_tls_certificate_refused", `,pool="p",block="server_tls"`, 0),
				steady("nuthatch_tls_certificate_refused", `,pool="q",block="tls"`, 0),
				steady("nuthatch_tls_certificate_expiry_timestamp_seconds", `,pool="q",block="tls"`, 30*86400),
			}, nil,
		},
		"certificates that end, and files that cannot be used": {
			[]series{
				steady("nuthatch_tls_certificate_refused", `,pool="p",block="server_tls"`, 1),
				steady("nuthatch_tls_certificate_expiry_timestamp_seconds", `,pool="p",block="server_tls"`, 13*86400),
				steady("nuthatch_tls_certificate_expiry_timestamp_seconds", `,pool="q",block="sentinel_tls"`, 9*86400),
				steady("nuthatch_tls_certificate_expiry_timestamp_seconds", `,block="admin_tls"`, 86400),
			},
			map[string][]map[string]string{
				"NuthatchCertificateEnds": {
					{"instance": "i", "pool": "p", "block": "server_tls"}, {"instance": "i", "pool": "q", "block": "sentinel_tls"}, {"instance": "i", "block": "admin_tls"},
				},
				"NuthatchCertificateRefused": {{"instance": "i", "pool": "p", "block": "server_tls"}},
			},
		},
	} {
		t.Run(name, func(t *testing.T) { checkAlerts(t, tt.input, tt.expect) })
	}
}
