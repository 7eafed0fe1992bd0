package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/testkit"
)

// behind are the kinds of events behind one, and the ID to go on behind.
func (c *controller) behind(since int64) (kinds []string, last int64) {
	c.t.Helper()
	list := read[api.Events](c, "events", "--since", fmt.Sprint(since))
	for i := range list.Events {
		kinds = append(kinds, list.Events[i].Kind)
	}
	return kinds, list.Last
}

// An operator's hour: a server dies and comes back, a file is refused, a pool is paused,
// the program is upgraded. status says at each moment what needs a look, by its exit status
// whether something fails requests, and events says what has happened.
func TestStatusAndEvents(t *testing.T) {
	t.Parallel()
	one, two := testkit.StartRedis(t), testkit.StartRedis(t)
	pool := testkit.Pool{
		Name: "alpha", Listen: testkit.FreeAddr(t), Protocol: testkit.Redis, Servers: []string{one.Entry("one"), two.Entry("two")},
		Lines: []string{"server_failure_limit: 1"},
	}
	text, c := withAdmin(t, pool.String())
	p := testkit.StartNuthatch(t, text)
	client := p.Dial(testkit.Redis)
	client.Do("MSET", "a", "1", "b", "2", "c", "3", "d", "4")
	if out := c.do("status"); !strings.Contains(out, "nothing needs a look") || !strings.Contains(out, "started on pid") {
		t.Errorf("all is well, and it says\n%s", out)
	}
	_, last := c.behind(0)

	one.Stop()
	client.Do("MGET", "a", "b", "c", "d")
	out, status := c.run("status")
	if status != 1 || !strings.Contains(out, "requests fail:\n") || !strings.Contains(out, "server one ("+one.Addr()+") fails for 0s: ") {
		t.Errorf("one server is down, the exit status is %d, and it says\n%s", status, out)
	}
	one.Restart()
	testkit.Await(t, "the server to answer again", func() error {
		client.Do("MGET", "a", "b", "c", "d")
		kinds, _ := c.behind(last)
		kinds = slices.DeleteFunc(kinds, func(kind string) bool { return kind == "server_cause" }) // it may last
		if strings.Join(kinds, " ") != "server_fails server_answers" {
			return fmt.Errorf("what happened is %v", kinds)
		}
		return nil
	})
	_, last = c.behind(0)

	rewrite(t, p, strings.Replace(text, "hash: ", "hash: no_", 1))
	if out, status := c.run("reload"); status != 1 {
		t.Errorf("a reload that is refused: exit status %d: %s", status, out)
	}
	c.do("pause", "alpha", "--for", "30m")
	c.do("pause", "alpha", "--for", "50m")
	if out, _ := c.run("status"); !strings.Contains(out, "configuration not reloaded") || !strings.Contains(out, "its requests wait: paused for 49m") &&
		!strings.Contains(out, "its requests wait: paused for 50m00s") {
		t.Errorf("a reload was refused and the pool is paused, and it says\n%s", out)
	}
	c.do("resume", "alpha")
	rewrite(t, p, text)
	c.do("reload")
	kinds, _ := c.behind(last)
	if got, want := strings.Join(kinds, " "), "reload_refused pool_paused pool_paused pool_resumed reloaded"; got != want {
		t.Errorf("what happened is %s, want %s", got, want)
	}
	if out := c.do("events", "alpha", "--limit", "1"); !strings.Contains(out, "pool resumed, after ") {
		t.Errorf("the last event of the pool is\n%s", out)
	}

	client.Close()
	upgrade(t, p, p.Pid())
	list := read[api.Events](c, "events", "--since", "0")
	if len(list.Events) == 0 || list.Events[0].ID != 1 || !strings.Contains(list.Events[0].Text, "in place of the program that ran before") {
		t.Errorf("after an upgrade: %+v", list)
	}
}
