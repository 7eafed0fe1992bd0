package examples

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

// expiry is the metric that tells when a certificate ends.
const expiry = "nuthatch_tls_certificate_expiry_timestamp_seconds{"

// recorded makes series of two scrapes: counters grow in each step as they did between the two,
// and all else stays as it was last. The time of promtool begins with the recording.
func recorded(before, after map[string]float64, now time.Time) []series {
	var input []series
	for _, name := range slices.Sorted(maps.Keys(after)) {
		value, growth := after[name], 0.0
		if was, ok := before[name]; ok && (strings.Contains(name, "_total{") || strings.Contains(name, "_bucket{")) {
			growth = value - was
		}
		if strings.HasPrefix(name, expiry) {
			value -= float64(now.Unix())
		}
		input = append(input, series{name, fmt.Sprintf("%v+%vx60", value, growth)})
	}
	return input
}

// A trouble is a proxy to which things happen.
type trouble struct {
	t     *testing.T
	proxy *testkit.Proxy
	admin string
}

// scrape reads the metrics, with the histograms of the servers of one pool.
func (r *trouble) scrape() map[string]float64 {
	r.t.Helper()
	return scrapeWith(r.t, r.admin, `pool="slow",server=`)
}

// await waits until a metric has a value.
func (r *trouble) await(name string, ok func(float64) bool) {
	r.t.Helper()
	testkit.Await(r.t, name, func() error {
		for series, v := range r.scrape() {
			if strings.HasPrefix(series, name) && ok(v) {
				return nil
			}
		}
		return errors.New("not yet")
	})
}

// ask sends requests for many keys to a pool, and reads the replies.
func ask(c *testkit.Client) {
	var text strings.Builder
	for i := range 12 {
		fmt.Fprintf(&text, "*2\r\n$3\r\nGET\r\n$64\r\n%x\r\n", sha256.Sum256([]byte{byte(i)}))
	}
	c.Send([]byte(text.String()))
	c.Expect(slices.Repeat([]string{"$-1\r\n"}, 12)...)
}

// startTrouble starts a proxy with a pool for each trouble: one of two servers is slow, none is
// left, a server hangs, and one certificate of two ends in nine days.
func startTrouble(t *testing.T) (r *trouble, key string) {
	t.Helper()
	well := testkit.StartRedis(t)
	slow := testkit.StartScripted(t, func(k *testkit.Talk) {
		for {
			if _, ok := k.Command(); !ok || !k.Late(100*time.Millisecond) {
				return
			}
			k.Reply("$-1\r\n")
		}
	})
	hangs := testkit.StartScripted(t, func(k *testkit.Talk) { k.Hang() })
	a := testkit.NewAuthority(t)
	soon, soonKey := a.Issue("soon", time.Now().Add(9*24*time.Hour))
	later, laterKey := a.Issue("later", time.Now().Add(300*24*time.Hour))
	pool := func(name string, lines []string, servers ...string) string {
		return testkit.Pool{Name: name, Protocol: testkit.Redis, Servers: servers, Lines: lines}.String()
	}
	tls := func(cert, key string) []string { return []string{fmt.Sprintf("tls: {cert: %s, key: %s}", cert, key)} }
	r = &trouble{t: t, admin: testkit.FreeAddr(t)}
	r.proxy = testkit.StartNuthatch(t, pool("slow", nil, well.Entry("a"), testkit.Entry(slow.Addr(), 1, "late"))+
		pool("none", nil, testkit.Entry(testkit.Refused(t), 1, "a"), testkit.Entry(testkit.Refused(t), 1, "b"))+
		pool("hangs", nil, testkit.Entry(hangs.Addr(), 1, "a"))+
		pool("soon", tls(soon, soonKey), well.Entry("a"))+pool("later", tls(later, laterKey), well.Entry("a"))+
		"nuthatch:\n  threads: 1\n  max_memory: 64mb\n  admin: "+r.admin+"\n")
	return r, laterKey
}

// fill has clients hold nearly as much memory as they may.
func (r *trouble) fill(addr string) {
	r.t.Helper()
	const clients, nearly = 64, 0.95
	each := int(r.scrape()[`nuthatch_memory_soft_limit_bytes{instance="i",job="nuthatch"}`] * nearly / clients)
	begun := fmt.Appendf(nil, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n%s", 2*each, strings.Repeat("v", each))
	for range clients {
		testkit.Dial(r.t, testkit.Redis, addr).Send(begun)
	}
	soft := r.scrape()[`nuthatch_memory_soft_limit_bytes{instance="i",job="nuthatch"}`]
	r.await("nuthatch_memory_held_bytes", func(held float64) bool { return held > 0.92*soft })
}

// TestAlertsOfRecordedTroubles: promtool evaluates the alerts over what a real proxy told while a
// server was slow, no server of a pool was left, the last reload was refused, memory was nearly
// used up, and certificates were about to end or could not be read.
func TestAlertsOfRecordedTroubles(t *testing.T) {
	r, key := startTrouble(t)
	slow, none := testkit.Dial(t, testkit.Redis, r.proxy.Addrs[0]), testkit.Dial(t, testkit.Redis, r.proxy.Addrs[1])
	traffic := func() {
		ask(slow)
		for i := range 100 {
			none.Do("GET", fmt.Sprint("key", i))
		}
	}
	traffic()
	const answered = `nuthatch_server_request_duration_seconds_bucket{family="read",pool="slow",server="late",le="+Inf"`
	r.await(answered, func(n float64) bool { return n > 0 })
	before := r.scrape()
	traffic()
	r.await(answered, func(n float64) bool { return n > before[answered+`,instance="i",job="nuthatch"}`] })
	r.await("nuthatch_server_state{pool=\"none\",server=\"b\",state=\"failing\"", func(v float64) bool { return v == 1 })

	if err := os.WriteFile(key, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.proxy.Signal(syscall.SIGUSR1)
	r.await(`nuthatch_tls_certificate_refused{block="tls",pool="later"`, func(v float64) bool { return v == 1 })
	text, err := os.ReadFile(r.proxy.Config)
	if err == nil {
		err = os.WriteFile(r.proxy.Config, append(text, "  threads: many\n"...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.proxy.Signal(syscall.SIGUSR1)
	r.await("nuthatch_config_last_reload_successful", func(v float64) bool { return v == 0 })
	r.fill(r.proxy.Addrs[2])

	process, pool := map[string]string{"instance": "i", "job": "nuthatch"}, map[string]string{"instance": "i", "pool": "none"}
	checkAlerts(t, recorded(before, r.scrape(), time.Now()), map[string][]map[string]string{
		"NuthatchServerSlow":         {{"pool": "slow", "server": "late"}},
		"NuthatchNoServerLeft":       {pool},
		"NuthatchServerDown":         {{"pool": "none", "server": "a"}, {"pool": "none", "server": "b"}},
		"NuthatchErrors":             {pool},
		"NuthatchReloadRefused":      {process},
		"NuthatchMemory":             {process},
		"NuthatchCertificateEnds":    {{"instance": "i", "pool": "soon", "block": "tls"}},
		"NuthatchCertificateRefused": {{"instance": "i", "pool": "later", "block": "tls"}},
	})
}
