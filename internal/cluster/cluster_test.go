package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/testkit"
)

// A fake is a node that says what a test has it say.
type fake struct {
	*testkit.Scripted

	mu sync.Mutex
	// nodes is its CLUSTER NODES; empty: it is no cluster. refuse are the words that it
	// refuses. info is its CLUSTER INFO, version that of its server; empty: it does not say.
	nodes  string
	shards string
	slots  string
	refuse string
	asked  int

	info, version string
}

func startFake(t *testing.T) *fake {
	t.Helper()
	f := new(fake)
	f.Scripted = testkit.StartScripted(t, func(k *testkit.Talk) {
		for {
			args, ok := k.Command()
			if !ok {
				return
			}
			k.Reply(f.reply(strings.ToUpper(strings.Join(args, " "))))
		}
	})
	return f
}

func (f *fake) reply(asked string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	bulk := func(s string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s) }
	switch {
	case strings.HasPrefix(asked, "AUTH") && f.refuse == "AUTH":
		return "-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?\r\n"
	case strings.HasPrefix(asked, "AUTH") && f.refuse == "PASSWORD":
		return "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
	case asked == "CLUSTER INFO" && f.info != "":
		return bulk(f.info + "\r\n")
	case asked == "INFO SERVER" && f.version != "":
		return bulk("# Server\r\nredis_version:" + f.version + "\r\n")
	case strings.HasPrefix(asked, "HELLO"):
		return "-ERR unknown command 'HELLO'\r\n"
	case strings.HasPrefix(asked, "AUTH"):
		return "+OK\r\n"
	case f.nodes == "" && f.slots == "":
		return "-ERR This instance has cluster support disabled\r\n"
	case asked == "CLUSTER NODES" && f.nodes != "":
		f.asked++
		return bulk(f.nodes)
	case asked == "CLUSTER SHARDS" && f.shards != "":
		return f.shards
	case asked == "CLUSTER SLOTS" && f.slots != "":
		return f.slots
	}
	return "-ERR unknown subcommand\r\n"
}

// says has the node say these lines of CLUSTER NODES, "id address role epoch slots".
func (f *fake) says(lines ...string) {
	var b strings.Builder
	for _, line := range lines {
		w := strings.Fields(line)
		n, err := strconv.Atoi(w[0])
		if err != nil {
			panic(err)
		}
		flags, of := w[2], "-"
		if role, primary, ok := strings.Cut(w[2], ":"); ok {
			p, err := strconv.Atoi(primary)
			if err != nil {
				panic(err)
			}
			flags, of = role, id(p)
		}
		if w[1] == f.Addr() {
			flags = "myself," + flags
		}
		fmt.Fprintf(&b, "%s %s@1 %s %s 0 0 %s connected %s\n", id(n), w[1], flags, of, w[3], strings.Join(w[4:], " "))
	}
	f.mu.Lock()
	f.nodes = b.String()
	f.mu.Unlock()
}

// A watch is a watcher of a test, and what came of it.
type watch struct {
	*Watcher
	mu     sync.Mutex
	maps   []*Map
	told   []Change
	wanted []string
	from   string
	urgent bool
}

func newWatch(t *testing.T, login config.Login, seeds ...string) *watch {
	t.Helper()
	w := new(watch)
	o := Options{
		Login: login, Refresh: time.Hour,
		askTime: testkit.Patience, laggards: testkit.Patience, // no answer is late on a busy machine
		Wanted: func() ([]string, string, bool) {
			w.mu.Lock()
			defer w.mu.Unlock()
			why := w.wanted
			w.wanted = nil
			return why, w.from, w.urgent
		},
		Urgent: func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.urgent && len(w.wanted) > 0
		},
		Publish: func(m *Map) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.maps = append(w.maps, m)
		},
		Tell: func(c Change) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.told = append(w.told, c)
		},
	}
	for _, s := range seeds {
		at := strings.LastIndexByte(s, ':')
		port, err := strconv.Atoi(s[at+1:])
		if err != nil {
			t.Fatal(err)
		}
		o.Seeds = append(o.Seeds, config.Address{Network: config.NetworkTCP, Host: s[:at], Port: port})
	}
	w.Watcher = New(o)
	t.Cleanup(w.Stop)
	return w
}

// want has the watcher asked for a map.
func (w *watch) want(why, from string, urgent bool) {
	w.mu.Lock()
	w.wanted, w.from, w.urgent = append(w.wanted, why), from, urgent
	w.mu.Unlock()
	w.Wake()
}

// last is the last map that was published, in words.
func (w *watch) last() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.maps) == 0 {
		return "none"
	}
	m := w.maps[len(w.maps)-1]
	var all []string
	for i := range m.Nodes {
		n := 0
		for _, at := range m.Owners {
			if at == int32(i) {
				n++
			}
		}
		all = append(all, fmt.Sprintf("%s:%d", strings.TrimLeft(m.Nodes[i].ID, "0"), n))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func (w *watch) changes() []Change {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.told)
}

