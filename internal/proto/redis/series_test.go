package redis

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// seriesOf is a series of n requests of a command.
func seriesOf(command string, n int) *msg.Msg {
	return &msg.Msg{Type: lookup([]byte(command)).id, Nkeys: int32(n), Pending: int32(n), Ahead: msg.Series}
}

// element is an element of some kind, as servers have it for MGET.
func element(rnd *rand.Rand) string {
	switch rnd.IntN(8) {
	case 0:
		return "$-1\r\n"
	case 1:
		return "_\r\n"
	case 2:
		n := rnd.IntN(20_000)
		return fmt.Sprintf("$%d\r\n%s\r\n", n, strings.Repeat("\r", n))
	default:
		n := rnd.IntN(40)
		return fmt.Sprintf("$%d\r\n%s\r\n", n, strings.Repeat("v", n))
	}
}

// join joins what comes in reads to a series, as a connection does.
func join(t *testing.T, p *Protocol, m *msg.Msg, reads []string, pool *mbuf.Pool) (joined mbuf.Chain) {
	t.Helper()
	parser := p.NewReplyParser()
	var part mbuf.Chain
	for _, data := range reads {
		for data := []byte(data); len(data) > 0; {
			if part.Len() == 0 {
				n, size := p.JoinReplies(m, data, pool, &joined)
				m.Pending -= int32(n)
				data = data[size:]
			}
			n, done, err := parser.Parse(data)
			if err != nil {
				t.Fatal(err)
			}
			if !done {
				part.Append(pool, data)
				break
			}
			parser.Reset()
			r := msg.Reply{Flat: data[:n]}
			if part.Len() > 0 {
				part.Append(pool, data[:n])
				r = msg.Reply{Chain: &part}
			}
			if n > 0 && !p.JoinReply(m, r, pool, &joined) {
				t.Fatalf("%.60q is not joined", r.Flat)
			} else if n > 0 {
				m.Pending--
			}
			part.Release(pool)
			data = data[n:]
		}
	}
	return joined
}

// The replies to a series are joined to the reply that one request for all its keys would
// have got, wherever they are cut, also if only some have come.
func TestJoin(t *testing.T) {
	p := New(Options{})
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var pool mbuf.Pool
		keys := 1 + rnd.IntN(50)
		answered := 1 + rnd.IntN(keys)
		var text, elements strings.Builder
		command := []string{"mget", "mset", "del"}[rnd.IntN(3)]
		sum := 0
		for range answered {
			switch command {
			case "mget":
				e := element(rnd)
				text.WriteString("*1\r\n" + e)
				elements.WriteString(e)
			case "mset":
				text.WriteString("+OK\r\n")
			default:
				n := rnd.IntN(3) * rnd.IntN(1000)
				sum += n
				fmt.Fprintf(&text, ":%d\r\n", n)
			}
		}
		want := map[string]string{
			"mget": fmt.Sprintf("*%d\r\n%s", answered, elements.String()), "mset": "+OK\r\n", "del": fmt.Sprintf(":%d\r\n", sum),
		}[command]
		var reads []string
		for rest := text.String(); len(rest) > 0; {
			n := min(1+rnd.IntN(1+rnd.IntN(len(rest))), len(rest))
			reads, rest = append(reads, rest[:n]), rest[n:]
		}
		m := seriesOf(command, keys)
		joined := join(t, p, m, reads, &pool)
		if int(m.Nkeys-m.Pending) != answered || !p.EndJoin(m, &pool, &joined) || string(joined.AppendTo(nil)) != want {
			t.Fatalf("%d of %d replies to %s in %d reads: %.200q, want %.200q", m.Nkeys-m.Pending, answered, command, len(reads), joined.AppendTo(nil), want)
		}
		joined.Release(&pool)
		if pool.Live() != 0 {
			t.Fatalf("%d chunks are left", pool.Live())
		}
	}
}

