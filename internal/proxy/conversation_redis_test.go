package proxy_test

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"nuthatch/internal/config"
)

var errNoReply = errors.New("no reply of the protocol")

// cutLine returns the first line of b without its end, and the length with it; 0
// if it is not whole.
func cutLine(b []byte) (line string, n int) {
	end := bytes.Index(b, []byte("\r\n"))
	if end < 0 {
		return "", 0
	}
	return string(b[:end]), end + 2
}

// resp is the dialect of Redis.
type resp struct{ password string }

// frame implements dialect.
func (d resp) frame(b []byte) (int, error) {
	line, n := cutLine(b)
	if n == 0 {
		return 0, nil
	}
	if line == "" || strings.IndexByte("+-:_#,($!=*~%", line[0]) < 0 {
		return 0, fmt.Errorf("%w: %q", errNoReply, line)
	}
	if strings.IndexByte("+-:_#,(", line[0]) >= 0 {
		return n, nil
	}
	count, err := strconv.Atoi(line[1:])
	if err != nil || count < -1 {
		return 0, fmt.Errorf("%w: %q", errNoReply, line)
	}
	if count < 0 {
		return n, nil
	}
	if strings.IndexByte("$!=", line[0]) >= 0 {
		if n += count + 2; n > len(b) {
			return 0, nil
		}
		if string(b[n-2:n]) != "\r\n" {
			return 0, fmt.Errorf("%w: a bulk of %d bytes that ends with %q", errNoReply, count, b[n-2:n])
		}
		return n, nil
	}
	if line[0] == '%' {
		count *= 2
	}
	for range count {
		m, err := d.frame(b[n:])
		if m == 0 {
			return 0, err
		}
		n += m
	}
	return n, nil
}

// isError implements dialect.
func (resp) isError(reply string) bool { return reply[0] == '-' }

func is(want string) func(string) bool { return func(got string) bool { return got == want } }

func begins(want string) func(string) bool {
	return func(got string) bool { return strings.HasPrefix(got, want) }
}

// ask implements dialect.
func (d resp) ask(p *party, kind, size byte) {
	if d.password != "" && p.seq == 0 {
		p.request(command("AUTH", d.password), is("+OK\r\n"))
		p.seq++
	}
	n := sizeOf(size)
	switch kind % 32 {
	case 0, 1:
		k := p.key(n, false)
		p.request(command("GET", k), is(bulk(valueOf(k))), k)
	case 2:
		k := p.key(n, true)
		p.request(command("SET", k, valueOf(k)), is("+OK\r\n"), k)
	case 3, 4:
		d.askMany(p, n/4, 2+int(size%5))
	case 5:
		keys := []string{p.key(0, true), p.key(0, true), p.key(0, true)}
		p.request(command(append([]string{"DEL"}, keys...)...), is(":3\r\n"), keys...)
	case 6:
		args := []string{"MSET"}
		var keys []string
		for range 3 {
			k := p.key(n/4, true)
			keys, args = append(keys, k), append(args, k, valueOf(k))
		}
		p.request(command(args...), is("+OK\r\n"), keys...)
	case 7:
		k := p.key(0, true)
		p.request(command("INCR", k), is(":"+strconv.Itoa(p.seq)+"\r\n"), k)
	default:
		d.askMore(p, kind, size)
	}
}

// askMore has p send a request of one of the rarer kinds.
func (d resp) askMore(p *party, kind, size byte) {
	n := sizeOf(size)
	switch kind % 32 {
	case 8:
		p.request(command("PING"), is("+PONG\r\n"))
	case 9:
		p.request("PING\r\n", is("+PONG\r\n"))
	case 10:
		p.request(command("SELECT", strconv.Itoa(int(size%2))), begins("+OK"))
		p.talk.upset = p.talk.upset || p.talk.pool.Databases < 2
	case 11:
		version := 2 + int(size%2)
		p.request(command("HELLO", strconv.Itoa(version)), func(r string) bool { return r[0] == "*%"[version-2] })
	case 12:
		p.request(command("DBSIZE"), func(got string) bool {
			return got == ":15\r\n" || p.talk.partial() && (got == ":10\r\n" || got == ":5\r\n")
		})
	case 13:
		p.request(command("CLIENT", "LIST"), func(r string) bool { return strings.Contains(r, "id=") })
	case 14:
		if size%2 == 1 {
			// The servers are asked what it is, and do not know it.
			p.request(command("NO.SUCH", p.key(0, false)), begins("-ERR unknown command"))
			return
		}
		k := p.key(n, false)
		p.request(command("FOO.GET", k), is(bulk(valueOf(k))), k)
	case 16:
		p.request(command("SCAN", "0"), begins("*2\r\n"))
	case 17:
		p.request(command("CLIENT", "REPLY", "SKIP")+command("GET", p.key(n, false)), nil)
	case 18, 19:
		p.request(command("SCRIPT", "LOAD", script1), is(bulk(sha1of(script1))))
	case 20, 21:
		k := p.key(n, false)
		p.request(command("EVALSHA", sha1of(script1), "1", k), is(bulk(valueOf(k))), k)
	case 22:
		if !p.quits {
			p.request(command("QUIT"), is("+OK\r\n"))
			p.quits = true
		}
	case 26, 27, 28, 29:
		d.askOwn(p, kind, size)
	case 24, 25:
		k := p.key(0, true)
		p.request(command("MULTI"), is("+OK\r\n"))
		p.request(command("INCR", k), is("+QUEUED\r\n"), k)
		p.request(command("PING"), is("+QUEUED\r\n"))
		p.request(command("EXEC"), is("*2\r\n:"+strconv.Itoa(p.seq)+"\r\n+PONG\r\n"), k)
	case 15, 23:
		p.request(command("RENAME", p.key(0, false), p.key(0, false)), func(r string) bool { return r[0] == '-' || r == "+OK\r\n" })
	default:
		d.ask(p, kind%8, size)
	}
}