var errNotYet = errors.New("not yet")

func (w *watch) await(t *testing.T, want string) {
	t.Helper()
	testkit.Await(t, "the map "+want, func() error {
		if got := w.last(); got != want {
			return fmt.Errorf("%w: %s", errNotYet, got)
		}
		return nil
	})
}

// The cluster is found by one seed of several, of which some are down or no cluster; these
// are told of, once.
func TestSeeds(t *testing.T) {
	a, b, none := startFake(t), startFake(t), startFake(t)
	for _, f := range []*fake{a, b} {
		f.says("1 "+a.Addr()+" master 1 0-8191", "2 "+b.Addr()+" master 2 8192-16383")
	}
	down := testkit.FreeAddr(t)
	w := newWatch(t, config.Login{}, down, none.Addr(), b.Addr())
	for range 2 {
		w.Look(t.Context())
	}
	if got := w.last(); got != "1:8192 2:8192" {
		t.Errorf("the map is %s", got)
	}
	said := map[string]string{}
	for _, c := range w.changes() {
		said[c.Seed] += c.Problem
	}
	if len(said) != 2 || !strings.Contains(said[down], "refused") || said[none.Addr()] != "it is no node of a cluster: This instance has cluster support disabled" {
		t.Errorf("told of %v", said)
	}
	s := w.Status()
	if s.Problem != "" || !s.Map.Settled() || s.Looks["start"] != 2 || s.Answered.IsZero() || s.Map.Epoch != 2 {
		t.Errorf("the status is %+v", s)
	}
}

// Seeds of two clusters are told of by name, as long as that is so. The map is that of the larger
// one, and holes in it are told of first.
func TestSeedsOfTwoClusters(t *testing.T) {
	a, b, c, d := startFake(t), startFake(t), startFake(t), startFake(t)
	for _, f := range []*fake{a, b} {
		f.says("1 "+a.Addr()+" master 1 0-8191", "2 "+b.Addr()+" master 2 8192-16383")
	}
	for _, f := range []*fake{c, d} {
		f.says("3 "+c.Addr()+" master 3 0-8191", "4 "+d.Addr()+" master 4 8192-16382")
	}
	w := newWatch(t, config.Login{}, a.Addr(), b.Addr(), c.Addr(), d.Addr())
	used, others := []string{a.Addr(), b.Addr()}, []string{c.Addr(), d.Addr()}
	slices.Sort(others)
	several := "the seeds belong to two clusters: " + strings.Join(used, ", ") + " to the one that is used; " + strings.Join(others, ", ") + " to another"
	testkit.Await(t, "all seeds to have answered in time", func() error {
		w.Look(t.Context())
		if s := w.Status(); s.Problem != several {
			return errors.New(s.Problem)
		}
		return nil
	})
	for range 5 { // these looks ask one seed each
		w.Look(t.Context())
		if s := w.Status(); s.Problem != several || !s.Several || !s.Map.Settled() || s.Seeds[1].Foreign() || !s.Seeds[2].Foreign() {
			t.Fatalf("%q, %+v", s.Problem, s.Seeds)
		}
	}
	for _, f := range []*fake{a, b} {
		f.says("1 "+a.Addr()+" master 1 0-8191", "2 "+b.Addr()+" master 2 8192-16381")
	}
	testkit.Await(t, "holes to be told of", func() error {
		w.Look(t.Context())
		if s := w.Status(); s.Several {
			return errNotYet
		}
		return nil
	})
	for _, f := range []*fake{a, b, c, d} {
		f.says("1 "+a.Addr()+" master 1 0-8191", "2 "+b.Addr()+" master 2 8192-16383", "3 "+c.Addr()+" slave:1 3", "4 "+d.Addr()+" slave:2 4")
	}
	testkit.Await(t, "one cluster", func() error {
		w.Look(t.Context())
		if s := w.Status(); s.Problem != "" {
			return errors.New(s.Problem)
		}
		return nil
	})
	got := w.changes()
	if len(got) < 3 || got[0] != (Change{Problem: several, Several: true}) || got[1] != (Change{Problem: "2 of 16384 slots have no primary"}) || got[len(got)-1] != (Change{Several: true}) {
		t.Errorf("told: %+v", got)
	}
}

