package soak

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"nuthatch/internal/testkit"
)

// Changes are clients that begin and end to listen, over and over, each to one channel or pattern,
// and clients that say one number after the other there. Whoever listens hears each number once and
// in order: from the first that is said after the answer to its SUBSCRIBE, to the last that was said
// before its UNSUBSCRIBE, and none that was said before the one or comes behind the answer to the
// other.
type changes struct {
	s       *stage
	topics  []*topic
	over    atomic.Bool // who listens is to end
	quiet   atomic.Bool // who says something, too
	hearing sync.WaitGroup
	saying  sync.WaitGroup
	rounds  atomic.Int64
}

// A topic is a channel, and what is said there.
type topic struct {
	name string
	// begun is the last number that somebody has begun to say, done the last that was said.
	begun, done atomic.Int64
	// failed are numbers of which it is not known whether they were said.
	failed sync.Map
}

var errSilent = errors.New("too little is heard")

// startChanges starts n topics, with so many listeners each. Every other one is a pattern.
func (s *stage) startChanges(n, listeners int) *changes {
	c := &changes{s: s}
	for i := range n {
		tp := &topic{name: fmt.Sprintf("topic:%d", i)}
		c.topics = append(c.topics, tp)
		c.saying.Go(func() { c.say(tp) })
		verb := []string{"SUBSCRIBE", "PSUBSCRIBE"}[i%2]
		for range listeners {
			c.hearing.Go(func() { c.comeAndLeave(tp, verb) })
		}
	}
	return c
}

// awaitMore waits until listeners have come and left n times more.
func (c *changes) awaitMore(n int64) {
	c.s.t.Helper()
	want := c.rounds.Load() + n
	testkit.Await(c.s.t, "clients to come and leave", func() error {
		if c.rounds.Load() < want && !c.s.t.Failed() {
			return errSilent
		}
		return nil
	})
}

// end ends all.
func (c *changes) end() {
	c.over.Store(true)
	c.hearing.Wait()
	c.quiet.Store(true)
	c.saying.Wait()
}

// say says one number after the other.
func (c *changes) say(tp *topic) {
	client, err := testkit.TryDial(c.s.t, testkit.Redis, c.s.proxy.Addr())
	if err != nil {
		c.s.t.Error(err)
		return
	}
	defer client.Close()
	for n := int64(1); !c.quiet.Load(); n++ {
		tp.begun.Store(n)
		err := client.TrySend(testkit.RESP("PUBLISH", tp.name, strconv.FormatInt(n, 10)))
		var got []byte
		if err == nil {
			got, err = client.TryReply()
		}
		switch {
		case err != nil:
			c.s.t.Errorf("PUBLISH: %v", err)
			return
		case got[0] != ':':
			tp.failed.Store(n, true)
		}
		tp.done.Store(n)
	}
}

// perRound is how many numbers a listener hears before it leaves, at least.
const perRound = 3

// comeAndLeave has a client listen and leave until all is over.
func (c *changes) comeAndLeave(tp *topic, verb string) {
	client, err := testkit.TryDial(c.s.t, testkit.Redis, c.s.proxy.Addr())
	if err != nil {
		c.s.t.Error(err)
		return
	}
	defer client.Close()
	for !c.over.Load() && !c.s.t.Failed() {
		if err := c.round(client, tp, verb); err != nil {
			c.s.t.Errorf("%s %s: %v", verb, tp.name, err)
			return
		}
		c.rounds.Add(1)
	}
}

var errWrong = errors.New("heard")

// round has a client come, hear something, and leave.
func (c *changes) round(client *testkit.Client, tp *topic, verb string) error {
	said := tp.done.Load()
	first, err := hears(client, verb, verb, tp.name)
	if err != nil {
		return err
	}
	if first != 0 {
		return fmt.Errorf("%w %d before it listens", errWrong, first)
	}
	begun := tp.begun.Load()
	last := int64(0)
	for range perRound {
		n, err := hears(client, "")
		if err != nil {
			return err
		}
		if first == 0 {
			first = n
		}
		if err := tp.follows(last, n); err != nil {
			return err
		}
		last = n
	}
	done := tp.done.Load()
	words := []string{"UN" + verb, tp.name}
	if verb[0] == 'P' {
		words[0] = "PUNSUBSCRIBE"
	}
	for n := int64(-1); n != 0; {
		if n, err = hears(client, words[0], words...); err != nil {
			return err
		}
		words = words[:1]
		if n != 0 {
			if err := tp.follows(last, n); err != nil {
				return err
			}
			last = n
		}
	}
	switch {
	case first <= said:
		return fmt.Errorf("%w %d first, and %d had been said before it listened", errWrong, first, said)
	case first > begun+1:
		return tp.follows(begun, first)
	case last < done:
		return fmt.Errorf("%w %d last, and %d had been said before it left", errWrong, last, done)
	}
	return nil
}

// follows tells whether n may be heard behind last, which is 0 if nothing was heard before.
func (tp *topic) follows(last, n int64) error {
	if last == 0 {
		return nil
	}
	if n <= last {
		return fmt.Errorf("%w %d behind %d", errWrong, n, last)
	}
	for k := last + 1; k < n; k++ {
		if _, failed := tp.failed.Load(k); !failed {
			return fmt.Errorf("%w %d behind %d", errWrong, n, last)
		}
	}
	return nil
}

// hears has a client say something, if there are words besides the command, and returns the next
// number that it hears; 0: the answer to the command.
func hears(client *testkit.Client, command string, words ...string) (int64, error) {
	if len(words) > 1 {
		if err := client.TrySend(testkit.RESP(words...)); err != nil {
			return 0, err
		}
	}
	got, err := client.TryReply()
	if err != nil {
		return 0, err
	}
	lines := strings.Split(string(got), "\r\n")
	if len(lines) > 3 && command != "" && strings.EqualFold(lines[2], command) {
		return 0, nil
	}
	n, err := strconv.ParseInt(lines[len(lines)-2], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w %q", errWrong, got)
	}
	return n, nil
}
