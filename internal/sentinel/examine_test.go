package sentinel_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/config"
	"nuthatch/internal/sentinel"
	"nuthatch/internal/testkit"
)

var errAway = errors.New("connection refused")

// A suspect is a set of sentinels that are examined. They are called a, b and c in what
// comes of it.
type suspect struct {
	t         *testing.T
	sentinels []*scripted
	addrs     []config.Address
	names     *strings.Replacer
	login     config.Login
	roles     map[string]string // by addresses; else primary
}

// newSuspect starts three sentinels that agree on a primary with a replica.
func newSuspect(t *testing.T) *suspect {
	t.Helper()
	s := &suspect{t: t, roles: map[string]string{}}
	var pairs []string
	for _, name := range []string{"a", "b", "c"} {
		k := startScripted(t, one, 5)
		k.about = []string{"flags", "master", "quorum", "2", "num-other-sentinels", "2", "num-slaves", "1"}
		s.sentinels = append(s.sentinels, k)
		s.add(k.addr)
		pairs = append(pairs, k.addr, name)
	}
	s.names = strings.NewReplacer(pairs...)
	return s
}

func (s *suspect) add(addr string) {
	s.t.Helper()
	a, err := config.ParseListen(addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.addrs = append(s.addrs, a)
}

// change changes what a sentinel says.
func (s *suspect) change(i int, change func(*scripted)) {
	s.sentinels[i].mu.Lock()
	defer s.sentinels[i].mu.Unlock()
	change(s.sentinels[i])
}

// want examines the sentinels, and compares the faults; minor ones are in brackets.
func (s *suspect) want(want ...string) *sentinel.Examined {
	s.t.Helper()
	o := sentinel.Options{Sentinels: s.addrs, Login: s.login}
	x := o.Examine(s.t.Context(), []string{"main"}, func(_ context.Context, addr string) (string, error) {
		switch role := s.roles[addr]; role {
		case "":
			return "primary", nil
		case "away":
			return "", errAway
		default:
			return role, nil
		}
	})
	var got []string
	for _, f := range x.Faults {
		text := s.names.Replace(f.Where + ": " + f.What)
		if f.Minor {
			text = "[" + text + "]"
		}
		got = append(got, text)
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("faults:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	return x
}

// Sentinels of which nothing is wrong.
func TestExamine(t *testing.T) {
	s := newSuspect(t)
	x := s.want()
	if want := (sentinel.SeenPrimary{Name: "main", Address: one, Epoch: 5, Quorum: 2, Sentinels: 3, Replicas: 1, Role: "primary"}); len(x.Primaries) != 1 || x.Primaries[0] != want {
		t.Errorf("the primary is %+v", x.Primaries)
	}
	s.change(0, func(k *scripted) { k.knows = []string{s.sentinels[1].addr, "10.0.0.9:26379"} })
	s.change(1, func(k *scripted) { k.silent = true })
	s.want(
		"[b: it does not tell of changes, and is only asked (the right to subscribe is missing): its user may not ask: NOPERM this user has no permissions to run the 'subscribe' command]",
		"[a: main: it knows the sentinel 10.0.0.9:26379, which is not in sentinels and is not asked]")
}

// Sentinels that cannot be asked, and servers that are none.
func TestExamineReached(t *testing.T) {
	s := newSuspect(t)
	down := testkit.FreeAddr(t)
	none := testkit.StartScripted(t, func(k *testkit.Talk) {
		for {
			if _, ok := k.Command(); !ok {
				return
			}
			k.Reply("-ERR unknown command 'SENTINEL'\r\n")
		}
	})
	s.add(down)
	s.add(none.Addr())
	s.want(
		down+": nothing listens there: dial tcp "+down+": connect: connection refused",
		none.Addr()+": it is no sentinel: unknown command 'SENTINEL'")
	s.login = config.Login{Password: "secret"}
	s.change(0, func(k *scripted) { k.refuses = true })
	s.change(1, func(k *scripted) { k.at = "" })
	s.want(
		"a: it refuses the login: WRONGPASS invalid username-password pair or user is disabled.",
		down+": nothing listens there: dial tcp "+down+": connect: connection refused",
		none.Addr()+": it is no sentinel: unknown command 'SENTINEL'",
		"sentinels: 3 of 5 are of no use: if they are down, nobody is made a primary",
		"b: main: it does not know the primary's name")
	s = newSuspect(t)
	for i := range s.sentinels {
		s.change(i, func(k *scripted) { k.at = "" })
	}
	s.want("a: main: it does not know the primary's name", "b: main: it does not know the primary's name", "c: main: it does not know the primary's name",
		"main: no sentinel says where it is")
}

// Sentinels that do not agree, one that is out of date, and one that lies.
func TestExamineAgree(t *testing.T) {
	s := newSuspect(t)
	s.sentinels[0].say(two, 6, false)
	s.sentinels[1].say(two, 6, false)
	s.want("c: main: it says " + one + " of the config epoch 5, and others say " + two + " of 6: it is out of date")
	s.sentinels[2].say(one, 6, false)
	s.want("c: main: it says " + one + ", and others say " + two + ", both of the config epoch 6")
	s.sentinels[2].say(three, 99, false)
	for _, no := range []string{"replica", "away"} {
		s.roles[three] = no
		x := s.want("c: main: it says " + three + " of the config epoch 99, where no primary is, and others say " + two + " of 6, where one is: it is wrong")
		if p := x.Primaries[0]; p.Address != two || p.Epoch != 6 {
			t.Errorf("the primary is %+v", p)
		}
	}
	delete(s.roles, three)
	s.want("c: main: it says " + three + " of the config epoch 99, and most say " + two + " of 6: it is wrong, or has heard of a failover before the others")
	s.sentinels[2].say(two, 99, false)
	s.want("c: main: it says " + two + " of the config epoch 99, and most say " + two + " of 6: it is wrong, or has heard of a failover before the others")
	for _, no := range []string{"replica", "away"} { // the failover that c has heard of
		s.roles[two] = no
		s.sentinels[2].say(three, 7, false)
		s.want(
			"a: main: it says "+two+" of the config epoch 6, and others say "+three+" of 7: it is out of date",
			"b: main: it says "+two+" of the config epoch 6, and others say "+three+" of 7: it is out of date")
	}
	s.sentinels[0].say(one, 8, false) // three that do not agree
	s.roles[one] = "replica"
	s.want(
		"a: main: it says "+one+" of the config epoch 8, where no primary is, and others say "+three+" of 7, where one is: it is wrong",
		"b: main: it says "+two+" of the config epoch 6, and others say "+three+" of 7: it is out of date")
	s.roles[three] = "replica"
	s.want(
		"b: main: it says "+two+" of the config epoch 6, and others say "+one+" of 8: it is out of date",
		"c: main: it says "+three+" of the config epoch 7, and others say "+one+" of 8: it is out of date",
		one+": main, as sentinels say, is no primary but a replica")
	for i := range s.sentinels {
		s.sentinels[i].say(three, 99, false)
	}
	s.roles[three] = "away"
	s.want(three + ": main, as sentinels say: connection refused")
	s.roles[three] = "unknown"
	s.want("[" + three + ": main, as sentinels say: it does not say what it is (ROLE)]")
}

// Too few sentinels, or no replica.
func TestExamineQuorum(t *testing.T) {
	s := newSuspect(t)
	for i := range s.sentinels {
		s.change(i, func(k *scripted) {
			k.about = []string{"flags", "master,s_down", "quorum", "4", "num-other-sentinels", "2", "num-slaves", "0"}
		})
	}
	s.change(2, func(k *scripted) {
		k.about = []string{"flags", "master", "quorum", "2", "num-other-sentinels", "2", "num-slaves", "0"}
	})
	s.want(
		"a: main: it says that "+one+" is s_down", "b: main: it says that "+one+" is s_down",
		"main: its quorum is 4, and only 3 sentinels know it: it will never fail over",
		"[main: it has no replica: nobody can take its place]",
		"c: main: its quorum is 2 here, and 4 elsewhere")
}
