package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/testkit"
)

// TestHistoryOutlivesAnUpgrade: what the old program has seen stands before what the new one
// sees.
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
	upgrade(t, p, p.Pid())
	testkit.Await(t, "the history of the program before", func() error {
		h := history()
		if len(h.At) < len(before.At) || h.At[0] != before.At[0] {
			return errors.New("it is not there")
		}
		return nil
	})
}