// What is no reply as usual is not joined, and nothing of it is taken.
func TestUnusualRepliesAreNotJoined(t *testing.T) {
	p := New(Options{})
	var pool mbuf.Pool
	for command, replies := range map[string][]string{
		"mget": {"-ERR no\r\n", "*0\r\n", "*2\r\n$1\r\na\r\n$1\r\nb\r\n", ":1\r\n", "|1\r\n+a\r\n+b\r\n*1\r\n$1\r\na\r\n", "*-1\r\n"},
		"mset": {"-OOM no\r\n", ":1\r\n", "$2\r\nOK\r\n"},
		"del":  {"-NOPERM no\r\n", "+1\r\n", "$1\r\n1\r\n"},
	} {
		for _, text := range replies {
			m := seriesOf(command, 3)
			var joined mbuf.Chain
			if n, size := p.JoinReplies(m, []byte(text), &pool, &joined); n != 0 || size != 0 {
				t.Errorf("%s: %d replies, %d bytes of %q are joined", command, n, size, text)
			}
			before := joined.Len()
			if p.JoinReply(m, msg.Reply{Flat: []byte(text)}, &pool, &joined) || joined.Len() != before {
				t.Errorf("%s: %q is joined", command, text)
			}
			joined.Release(&pool)
		}
	}
	m := seriesOf("del", 2)
	var joined mbuf.Chain
	n, _ := p.JoinReplies(m, []byte(":999999999\r\n:9223372036854775807\r\n"), &pool, &joined)
	m.Pending -= int32(n)
	if p.JoinReply(m, msg.Reply{Flat: []byte(":9223372036854775807\r\n")}, &pool, &joined) {
		m.Pending--
	}
	if m.Pending != 0 || p.EndJoin(m, &pool, &joined) {
		t.Errorf("a sum that is no number: %d pending, %q", m.Pending, joined.AppendTo(nil))
	}
}

// A request can be sent in series if its parts are requests of the command and nothing else.
func TestInSeries(t *testing.T) {
	p := New(Options{})
	for text, want := range map[string]bool{
		"MGET a b": true, "MSET a 1 b 2": true, "DEL a b": true, "UNLINK a b": true, "EXISTS a b": true, "TOUCH a b": true,
		"MSETEX 2 a 1 b 2 EX 10": false, "JSON.MGET a b $": false,
	} {
		data := resp(strings.Fields(text)...)
		parser := p.NewRequestParser()
		if _, done, err := parser.Parse(data); !done || err != nil {
			t.Fatal(done, err)
		}
		req := parser.Finish(data)
		if got := p.InSeries(req); got != want {
			t.Errorf("%s: %t, want %t", text, got, want)
		}
		if !want {
			continue
		}
		var pool mbuf.Pool
		var a, b mbuf.Chain
		p.FragmentSeries(req, []uint16{0, 1}, &pool, []*mbuf.Chain{&a, &b})
		words := strings.Fields(text)
		step := (len(words) - 1) / 2
		words[0] = strings.ToLower(words[0])
		for i, got := range []string{string(a.AppendTo(nil)), string(b.AppendTo(nil))} {
			one := append([]string{words[0]}, words[1+i*step:1+(i+1)*step]...)
			if want := string(resp(one...)); got != want {
				t.Errorf("%s: part %d is %q, want %q", text, i, got, want)
			}
		}
	}
}

// BenchmarkSeries writes a request of 100 keys as three series, and joins their replies.
func BenchmarkSeries(b *testing.B) {
	const servers, keys = 3, 100
	p := New(Options{})
	var pool mbuf.Pool
	var outs [servers]mbuf.Chain
	chains := []*mbuf.Chain{&outs[0], &outs[1], &outs[2]}
	dealt := make([]uint16, keys)
	for i := range dealt {
		dealt[i] = uint16(i % servers)
	}
	data := manyOf("MGET", keys)
	parser := p.NewRequestParser()
	if _, done, err := parser.Parse(data); !done || err != nil {
		b.Fatal(done, err)
	}
	req := parser.Finish(data)
	replies := []byte(strings.Repeat("*1\r\n$32\r\n"+strings.Repeat("v", 32)+"\r\n", keys))
	m := seriesOf("mget", keys)
	b.ReportAllocs()
	for b.Loop() {
		p.FragmentSeries(req, dealt, &pool, chains)
		for _, c := range chains {
			c.Release(&pool)
		}
		var joined mbuf.Chain
		if n, _ := p.JoinReplies(m, replies, &pool, &joined); n < keys-1 {
			b.Fatal(n)
		}
		joined.Release(&pool)
	}
	perKey(b, keys)
}