// If nobody answers, that is told, and the reason is in the status; when somebody does, too.
func TestNobodyAnswers(t *testing.T) {
	addr := testkit.FreeAddr(t)
	w := newWatch(t, config.Login{}, addr)
	w.Look(t.Context())
	if s := w.Status(); s.Map != nil || !strings.Contains(s.Problem, addr) || !strings.Contains(s.Problem, "no node answers") {
		t.Errorf("the problem is %q", s.Problem)
	}
	f := new(fake)
	f.Scripted = testkit.StartScriptedAt(t, addr, func(k *testkit.Talk) {
		for {
			args, ok := k.Command()
			if !ok {
				return
			}
			k.Reply(f.reply(strings.ToUpper(strings.Join(args, " "))))
		}
	})
	f.says("1 " + addr + " master 1 0-16383")
	w.Start()
	w.await(t, "1:16384")
	changes := w.changes()
	var about []string
	for _, c := range changes {
		if c.Seed == "" {
			about = append(about, c.Problem)
		}
	}
	if len(about) != 2 || about[0] == "" || about[1] != "" {
		t.Errorf("told of %q", about)
	}
}

// A failover is found when somebody asks for it, at the node that knows more; one that is
// behind does not take it back.
func TestWish(t *testing.T) {
	a, b := startFake(t), startFake(t)
	for _, f := range []*fake{a, b} {
		f.says("1 "+a.Addr()+" master 1 0-16383", "2 "+b.Addr()+" slave:1 1")
	}
	w := newWatch(t, config.Login{}, a.Addr(), b.Addr())
	w.Look(t.Context())
	w.Start()
	w.await(t, "1:16384 2:0")
	b.says("1 "+a.Addr()+" slave:2 5", "2 "+b.Addr()+" master 5 0-16383")
	w.want("moved", b.Addr(), false)
	w.await(t, "1:0 2:16384")
	w.Stop()
	// a still says what it said.
	for range 3 {
		w.Look(t.Context())
	}
	w.await(t, "1:0 2:16384")
	if s := w.Status(); s.Looks["moved"] == 0 {
		t.Errorf("it was asked for %v", s.Looks)
	}
}

// What was asked for before the start, when nobody could be woken, counts. A watcher in the place of
// another one goes on to look for a node that is missed.
func TestWishBeforeStart(t *testing.T) {
	a, b := startFake(t), startFake(t)
	for _, f := range []*fake{a, b} {
		f.says("1 "+a.Addr()+" master 1 0-16383", "2 "+b.Addr()+" slave:1 1")
	}
	old, w := newWatch(t, config.Login{}, a.Addr(), b.Addr()), newWatch(t, config.Login{}, a.Addr(), b.Addr())
	old.Look(t.Context())
	old.want("lost", "", true)
	old.Start()
	testkit.Await(t, "the look", func() error {
		if old.Status().Looks["lost"] == 0 {
			return errNotYet
		}
		return nil
	})
	old.Stop()
	w.Look(t.Context())
	w.Hurry(old.Watcher)
	w.mu.Lock()
	w.wanted = []string{"readonly"}
	w.mu.Unlock()
	w.Start()
	testkit.Await(t, "two more looks: one that was asked for, and one since a node is missed", func() error {
		if looks := w.Status().Looks; looks["readonly"] == 0 || looks["refresh"] == 0 {
			return fmt.Errorf("%w: %v", errNotYet, looks)
		}
		return nil
	})
}

// When all seeds are gone, the cluster is found at the other nodes that are known.
func TestSeedsAreGone(t *testing.T) {
	a, b := startFake(t), startFake(t)
	for _, f := range []*fake{a, b} {
		f.says("1 "+a.Addr()+" master 1 0-99", "2 "+b.Addr()+" master 2 100-16383")
	}
	w := newWatch(t, config.Login{}, a.Addr())
	w.Look(t.Context())
	a.Stop()
	b.says("2 " + b.Addr() + " master 7 0-16383")
	w.Look(t.Context())
	if got := w.last(); got != "2:16384" {
		t.Errorf("the map is %s", got)
	}
}

// While the primary of a slot fails, the cluster is asked again soon, by itself.
func TestUnsettled(t *testing.T) {
	a, b := startFake(t), startFake(t)
	b.says("1 "+a.Addr()+" master,fail 1 0-16383", "2 "+b.Addr()+" slave:1 1")
	w := newWatch(t, config.Login{}, b.Addr())
	w.Look(t.Context())
	if w.Status().Map.Settled() {
		t.Error("it is settled")
	}
	w.Start()
	b.says("1 "+a.Addr()+" master,fail 1", "2 "+b.Addr()+" master 2 0-16383")
	w.await(t, "1:0 2:16384")
}

