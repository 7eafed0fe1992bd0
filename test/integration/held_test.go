package integration

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// A held is clients that a server has something of: a watched key, a wait, a subscription.
type held struct {
	watcher, waiter, listener, other *testkit.Client
	tag, publish                     string
}

// hold starts such clients; their keys and channels begin with tag. subscribe and publish are the
// commands for channels.
func hold(t *testing.T, p *testkit.Proxy, tag, subscribe, publish string) *held {
	t.Helper()
	dial := func() *testkit.Client {
		c := p.Dial(testkit.Redis)
		t.Cleanup(c.Close)
		return c
	}
	h := &held{watcher: dial(), waiter: dial(), listener: dial(), other: dial(), tag: tag, publish: publish}
	for _, request := range []string{"SET %sw 1", "WATCH %sw", "GET %sw"} {
		if got := h.watcher.Do(strings.Fields(fmt.Sprintf(request, tag))...); isError(got) {
			t.Fatalf("%s: %s", request, got)
		}
	}
	h.waiter.Send(testkit.RESP("BLPOP", tag+"l", "0"))
	if got := h.listener.Do(subscribe, tag+"c"); !strings.HasSuffix(got, ":1\r\n") {
		t.Fatal(got)
	}
	return h
}

// goesOn checks what has become of them when their server has failed over, is there again, and is
// known to be elsewhere by the watcher's own loop: until then an EXEC may be carried out there. A
// watched key counts as changed, who waits gets an element or an error, and who listens hears.
func (h *held) goesOn(t *testing.T) {
	t.Helper()
	all, err := say(h.watcher, []string{"MULTI"}, []string{"SET", h.tag + "w", "2"}, []string{"EXEC"})
	if err != nil || all[2] != "*-1\r\n" && !isError(all[2]) {
		t.Errorf("a transaction with a key that was watched before the failover: %q, %v", all, err)
	}
	testkit.Await(t, "a transaction with a key that is watched after it", func() error {
		all, err := say(h.watcher, []string{"WATCH", h.tag + "w"}, []string{"MULTI"}, []string{"SET", h.tag + "w", "3"}, []string{"EXEC"})
		if err != nil || all[3] != "*1\r\n+OK\r\n" {
			return fmt.Errorf("%q, %w", all, errors.Join(err, errNotYet))
		}
		return nil
	})
	// It may still wait at the old place, or have got an error: then it waits anew, behind it.
	h.waiter.Send(testkit.RESP("BLPOP", h.tag+"l", "0"))
	want := fmt.Sprintf("*2\r\n$%d\r\n%sl\r\n$1\r\nx\r\n", len(h.tag)+1, h.tag)
	for i := range 2 {
		testkit.Await(t, "an element to be put there", func() error {
			if got := h.other.Do("RPUSH", h.tag+"l", "x"); isError(got) {
				return errors.New(got)
			}
			return nil
		})
		if got := h.waiter.Reply(); got != want && (i > 0 || !isError(got)) {
			t.Errorf("who waits gets %q", got)
		}
	}
	testkit.Await(t, "a message to be heard", func() error {
		if got := h.other.Do(h.publish, h.tag+"c", "hello"); got == ":0\r\n" || isError(got) {
			return errors.New(got)
		}
		return nil
	})
	if got := h.listener.Reply(); !strings.HasSuffix(got, "\r\n$5\r\nhello\r\n") {
		t.Errorf("who listens hears %q", got)
	}
}
