package testkit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A Prometheus scrapes one target.
type Prometheus struct {
	*Process
	url string
}

// StartPrometheus starts a Prometheus that scrapes /metrics of an address every so often.
func StartPrometheus(t testing.TB, target string, every time.Duration) *Prometheus {
	t.Helper()
	dir, addr := shortTempDir(t), FreeAddr(t)
	file := filepath.Join(dir, "prometheus.yml")
	conf := fmt.Sprintf("scrape_configs:\n- {job_name: nuthatch, scrape_interval: %dms, scrape_timeout: %[1]dms, static_configs: [{targets: ['%s']}]}\n", every.Milliseconds(), target)
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &Prometheus{url: "http://" + addr}
	p.Process = &Process{
		t: t, name: "prometheus " + addr, path: lookProgram(t, "prometheus"), abrupt: true, logs: []string{filepath.Join(dir, "log")},
		args: []string{"--config.file=" + file, "--storage.tsdb.path=" + dir, "--web.listen-address=" + addr, "--log.level=warn"},
		ready: func() error {
			answer, err := http.Get(p.url + "/-/ready")
			if err != nil {
				return err
			}
			defer answer.Body.Close()
			if answer.StatusCode != http.StatusOK {
				return errors.New(answer.Status)
			}
			return nil
		},
	}
	p.start()
	return p
}

// Query evaluates a query now, and returns how many series the result has. A query that is
// none fails the test.
func (p *Prometheus) Query(query string) int {
	p.t.Helper()
	answer, err := http.PostForm(p.url+"/api/v1/query", url.Values{"query": {query}})
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	var said struct {
		Status string
		Data   struct{ Result []json.RawMessage }
	}
	if err == nil {
		err = json.Unmarshal(text, &said)
	}
	if err != nil || said.Status != "success" {
		p.t.Fatalf("Prometheus says %s to %s: %v", text, query, err)
	}
	return len(said.Data.Result)
}

// Await waits until a query has a result.
func (p *Prometheus) Await(what, query string) {
	p.t.Helper()
	Await(p.t, what, func() error {
		if p.Query(query) == 0 {
			return errors.New("no result of " + query)
		}
		return nil
	})
}