// askOwn has p send a request for which it needs a connection to itself.
func (d resp) askOwn(p *party, kind, size byte) {
	if kind%4 > 1 {
		d.askWatched(p, size)
		return
	}
	k := p.key(sizeOf(size), true)
	p.talk.blocks = true
	p.request(command("BLPOP", k, "0"), is("*2\r\n"+bulk(k)+bulk(valueOf(k))), k)
}

// askWatched has p watch a key, and end that in one way or another.
func (d resp) askWatched(p *party, size byte) {
	k := p.key(0, true)
	p.request(command("WATCH", k), is("+OK\r\n"), k)
	if size%4 == 3 {
		p.request(command("INCR", k), is(":"+strconv.Itoa(p.seq)+"\r\n"), k)
		p.request(command("UNWATCH"), is("+OK\r\n"))
		return
	}
	p.request(command("MULTI"), is("+OK\r\n"))
	p.request(command("INCR", k), is("+QUEUED\r\n"), k)
	p.request(command("PING"), is("+QUEUED\r\n"))
	if size%4 == 2 {
		p.request(command("DISCARD"), is("+OK\r\n"))
		return
	}
	want := "*2\r\n:" + strconv.Itoa(p.seq) + "\r\n+PONG\r\n"
	p.request(command("EXEC"), func(got string) bool {
		return got == want || (p.talk.upset || p.talk.renewed) && (got == "*-1\r\n" || got == "_\r\n")
	}, k)
}

// script1 is the script of all clients.
const script1 = "return redis.call('get', KEYS[1])"

func sha1of(s string) string { return fmt.Sprintf("%x", sha1.Sum([]byte(s))) }

func (d resp) askMany(p *party, size, count int) {
	var keys []string
	want := fmt.Sprintf("*%d\r\n", count)
	for range count {
		k := p.key(size, false)
		keys, want = append(keys, k), want+bulk(valueOf(k))
	}
	p.request(command(append([]string{"MGET"}, keys...)...), func(got string) bool {
		return got == want || p.talk.partial() && isPartOf(got, keys)
	}, keys...)
}

// partial reports whether a reply may lack what a server did not say.
func (c *conversation) partial() bool {
	return (c.upset || c.mayBeCutOff()) && c.pool.PartialResults == config.PartialNulls
}

// isPartOf reports whether a reply has the value of each key, or a null.
func isPartOf(reply string, keys []string) bool {
	rest, ok := strings.CutPrefix(reply, fmt.Sprintf("*%d\r\n", len(keys)))
	for _, k := range keys {
		found := false
		for _, element := range []string{bulk(valueOf(k)), "$-1\r\n", "_\r\n"} {
			if behind, is := strings.CutPrefix(rest, element); is && !found {
				rest, found = behind, true
			}
		}
		ok = ok && found
	}
	return ok && rest == ""
}

// sizeOf is the size of a value, mostly small, sometimes larger than any buffer.
func sizeOf(b byte) int {
	switch {
	case b < 200:
		return int(b)
	case b < 250:
		return int(b) * 50
	default:
		return int(b) * 1200
	}
}

// parse implements dialect: a request is an array of bulk strings.
func (d resp) parse(b []byte) (args []string, n int, err error) {
	line, n := cutLine(b)
	if n == 0 {
		return nil, 0, nil
	}
	count, err := strconv.Atoi(strings.TrimPrefix(line, "*"))
	if err != nil || line[0] != '*' {
		return nil, 0, fmt.Errorf("%w: %q", errNoReply, line)
	}
	for range count {
		m, err := d.frame(b[n:])
		if m == 0 {
			return nil, 0, err
		}
		if b[n] != '$' {
			return nil, 0, fmt.Errorf("%w: %q is no argument", errNoReply, b[n:n+m])
		}
		_, head := cutLine(b[n:])
		args = append(args, string(b[n+head:n+m-2]))
		n += m
	}
	return args, n, nil
}

