package proxy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/proxy"
	"nuthatch/internal/topology"
)

// questions is how many questions wait for the stub's answer.
func (s *stub) questions() int {
	s.read()
	n := 0
	for _, k := range s.conns {
		for _, a := range k.todo {
			if a.args[0] == "COMMAND" || a.args[0] == "HELLO" && len(a.args) == 1 {
				n++
			}
		}
	}
	return n
}

// hears fails unless that is just what p can read now.
func (p *party) hears(want string) {
	p.talk.t.Helper()
	if got := p.heard(); got != want {
		p.talk.t.Fatalf("client %d heard %q, want %q", p.id, got, want)
	}
}

// heard is what p can read now.
func (p *party) heard() string {
	var all []byte
	buf := make([]byte, 32<<10)
	for {
		n, err := p.end.Read(buf)
		if err != nil || n == 0 {
			return string(all)
		}
		all = append(all, buf[:n]...)
	}
}

const (
	unknownCommandReply = "-ERR unknown command 'NO.SUCH', with args beginning with: 'a' \r\n"
	refusedReply        = "-ERR Connection refused\r\n"
)

// request_timeout holds for whatever a request waits for: the servers' answer to
// what it means, what other event loops know, or what somebody outside them makes.
func TestRequestTimeoutOfWhatTheProxyAsks(t *testing.T) {
	for name, request := range map[string]string{
		"HELLO 3":           command("HELLO", "3"),
		"a module's":        command("FOO.GET", "a"),
		"an unknown one":    command("NO.SUCH", "a"),
		"the other loop's":  command("CLIENT", "LIST"),
		"a report":          command("INFO"),
		"one for a server":  command("SCAN", "0"),
		"one for all":       command("DBSIZE"),
		"an ordinary one":   command("GET", "a"),
		"of several of all": command("MGET", "a", "b", "c", "d", "e"),
	} {
		t.Run(name, func(t *testing.T) {
			c := converse(t, "  redis: true\n  request_timeout: 100ms\n", resp{}, 2)
			p := c.join()
			p.request(request+command("PING")+request, nil)
			p.say(len(p.out))
			mine := c.loops[:1] // the other one does nothing
			c.turnOf(mine)
			c.now += 99 * time.Millisecond
			c.turnOf(mine)
			p.hears("")
			for range 20 {
				c.now += 10 * time.Millisecond
				c.turnOf(mine)
			}
			p.hears(requestTimedout + "+PONG\r\n" + requestTimedout)
			for _, f := range c.reports {
				f()
			}
			c.end(true)
		})
	}
}

// wait lets time go by, for the loops too.
func (c *conversation) wait(d time.Duration) {
	c.now += d
	c.calm()
}

// turnOf runs turns of some loops, until they have nothing to do.
func (c *conversation) turnOf(loops []*proxy.Context) {
	c.t.Helper()
	all := c.loops
	c.loops = loops
	c.calm()
	c.loops = all
}

// A client whose request has taken too long behind a question goes on: the question
// ends without it, and the next one is another.
func TestQuestionAfterTimeout(t *testing.T) {
	c := converse(t, "  redis: true\n  request_timeout: 100ms\n", resp{}, 1)
	p, other := c.join(), c.join()
	c.ask(p, command("NO.SUCH", "a"))
	c.wait(50 * time.Millisecond)
	c.ask(other, command("no.such", "a"))
	c.wait(51 * time.Millisecond)
	p.hears(requestTimedout)
	c.ask(p, command("FOO.GET", "a"), command("NO.SUCH", "a"))
	// The first server has been silent for too long: the second is asked what NO.SUCH
	// is, and first what FOO.GET is.
	if first, second := c.stubs[0].questions(), c.stubs[1].questions(); first != 1 || second != 2 {
		t.Fatalf("the first server has %d questions, the second %d; want 1 and 2", first, second)
	}
	c.answerAll(1)
	other.hears("-ERR unknown command 'no.such', with args beginning with: 'a' \r\n")
	for i := range c.stubs {
		c.answerAll(i)
	}
	p.hears("$4\r\nnone\r\n" + unknownCommandReply)
	c.end(true)
}

