package daemon

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"nuthatch/internal/logging"
	"nuthatch/internal/testkit"
)

// The log, at its most verbose, and the metrics have no keys, no values and no passwords of clients: neither of what
// is carried out, nor of what is refused, fails, or is no request at all.
func TestKeysAreNotLogged(t *testing.T) {
	server := testkit.StartRedis(t)
	listen, lost, admin := testkit.FreeAddr(t), testkit.FreeAddr(t), testkit.FreeAddr(t)
	s := startStageWith(t, pool("alpha", listen, testkit.Names(server), "users: {default: {rules: 'on nopass ~k-* +@all -eval'}, alice: {rules: 'on >sesame'}}")+
		pool("beta", lost, []string{testkit.Refused(t) + ":1"}), "  slowlog_slower_than: 0s\n  admin: "+admin+"\n")
	s.log.SetLevel(logging.Level(11))
	for _, addr := range []string{listen, lost} {
		c := testkit.Dial(t, testkit.Redis, addr)
		for _, words := range [][]string{
			{"SET", "k-secretkey", "secretvalue"},
			{"GET", "k-secretkey"},
			{"LPUSH", "k-secretkey", "secretvalue"},
			{"MGET", "k-secretkey", "k-secretkey2"},
			{"GET", "secretkey"},
			{"EVAL", "return 'secretvalue'", "1", "k-secretkey"},
			{"NOSUCH", "secretkey"},
			{"SETEX", "k-secretkey", "x", "secretvalue"},
			{"AUTH", "alice", "secretword"},
			{"AUTH", "secretword"},
			{"MULTI"},
			{"SET", "secretkey", "secretvalue"},
			{"EXEC"},
		} {
			c.Do(words...)
		}
		c.Send([]byte("*2\r\n$3\r\nGET\r\n$x\r\nsecretkey\r\n"))
		c.Reply()
	}
	if err := s.log.Flush(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(s.opts.LogFile)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "accepted client") {
		t.Error("the log does not have what it has at its most verbose")
	}
	scrape, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer scrape.Body.Close()
	metrics, err := io.ReadAll(scrape.Body)
	if err != nil || !strings.Contains(string(metrics), "nuthatch_client_requests_total") {
		t.Errorf("the metrics are %.100q: %v", metrics, err)
	}
	for line := range strings.Lines(string(text) + string(metrics)) {
		for _, word := range []string{"secretkey", "secretvalue", "secretword"} {
			if strings.Contains(line, word) {
				t.Errorf("%s: %s", word, line)
			}
		}
	}
}