// answer implements dialect.
func (d resp) answer(s *stub, conn *stubConn, args []string) string {
	name := strings.ToUpper(args[0])
	if reply, ok := d.answerMulti(s, conn, name, args); ok {
		return reply
	}
	switch name {
	case "GET", "FOO.GET":
		return bulk(valueOf(args[1]))
	case "MGET":
		reply := fmt.Sprintf("*%d\r\n", len(args)-1)
		for _, k := range args[1:] {
			reply += bulk(valueOf(k))
		}
		return reply
	case "SET", "MSET":
		for i := 1; i+1 < len(args); i += 2 {
			if s.talk.sent[args[i]] != nil && args[i+1] != valueOf(args[i]) {
				s.talk.t.Errorf("server %d is to set %q to %.100q", s.index, args[i], args[i+1])
			}
		}
	case "INCR":
		if key := s.talk.sent[args[1]]; key != nil {
			return fmt.Sprintf(":%d\r\n", key.seq)
		}
		return ":1\r\n"
	case "SCAN":
		return "*2\r\n" + bulk("0") + "*0\r\n"
	case "CLIENT", "BLPOP":
		return d.answerOwn(s, conn, args)
	case "SCRIPT":
		return bulk(sha1of(args[len(args)-1]))
	case "EVALSHA":
		return bulk(valueOf(args[len(args)-1]))
	case "DEL":
		return fmt.Sprintf(":%d\r\n", len(args)-1)
	case "DBSIZE":
		return ":5\r\n"
	case "PING":
		return "+PONG\r\n"
	case "HELLO":
		if len(args) == 1 {
			return "*2\r\n" + bulk("proto") + ":2\r\n"
		}
		return "%1\r\n" + bulk("proto") + ":3\r\n"
	case "COMMAND":
		return d.describe(args)
	}
	return "+OK\r\n"
}

// answerMulti answers what begins, ends or is in a transaction. It reports false for all
// else.
func (d resp) answerMulti(s *stub, conn *stubConn, name string, args []string) (reply string, ok bool) {
	switch {
	case name == "MULTI":
		conn.multi = []string{}
		return "+OK\r\n", true
	case name == "EXEC":
		return d.exec(s, conn), true
	case name == "DISCARD" && conn.multi == nil:
		return "-ERR DISCARD without MULTI\r\n", true
	case name == "DISCARD":
		conn.multi = nil
		return "+OK\r\n", true
	case conn.multi != nil:
		begun := conn.multi
		conn.multi = nil
		begun = append(begun, name, d.answer(s, conn, args))
		conn.multi = begun
		return "+QUEUED\r\n", true
	}
	return "", false
}

// answerOwn answers BLPOP, CLIENT ID, and CLIENT UNBLOCK, which gives back a BLPOP that is
// first on its connection.
func (resp) answerOwn(s *stub, conn *stubConn, args []string) string {
	switch {
	case args[0] == "BLPOP":
		return "*2\r\n" + bulk(args[1]) + bulk(valueOf(args[1]))
	case args[1] == "ID":
		return fmt.Sprintf(":%d\r\n", 1+slices.Index(s.conns, conn))
	}
	k := s.conns[number(args[2])-1]
	if len(k.todo) == 0 || k.todo[0].args[0] != "BLPOP" || k.closed || k.spoilt {
		return ":0\r\n"
	}
	for _, key := range k.todo[0].keys {
		key.arrived--
	}
	k.todo = k.todo[1:]
	k.out = append(k.out, "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"...)
	return ":1\r\n"
}

// exec answers the EXEC of a transaction: of what clients send here, or of none. What the
// stub has answered with an error is missing.
func (resp) exec(s *stub, conn *stubConn) string {
	all := conn.multi
	conn.multi = nil
	switch {
	case all == nil:
		return "-ERR EXEC without MULTI\r\n"
	case len(all) == 0:
		return "*0\r\n"
	case len(all) == 4 && all[0] == "INCR" && all[2] == "PING":
		return "*2\r\n" + all[1] + all[3]
	case len(all) != 2 || all[0] != "INCR" && all[0] != "PING":
		s.talk.t.Errorf("server %d gets a transaction of %q", s.index, all)
	}
	return "-EXECABORT Transaction discarded because of previous errors.\r\n"
}

// describe answers COMMAND INFO: the one command of a module is known.
func (resp) describe(args []string) string {
	if len(args) != 3 || !strings.EqualFold(args[2], "foo.get") {
		return "*1\r\n*-1\r\n"
	}
	return "*1\r\n*6\r\n" + bulk("foo.get") + ":2\r\n*1\r\n+readonly\r\n:1\r\n:1\r\n:1\r\n"
}

// stray implements dialect.
func (resp) stray() string { return bulk("stray") }

// nonsense implements dialect.
func (resp) nonsense(i byte) string {
	all := []string{"garbage\r\n", "\r\n", "$x\r\n", "$-2\r\n", "$3\r\nabcdef", "*-2\r\n", ":12x\r\n", "\x00\x01\x02\xff"}
	return all[int(i)%len(all)]
}

// failure implements dialect.
func (resp) failure() string { return "-ERR own words\r\n" }
