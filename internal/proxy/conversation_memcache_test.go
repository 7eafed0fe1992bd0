package proxy_test

import (
	"fmt"
	"strconv"
	"strings"
)

// text is the dialect of Memcached.
type text struct{}

// frame implements dialect.
func (d text) frame(b []byte) (int, error) {
	line, n := cutLine(b)
	if n == 0 {
		return 0, nil
	}
	words := strings.Fields(line)
	if len(words) == 0 {
		return 0, fmt.Errorf("%w: %q", errNoReply, line)
	}
	size := -1
	switch {
	case words[0] == "VA" && len(words) > 1:
		size = number(words[1])
	case words[0] == "VALUE" && len(words) > 3:
		size = number(words[3])
	default:
		return n, nil
	}
	if size < 0 {
		return 0, fmt.Errorf("%w: %q", errNoReply, line)
	}
	if n += size + 2; n > len(b) {
		return 0, nil
	}
	if string(b[n-2:n]) != "\r\n" {
		return 0, fmt.Errorf("%w: a value of %d bytes that ends with %q", errNoReply, size, b[n-2:n])
	}
	if words[0] == "VA" {
		return n, nil
	}
	m, err := d.frame(b[n:]) // values go on up to their END
	if m == 0 {
		return 0, err
	}
	return n + m, nil
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1
	}
	return n
}

// isError implements dialect.
func (text) isError(reply string) bool {
	return strings.HasPrefix(reply, "SERVER_ERROR ") || strings.HasPrefix(reply, "CLIENT_ERROR ") || reply == "ERROR\r\n"
}

func values(keys ...string) string {
	var b strings.Builder
	for _, k := range keys {
		fmt.Fprintf(&b, "VALUE %s 0 %d\r\n%s\r\n", k, len(valueOf(k)), valueOf(k))
	}
	return b.String() + "END\r\n"
}

func metaValue(key string) string {
	return fmt.Sprintf("VA %d\r\n%s\r\n", len(valueOf(key)), valueOf(key))
}

// ask implements dialect.
func (d text) ask(p *party, kind, size byte) {
	n := sizeOf(size)
	switch kind % 12 {
	case 0, 1:
		k := p.key(n, false)
		p.request("get "+k+"\r\n", is(values(k)), k)
	case 2, 3:
		var keys []string
		for range 2 + size%5 {
			keys = append(keys, p.key(n/4, false))
		}
		p.request("get "+strings.Join(keys, " ")+"\r\n", is(values(keys...)), keys...)
	case 4:
		k := p.key(n, true)
		p.request(stored("set", k, ""), is("STORED\r\n"), k)
	case 5:
		p.request(stored("set", p.key(n, true), " noreply"), nil)
	case 6:
		k := p.key(0, true)
		p.request("incr "+k+" 1\r\n", is(strconv.Itoa(p.seq)+"\r\n"), k)
	case 7:
		k := p.key(0, true)
		p.request("delete "+k+"\r\n", is("DELETED\r\n"), k)
	case 8:
		k := p.key(n, false)
		p.request("mg "+k+" v\r\n", is(metaValue(k)), k)
	case 9:
		// A quiet hit is heard, and so is what stands behind it.
		k := p.key(n, false)
		p.request("mg "+k+" v q\r\n", is(metaValue(k)), k)
		p.request("mn\r\n", is("MN\r\n"))
	case 10:
		k := p.key(n, true)
		p.request(fmt.Sprintf("ms %s %d\r\n%s\r\n", k, len(valueOf(k)), valueOf(k)), is("HD\r\n"), k)
	case 11:
		p.request("delete "+p.key(0, true)+" noreply\r\n", nil)
	}
}

func stored(command, key, noreply string) string {
	value := valueOf(key)
	return fmt.Sprintf("%s %s 0 0 %d%s\r\n%s\r\n", command, key, len(value), noreply, value)
}

// parse implements dialect.
func (text) parse(b []byte) (args []string, n int, err error) {
	line, n := cutLine(b)
	if n == 0 {
		return nil, 0, nil
	}
	args = strings.Fields(line)
	if len(args) == 0 {
		return nil, 0, fmt.Errorf("%w: %q", errNoReply, line)
	}
	size := -1
	switch args[0] {
	case "set", "add", "replace", "append", "prepend", "cas":
		size = number(args[4])
	case "ms":
		size = number(args[2])
	default:
		return args, n, nil
	}
	if n += size + 2; n > len(b) {
		return nil, 0, nil
	}
	return append(args, string(b[n-size-2:n-2])), n, nil
}

// answer implements dialect.
func (text) answer(s *stub, _ *stubConn, args []string) string {
	switch args[0] {
	case "get", "gets":
		return values(args[1:]...)
	case "set", "ms":
		if got := args[len(args)-1]; s.talk.sent[args[1]] != nil && got != valueOf(args[1]) {
			s.talk.t.Errorf("server %d is to set %q to %.100q", s.index, args[1], got)
		}
		if args[0] == "ms" {
			return "HD\r\n"
		}
		return "STORED\r\n"
	case "incr":
		if key := s.talk.sent[args[1]]; key != nil {
			return fmt.Sprintf("%d\r\n", key.seq)
		}
		return "1\r\n"
	case "delete":
		return "DELETED\r\n"
	case "mg":
		return metaValue(args[1])
	case "version":
		return "VERSION 1\r\n"
	}
	return "ERROR\r\n"
}

// stray implements dialect.
func (text) stray() string { return values("stray") }

// nonsense implements dialect.
func (text) nonsense(i byte) string {
	all := []string{"\r\n", "VALUE x\r\n", "VALUE k 0 x\r\n", "VALUE k 0 3\r\nabcdef\r\n", "VA x\r\n", "VALUE k 0 1\r\nx\r\nVA 1\r\n", "\x00\x01\xff\n"}
	return all[int(i)%len(all)]
}

// failure implements dialect.
func (text) failure() string { return "SERVER_ERROR own words\r\n" }
