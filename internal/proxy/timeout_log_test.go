package proxy_test

import (
	"testing"

	"nuthatch/internal/logging"
	"nuthatch/internal/testkit"
)

// Requests that take too long are told once in a minute, with the server that did not answer.
func TestLateServersAreNamed(t *testing.T) {
	book := newLogBook(t, logging.Notice)
	gate := make(chan struct{})
	one := testkit.StartScripted(t, func(k *testkit.Talk) {
		<-gate
		echo(k)
	})
	two := testkit.StartScripted(t, echo)
	r := startLoggedRig(t, twoServers(one.Addr(), two.Addr(), "  request_timeout: 50ms\n"), book.log)
	u := r.dial()
	hung, well := keysOf(r, serverOne(t, r))
	for _, request := range []string{command("GET", hung), command("MGET", well, hung), command("GET", hung)} {
		u.send(request)
		u.expect(requestTimedout)
	}
	u.send(command("GET", well))
	u.expect(bulk(well))
	close(gate)
	r.awaitIdle()
	lines := with(book.lines(), "requests took longer than request_timeout")
	want := "server one (" + one.Addr() + "): requests took longer than request_timeout"
	if len(lines) != 1 || lines[0].Msg != want || lines[0].Server != one.Addr()+":1" || lines[0].Requests != 1 {
		t.Errorf("%+v\nwant %s", lines, want)
	}
}