// Servers that are well are asked first. One that is ejected, and whose keys others
// have, is not asked; one that only fails is asked last.
func TestQuestionsGoToServersThatAreWell(t *testing.T) {
	for name, tt := range map[string]struct {
		lines string
		asked [3]int // of each server, when the questions before have been refused
	}{
		"none ejected":  {"", [3]int{1, 1, 1}},
		"one ejected":   {"  auto_eject_hosts: true\n  server_failure_limit: 1\n  server_retry_timeout: 20000\n", [3]int{0, 1, 1}},
		"a breaker":     {"  eject: fail\n  auto_eject_hosts: true\n  server_failure_limit: 1\n  server_retry_timeout: 20000\n", [3]int{0, 1, 1}},
		"it fails once": {"  auto_eject_hosts: true\n  server_failure_limit: 2\n  server_retry_timeout: 20000\n", [3]int{1, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			c := converse(t, "  redis: true\n  timeout: 400\n"+tt.lines, resp{}, 1)
			p := c.join()
			c.ask(p, command("GET", c.keyAt(0, 0)))
			c.wait(time.Second)
			p.hears("-ERR Connection timed out\r\n")
			c.ask(p, command("NO.SUCH", "a"))
			var asked [3]int
			var order []int
			for range c.stubs {
				for i, s := range c.stubs {
					if s.questions() == 0 {
						continue
					}
					asked[i]++
					order = append(order, i)
					k := s.conns[len(s.conns)-1]
					k.out = append(k.out, "-ERR own words\r\n"...)
					k.todo = nil
					k.say(len(k.out))
					c.calm()
				}
			}
			if asked != tt.asked || order[0] != 1 || order[1] != 2 {
				t.Errorf("servers were asked %v times, in the order %v; want %v", asked, order, tt.asked)
			}
			p.hears("-ERR the servers do not say what this command is: ERR own words\r\n")
			c.end(true)
		})
	}
}

// Where all servers are ejected a question fails at once, like a request; when it is
// time to try them again, it tries them like a request.
func TestQuestionsToEjectedServers(t *testing.T) {
	for name, tt := range map[string]struct{ lines, refused string }{
		"ring": {"", refusedReply},
		"fail": {"  eject: fail\n", "-ERR the server of this key is ejected; requests for it fail until it answers again\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			c := converse(t, "  redis: true\n  timeout: 400\n"+ejectsAtOnce+tt.lines, resp{}, 1)
			p := c.join()
			for i := range c.stubs {
				c.ask(p, command("GET", c.keyAt(i, 0)))
				c.wait(500 * time.Millisecond)
				p.hears("-ERR Connection timed out\r\n")
			}
			c.ask(p, command("HELLO", "3"))
			p.hears(tt.refused)
			c.wait(time.Minute)
			c.ask(p, command("HELLO", "3"))
			c.answerAll(0)
			if got := p.heard(); !strings.HasPrefix(got, "%6\r\n") {
				t.Fatalf("HELLO got %q", got)
			}
			if s := c.topo.Servers()[0].State().State; s != topology.Up {
				t.Errorf("the server that answered is %v", s)
			}
			c.end(true)
		})
	}
}

// ejectsAtOnce has a server ejected for one failure, for two seconds.
const ejectsAtOnce = "  auto_eject_hosts: true\n  server_failure_limit: 1\n  server_retry_timeout: 2000\n  distribution: modula\n"

// That servers do not know a command is kept for a second, of 1,024 commands at the
// most; what they know, and that they refuse to say, is not.
func TestUnknownCommandsAreKept(t *testing.T) {
	c := converse(t, "  redis: true\n  timeout: 400\n", resp{}, 1)
	p := c.join()
	ask := func(questions int) {
		t.Helper()
		c.ask(p, command("NO.SUCH", "a"))
		if n := c.stubs[0].questions(); n != questions {
			t.Fatalf("%d questions, want %d", n, questions)
		}
		c.answerAll(0)
		p.hears(unknownCommandReply)
	}
	ask(1)
	ask(0)
	c.wait(time.Second - 1)
	ask(0)
	c.wait(1)
	ask(1)
	ask(0)
	for i := range 1024 {
		c.ask(p, command(fmt.Sprintf("no.%d", i), "a"))
		c.answerAll(0)
		p.hears(fmt.Sprintf("-ERR unknown command 'no.%d', with args beginning with: 'a' \r\n", i))
	}
	ask(1)
	c.end(true)
}

// A reload gives servers other places; questions that are open come to their end all
// the same, whatever becomes of the servers.
func TestQuestionThroughReload(t *testing.T) {
	c := converse(t, "  redis: true\n  timeout: 400\n", resp{}, 1)
	c.renewed = true
	p := c.join()
	c.ask(p, command("FOO.GET", "a"))
	c.stubs[0].read()
	k := c.stubs[0].conns[0]
	for _, s := range c.stubs[:2] {
		s.renamed++
	}
	c.reload(false)
	k.out = append(k.out, "-ERR own words\r\n"...)
	k.todo = nil
	k.say(len(k.out))
	for range c.stubs {
		for i := range c.stubs {
			c.answerAll(i)
		}
	}
	p.hears("$4\r\nnone\r\n")
	c.end(true)
}