// Older servers have no CLUSTER SHARDS, and some have only CLUSTER SLOTS.
func TestFallbacks(t *testing.T) {
	f := startFake(t)
	host, port, _ := strings.Cut(f.Addr(), ":")
	f.mu.Lock()
	f.slots = "*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$" + strconv.Itoa(len(host)) + "\r\n" + host + "\r\n:" + port + "\r\n$40\r\n" + id(7) + "\r\n"
	f.mu.Unlock()
	w := newWatch(t, config.Login{Password: "sesame"}, f.Addr())
	w.Look(t.Context())
	if got := w.last(); got != "7:16384" || w.Status().Map.Epoch != -1 {
		t.Errorf("by CLUSTER SLOTS the map is %s", got)
	}
	f.mu.Lock()
	f.refuse = "AUTH"
	f.mu.Unlock()
	w.Look(t.Context())
	if s := w.Status(); s.Problem != "" {
		t.Errorf("of a server that wants no password: %s", s.Problem)
	}
}

// A refresh ends when the watcher is stopped, and nothing is told then.
func TestStopped(t *testing.T) {
	s := testkit.StartScripted(t, (*testkit.Talk).Drain)
	w := newWatch(t, config.Login{}, s.Addr())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.Look(ctx)
	if n := len(w.changes()); n != 0 || !w.Status().Looked.IsZero() {
		t.Errorf("told of %d changes", n)
	}
}

// The pace: at once, then less and less often, and never for more than a tenth of the time.
func TestPace(t *testing.T) {
	now := time.Unix(1000, 0)
	var p pace
	if most, least := p.next(now, true, false, time.Minute, 0); most != time.Minute || least != 0 {
		t.Errorf("nobody asks: %v, %v", most, least)
	}
	var pauses []time.Duration
	for range 7 {
		p.wish(now, false)
		_, least := p.next(now, true, false, time.Minute, 0)
		pauses = append(pauses, least)
		now = now.Add(least)
	}
	if want := []time.Duration{soon, 2 * soon, 4 * soon, 8 * soon, 16 * soon, seldom, seldom}; !slices.Equal(pauses, want) {
		t.Errorf("the pauses are %v, want %v", pauses, want)
	}
	p.wish(now, true)
	if most, least := p.next(now, true, false, time.Minute, 0); least != later || most != later {
		t.Errorf("a node is missed: %v, %v", most, least)
	}
	if _, least := p.next(now, true, false, time.Minute, 200*time.Millisecond); least != 2*time.Second {
		t.Errorf("a look takes 200 ms, and the pause is %v", least)
	}
	now = now.Add(time.Minute)
	p.wish(now, false)
	if _, least := p.next(now, true, false, time.Minute, 0); least != soon {
		t.Errorf("after a while the pause is %v", least)
	}
	if most, _ := p.next(now, false, false, time.Hour, 0); most != later {
		t.Errorf("unsettled: %v", most)
	}
	if most, _ := p.next(now.Add(2*time.Minute), false, false, time.Hour, 0); most != seldom {
		t.Errorf("unsettled for long: %v", most)
	}
}

// TestPaceOfAway: while no node answers, the nodes are asked again soon, however long that lasts, and
// however long such a look takes.
func TestPaceOfAway(t *testing.T) {
	now := time.Unix(1000, 0)
	for _, tt := range []struct {
		settled             bool
		refresh, took, want time.Duration
	}{
		{true, time.Hour, 0, away},
		{true, time.Hour, 200 * time.Millisecond, 2 * time.Second},
		{true, time.Hour, 4 * time.Second, awayMost},
		{true, later, 0, later},
		{false, time.Hour, 0, away},
		{false, time.Hour, 4 * time.Second, awayMost},
	} {
		p := pace{unsettled: now.Add(-time.Hour), pause: soon}
		if most, _ := p.next(now, tt.settled, true, tt.refresh, tt.took); most != tt.want {
			t.Errorf("%+v: the pause is %v", tt, most)
		}
	}
}

// TestSilent: a cluster of which nobody answers is told from one that answers.
func TestSilent(t *testing.T) {
	f := startFake(t)
	f.says("1 " + f.Addr() + " master 1 0-16383")
	w := newWatch(t, config.Login{}, f.Addr())
	w.Look(t.Context())
	if s := w.Status(); !s.settled() || s.silent {
		t.Errorf("it answers: %+v", s)
	}
	f.Stop()
	w.Look(t.Context())
	other := newWatch(t, config.Login{}, f.Addr())
	other.Continue(w.Watcher)
	if s := other.Status(); !s.settled() || !s.silent {
		t.Errorf("it does not answer: %+v", s)
	}
}

// TestMissedIsUrgent: a node that is missed is looked for, however long the pause is because slots
// have moved.
func TestMissedIsUrgent(t *testing.T) {
	w := newWatch(t, config.Login{})
	done := make(chan bool, 1)
	go func() { done <- w.Watcher.await(t.Context(), time.Now(), time.Hour, time.Hour) }()
	w.want("moved", "", false)
	w.want("readonly", "", true)
	select {
	case ok := <-done:
		if !ok {
			t.Error("it ends")
		}
	case <-time.After(testkit.Patience):
		t.Error("it waits for an hour")
	}
}
