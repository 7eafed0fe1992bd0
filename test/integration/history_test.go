package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"testing"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/testkit"
)

// TestHistoryOutlivesAnUpgrade: what the old program has seen stands before what the new one
// sees, and windows have what it has counted.
func TestHistoryOutlivesAnUpgrade(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	text, c := withAdmin(t, testkit.Pool{Name: "alpha", Protocol: testkit.Redis, Servers: testkit.Names(server)}.String())
	p := testkit.StartNuthatch(t, text)
	history := func() (h api.History) {
		t.Helper()
		answer, err := http.Get("http://" + c.addr + "/api/v1/history")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if err := json.NewDecoder(answer.Body).Decode(&h); err != nil {
			t.Fatal(err)
		}
		return h
	}
	testkit.Await(t, "two seconds of history", func() error {
		if n := len(history().At); n < 2 {
			return fmt.Errorf("%d seconds", n)
		}
		return nil
	})
	before := history()
	client := p.Dial(testkit.Redis)
	for range 50 {
		client.Do("SET", "key", "value")
	}
	client.Close()
	c.do("pause", "alpha")
	c.do("resume", "alpha")
	upgrade(t, p, p.Pid())
	testkit.Await(t, "the events of the program before", func() error {
		all := read[api.Events](c, "events", "alpha").Events
		for i := range all {
			if all[i].Kind == "pool_resumed" && all[i].ID <= 0 {
				return nil
			}
		}
		return fmt.Errorf("%d events", len(all))
	})
	testkit.Await(t, "a window with the requests of before", func() error {
		pool := read[api.Pools](c, "stats", "--window", "10m").Pools[0]
		if pool.Recent == nil || pool.Latency == nil || pool.Latency.Recent == nil {
			return errors.New("nothing was counted")
		}
		requests, measured := math.Round(pool.Recent.Requests*pool.Recent.Window), pool.Latency.Recent.Count
		if requests < 50 || requests >= 100 || measured < 50 || measured >= 100 {
			return fmt.Errorf("%v requests, %d of them measured; want 50 and perhaps those of a login", requests, measured)
		}
		return nil
	})
	testkit.Await(t, "the history of the program before", func() error {
		h := history()
		if len(h.At) < len(before.At) || h.At[0] != before.At[0] {
			return errors.New("it is not there")
		}
		return nil
	})
}
