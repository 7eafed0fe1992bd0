package redis

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// inSteps feeds data to parse in pieces that end before each of the given cuts,
// as reads would end, and gives every message that is whole to whole. It returns
// the error.
func inSteps(data []byte, cuts []int, parse func([]byte) (int, bool, *msg.ProtocolError), whole func(message []byte)) *msg.ProtocolError {
	start, at := 0, 0
	for _, cut := range append(slices.Clone(cuts), len(data)) {
		for at < cut {
			n, done, err := parse(data[at:cut])
			if err != nil {
				return err
			}
			at += n
			if done {
				whole(data[start:at])
				start = at
			} else if at != cut {
				return &msg.ProtocolError{Msg: fmt.Sprintf("not done, and %d bytes left", cut-at)}
			}
		}
	}
	return nil
}

// chainOf copies b into a chain whose first chunk ends behind the first n bytes,
// 0 < n <= mbuf.SmallSize.
func chainOf(p *mbuf.Pool, b []byte, n int) *mbuf.Chain {
	out := &mbuf.Chain{}
	pad := make([]byte, mbuf.SmallSize-n)
	out.Append(p, pad)
	out.Append(p, b)
	out.Advance(p, len(pad))
	return out
}

// words are a request's words, gathered from wherever they lie.
func words(r *msg.Request) []string {
	var out []string
	var scratch []byte
	for _, a := range r.Args {
		var b []byte
		b, scratch = r.View.Bytes(int(a.Off), int(a.Len), scratch)
		out = append(out, string(b))
	}
	return out
}

// found is what a request parser finds in data, read in steps.
func found(t testing.TB, data []byte, limit int, cuts []int) wanted {
	t.Helper()
	var w wanted
	p := New(Options{MaxRequestSize: int64(limit)}).NewRequestParser().(*requestParser)
	err := inSteps(data, cuts, p.Parse, func(m []byte) {
		if p.Size() != len(m) {
			t.Fatalf("Size is %d for a request of %d bytes", p.Size(), len(m))
		}
		r := p.Finish(m)
		checkRequest(t, r)
		var ws []string
		if r.Treatment != msg.Ignore {
			ws = words(r)
		}
		w.requests = append(w.requests, ws)
		w.sizes = append(w.sizes, len(m))
	})
	if err != nil {
		w.err = strings.TrimPrefix(err.Msg, "Protocol error: ")
		if want := "-ERR " + err.Msg + "\r\n"; err.Reply != want {
			t.Fatalf("the reply is %q, want %q", err.Reply, want)
		}
	}
	checkRoom(t, p, len(data))
	return w
}

// checkRequest checks what must hold for every request.
func checkRequest(t testing.TB, r *msg.Request) {
	t.Helper()
	if !r.ByKeys() {
		return
	}
	if r.PlaceKey != nil && r.Treatment == msg.Forward && r.Nkeys == 0 {
		return // a script without keys
	}
	if r.Nkeys < 1 || r.KeyStep < 1 || r.FirstKey < 1 || r.FirstKey+(r.Nkeys-1)*r.KeyStep >= len(r.Args) {
		t.Fatalf("%q: keys %d, %d, %d of %d words", words(r), r.FirstKey, r.KeyStep, r.Nkeys, len(r.Args))
	}
}

// checkRoom checks that a parser holds no more than what it was given explains.
func checkRoom(t testing.TB, p *requestParser, given int) {
	t.Helper()
	if room := cap(p.desk.spans); room > 2*given+firstDesk {
		t.Fatalf("room for %d spans after %d bytes", room, given)
	}
	if room := cap(p.inl.line) + cap(p.inl.resp); room > 16*given+64 {
		t.Fatalf("room for %d bytes of an inline request after %d bytes", room, given)
	}
}

// same tells whether a parser found what it should. Words are compared up to the
// wanted ones: keys may be listed again behind them.
func same(got, want wanted) error {
	if !slices.Equal(got.sizes, want.sizes) {
		return fmt.Errorf("sizes %v, want %v", got.sizes, want.sizes)
	}
	for i := range want.requests {
		g, w := got.requests[i], want.requests[i]
		if len(g) > len(w) {
			g = g[:len(w)]
		}
		if !slices.Equal(g, w) {
			return fmt.Errorf("request %d is %q, want %q", i, g, w)
		}
	}
	if got.err != want.err {
		return fmt.Errorf("error %q, want %q", got.err, want.err)
	}
	return nil
}

// transcripts are clients' bytes. What is in them is left to the reference.
var transcripts = []string{
	string(resp("GET", "a")) + string(resp("SET", "a", "b")) + string(resp("mget", "a", "b", "c")),
	string(resp("PING")) + "PING\r\nECHO hi\n\r\n*0\r\n*-1\r\n\n" + string(resp("GET", "")),
	string(resp("SET", strings.Repeat("k", 99), strings.Repeat("v\r\n", 400))),
	string(resp("ZUNIONSTORE", "d", "2", "a", "b", "WEIGHTS", "1", "2")),
	string(resp("SORT", "l", "LIMIT", "0", "5", "STORE", "d")) + string(resp("GET", "x")),
	string(resp("XREADGROUP", "GROUP", "g", "c", "COUNT", "1", "STREAMS", "a", "b", ">", ">")),
	string(resp("EVAL", "return 1", "0")) + string(resp("NOSUCH", "a")) + string(resp("")),
	string(resp(strings.Split(strings.Repeat("DEL ", 12)+"x", " ")...)),
	"SET \"a\\x41\\n\\q\\\"\" 'b\\'\\n'\r\nget \"\" ''\r\nGET a\rb \t c\v\f\r\n",
	"PING \"a\r\n", "PING \"a\"b\r\n", "PING 'a\r\n", "PING a'b'c\r\n", "PING \"\\\r\n", "PING \"\\x4\"\r\n",
	"*1\r\n$4\r\nPING\r\n*", "*1\r\n$4\r\nPI", "*", "*1", "*1\r", "*1\r\n", "*1\r\n$", "*1\r\n$1", "*1\r\n$1\r",
	"*\r\n", "*a\r\n", "*1a\r\n", "*+1\r\n", "*01\r\n", "*-\r\n", "*-0\r\n", "*-01\r\n", "* 1\r\n", "*1\n$1\r\na\r\n", "*1\rx$1\r\n",
	"*2147483647\r\n$", "*2147483648\r\n", "*9223372036854775807\r\n", "*9223372036854775808\r\n", "*-9223372036854775808\r\n",
	"*18446744073709551617\r\n", "*-9223372036854775809\r\n", "*184467440737095516150\r\n",
	"*1\r\nGET\r\n", "*1\r\n\r\n", "*1\r\n\n", "*1\r\n:1\r\n",
	"*1\r\n$-1\r\n", "*1\r\n$\r\n", "*1\r\n$a\r\n", "*1\r\n$1a\r\n", "*1\r\n$01\r\n", "*1\r\n$00\r\n", "*1\r\n$0\r\n\r\n", "*1\r\n$1\n", "*1\r\n$1\rx",
	"*1\r\n$536870912\r\n", "*1\r\n$536870913\r\n", "*1\r\n$1234567890\r\n", "*1\r\n$99999999999999999999\r\n",
	"*1\r\n$1\r\nab\r\n", "*1\r\n$1\r\na\n\n", "*1\r\n$1\r\na\rx", "*2\r\n$1\r\na\r\r\n",
}

func TestRequestAtEverySplit(t *testing.T) {
	for _, limit := range []int{1 << 30, 40} {
		for _, text := range transcripts {
			data := []byte(text)
			want := refRequests(data, limit)
			for cut := range len(data) {
				if err := same(found(t, data, limit, []int{cut}), want); err != nil {
					t.Errorf("%.80q, split at %d, limit %d: %v", data, cut, limit, err)
				}
			}
			if err := same(found(t, data, limit, everyByte(len(data))), want); err != nil {
				t.Errorf("%.80q, byte by byte, limit %d: %v", data, limit, err)
			}
		}
	}
}

func everyByte(n int) []int {
	cuts := make([]int, n)
	for i := range cuts {
		cuts[i] = i
	}
	return cuts
}

// TestRequestAtTheLimit: a request may be as long as the limit says, and no byte
// longer. The line feed of an inline request does not count.
func TestRequestAtTheLimit(t *testing.T) {
	for _, tt := range []struct {
		data string
		size int
	}{
		{string(resp("SET", "a", "12345")), 31},
		{string(resp("GET", strings.Repeat("k", 20))), 40},
		{"GET a\n", 5},
		{"GET abcdefghi\n", 13},
	} {
		for _, cuts := range [][]int{nil, everyByte(len(tt.data))} {
			if got := found(t, []byte(tt.data), tt.size, cuts); len(got.sizes) != 1 || got.err != "" {
				t.Errorf("%q, limit %d: error %q", tt.data, tt.size, got.err)
			}
			got := found(t, []byte(tt.data), tt.size-1, cuts)
			if want := fmt.Sprintf("request exceeds the limit of %d bytes", tt.size-1); got.err != want {
				t.Errorf("%q: error %q, want %q", tt.data, got.err, want)
			}
		}
	}
}

// TestRequestLongLines is about lines of 64 KB, the length that Redis refuses.
func TestRequestLongLines(t *testing.T) {
	for _, prefix := range []string{"*", "*1\r\n$", "p"} {
		for _, n := range []int{maxLine - 1, maxLine, maxLine + 1, maxLine + 5000} {
			for _, end := range []string{"", "\r\n"} {
				data := []byte(prefix + strings.Repeat("1", n) + end)
				want := refRequests(data, 1<<30)
				for _, cuts := range [][]int{nil, {1}, {maxLine}, {maxLine + 1}, {100, 200, maxLine + 2}} {
					cuts = slices.DeleteFunc(slices.Clone(cuts), func(c int) bool { return c > len(data) })
					if err := same(found(t, data, 1<<30, cuts), want); err != nil {
						t.Errorf("%q and %d bytes, split at %v: %v", prefix, n, cuts, err)
					}
				}
			}
		}
	}
}

// TestRequestInChunks finds the name and the keys of a request that lies in two
// chunks.
func TestRequestInChunks(t *testing.T) {
	var pool mbuf.Pool
	flat := New(Options{}).NewRequestParser()
	across := New(Options{}).NewRequestParser()
	for _, text := range transcripts[:8] {
		err := inSteps([]byte(text), nil, flat.Parse, func(m []byte) {
			want := flat.Finish(m)
			for cut := 1; cut < len(m) && cut <= mbuf.SmallSize; cut++ {
				if n, done, err := across.Parse(m); n != len(m) || !done || err != nil {
					t.Fatalf("%q: %d, %t, %v", m, n, done, err)
				}
				chain := chainOf(&pool, m, cut)
				got := across.FinishChain(chain)
				if got.Type != want.Type || got.Treatment != want.Treatment || got.FirstKey != want.FirstKey ||
					got.Nkeys != want.Nkeys || !slices.Equal(got.Args, want.Args) || !slices.Equal(words(got), words(want)) {
					t.Errorf("%q, cut at %d: %+v, want %+v", m, cut, got, want)
				}
				chain.Release(&pool)
			}
		})
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	if pool.Live() != 0 {
		t.Errorf("%d chunks are still in use", pool.Live())
	}
}

// TestRequestErrorIsSticky: nothing is parsed behind what is not the protocol.
func TestRequestErrorIsSticky(t *testing.T) {
	p := New(Options{}).NewRequestParser()
	if _, _, err := p.Parse([]byte("*x\r\n")); err == nil {
		t.Fatal("no error")
	}
	if n, done, err := p.Parse(resp("PING")); n != 0 || done || err == nil {
		t.Errorf("after an error: %d bytes, done %t, error %v", n, done, err)
	}
}

// TestRequestBody: the parser says how much of a body is missing.
func TestRequestBody(t *testing.T) {
	p := New(Options{}).NewRequestParser()
	for _, step := range []struct {
		data string
		want int
	}{
		{"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1000", 0},
		{"00\r\n", 100002},
		{strings.Repeat("v", 99999), 3},
		{"v", 2},
		{"\r", 1},
		{"\n", 0},
	} {
		if _, _, err := p.Parse([]byte(step.data)); err != nil {
			t.Fatal(err)
		}
		if got := p.Body(); got != step.want {
			t.Errorf("behind %.20q: Body is %d, want %d", step.data, got, step.want)
		}
	}
}

// TestRequestRoomIsGivenBack: what a huge request needed is not kept.
func TestRequestRoomIsGivenBack(t *testing.T) {
	p := New(Options{}).NewRequestParser().(*requestParser)
	parseAll(t, p, mgetOf(2*maxDesk))
	parseAll(t, p, []byte("GET "+strings.Repeat("k", 10_000)+"\r\n"))
	parseAll(t, p, []byte("GET a\r\n"))
	if cap(p.desk.spans) > maxDesk || cap(p.inl.line) > keptLine || cap(p.inl.resp) > keptLine {
		t.Errorf("room for %d spans, lines of %d and %d bytes", cap(p.desk.spans), cap(p.inl.line), cap(p.inl.resp))
	}
}

// TestRoomForManyWordsAtOnce: the words of a request that has come in pieces make no
// garbage, however many they are, and the protocol keeps no room that is huge.
func TestRoomForManyWordsAtOnce(t *testing.T) {
	const keys = 2 * maxDesk
	proto := New(Options{})
	parser := proto.NewRequestParser()
	data := mgetOf(keys)
	allocs := testing.AllocsPerRun(5, func() {
		for rest := data; len(rest) > 0; {
			n := min(readSize, len(rest))
			if taken, done, err := parser.Parse(rest[:n]); taken != n || done != (n == len(rest)) || err != nil {
				t.Fatal(taken, done, err)
			}
			rest = rest[n:]
		}
		if r := parser.Finish(data); r.Nkeys != keys {
			t.Fatalf("%d keys", r.Nkeys)
		}
		parser.Forget()
	})
	if allocs != 0 {
		t.Errorf("%v allocations for a request", allocs)
	}
	if n := max(cap(proto.desk.spans), cap(proto.desk.again.spans)); n > maxDesk {
		t.Errorf("room for %d words is kept", n)
	}
	if n, err := proto.desk.wide.Resident(); n != 0 || err != nil {
		t.Errorf("%d bytes of it are resident, %v", n, err)
	}
}

// TestPagesOfWordsReadInSlices: the pages stay for the next request, if they are few. After a
// huge one all go back.
func TestPagesOfWordsReadInSlices(t *testing.T) {
	proto := New(Options{})
	parser := proto.NewRequestParser()
	for _, keys := range []int{maxDesk / 4, maxDesk, maxDesk / 4} {
		data := mgetOf(keys)
		for rest := data; len(rest) > 0; {
			n := min(readSize, len(rest))
			if taken, _, err := parser.Parse(rest[:n]); taken != n || err != nil {
				t.Fatal(taken, err)
			}
			rest = rest[n:]
		}
		v := mbuf.Flat(data)
		for ready := false; !ready; {
			_, ready = parser.Ready(&v, 1000)
		}
		if r := parser.Finish(data); r.Nkeys != keys {
			t.Fatalf("%d keys of %d", r.Nkeys, keys)
		}
		parser.Forget()
		n, err := proto.desk.wide.Resident()
		if few := keys < maxDesk; err != nil || n > maxDesk*spanSize || few != (n > 0) {
			t.Errorf("%d bytes are resident behind a request for %d keys, %v", n, keys, err)
		}
	}
}

// TestHalfOfManyWords: a request of many words that has not wholly come costs its
// parser nothing, and its words are found all the same, whatever other parsers of
// the protocol have read meanwhile.
func TestHalfOfManyWords(t *testing.T) {
	for _, n := range []int{1, maxOwn - 2, maxOwn - 1, maxOwn, 1000} {
		proto := New(Options{})
		p, other := proto.NewRequestParser().(*requestParser), proto.NewRequestParser()
		data := mgetOf(n)
		for from := 0; from < len(data); {
			to := min(from+1+len(data)/3, len(data))
			if taken, _, err := p.Parse(data[from:to]); taken != to-from || err != nil {
				t.Fatal(taken, err)
			}
			if room := cap(p.spans); to < len(data) && room > maxOwn {
				t.Errorf("%d keys: half a request has room for %d spans", n, room)
			}
			if to < len(data) {
				parseAll(t, other, mgetOf(20))
			}
			from = to
		}
		var pool mbuf.Pool
		chain := chainOf(&pool, data, 1000)
		if got, want := words(p.FinishChain(chain)), n+1; len(got) != want || got[n] != fmt.Sprintf("key:%012d", n-1) {
			t.Errorf("%d keys: %d words, the last %q", n, len(got), got[len(got)-1])
		}
		chain.Release(&pool)
	}
}

// replyTranscripts are servers' bytes.
var replyTranscripts = []string{
	"+OK\r\n-ERR no\r\n:12\r\n:-3\r\n:9223372036854775807\r\n:-9223372036854775808\r\n$3\r\nabc\r\n$0\r\n\r\n$-1\r\n*-1\r\n*0\r\n",
	"*3\r\n$1\r\na\r\n$-1\r\n$2\r\nbc\r\n*2\r\n$1\r\n0\r\n*2\r\n:1\r\n*1\r\n+x\r\n+OK\r\n",
	"*2\r\n*0\r\n*-1\r\n*1\r\n*1\r\n*1\r\n*1\r\n_\r\n",
	"%2\r\n+a\r\n:1\r\n+b\r\n#t\r\n~2\r\n,1.5\r\n(12345678901234567890\r\n|1\r\n+ttl\r\n:3\r\n$1\r\nx\r\n>2\r\n+p\r\n+q\r\n=7\r\ntxt:abc\r\n!5\r\nERR x\r\n",
	"%0\r\n|0\r\n+x\r\n~0\r\n*1\r\n|1\r\n+a\r\n+b\r\n+c\r\n",
	"$1000\r\n" + strings.Repeat("\r\n", 500) + "\r\n", "$5\r\nab", "*2\r\n+a\r\n", "*2", "+", "$", "|1\r\n+a\r\n+b\r\n",
	"x", "\r\n", "+a\nb\r\n", "+a\rb\r\n", "$-2\r\n", "*-2\r\n", "%-1\r\n", "~-1\r\n", "!-1\r\n", "$?\r\n", ":\r\n", ":a\r\n", ":01\r\n",
	":9223372036854775808\r\n", "$1073741824\r\n", "$1073741825\r\n", "$99999999999\r\n", "*2147483648\r\n",
	"*2147483647\r\n", "$1\r\nab\r\n", "$1\r\na\rb", "$01\r\na\r\n", "*1\r\nx", "%1\r\n+a\r\nx", "|-1\r\n",
}

// foundReplies is what a reply parser finds in data, read in steps.
func foundReplies(data []byte, cuts []int) (sizes []int, err *msg.ProtocolError) {
	p := New(Options{}).NewReplyParser()
	err = inSteps(data, cuts, p.Parse, func(m []byte) {
		sizes = append(sizes, len(m))
		p.Reset()
	})
	return sizes, err
}

func sameReplies(data []byte, cuts []int, want wanted) error {
	sizes, err := foundReplies(data, cuts)
	if !slices.Equal(sizes, want.sizes) {
		return fmt.Errorf("sizes %v, want %v", sizes, want.sizes)
	}
	got := ""
	if err != nil {
		got = err.Msg
	}
	if (got == "") != (want.err == "") || !strings.Contains(got, want.err) {
		return fmt.Errorf("error %q, want %q", got, want.err)
	}
	return nil
}

func TestReplyAtEverySplit(t *testing.T) {
	for _, text := range replyTranscripts {
		data := []byte(text)
		want := refReplies(data)
		for cut := range len(data) {
			if err := sameReplies(data, []int{cut}, want); err != nil {
				t.Errorf("%.80q, split at %d: %v", data, cut, err)
			}
		}
		if err := sameReplies(data, everyByte(len(data)), want); err != nil {
			t.Errorf("%.80q, byte by byte: %v", data, err)
		}
	}
}

// TestReplyElements: outstanding elements are counted and bounded, not stacked.
func TestReplyElements(t *testing.T) {
	p := New(Options{}).NewReplyParser()
	for i := range 3 {
		_, _, err := p.Parse([]byte("*2147483647\r\n"))
		if refused := err != nil; refused != (i == 2) {
			t.Fatalf("array %d of 2147483647 arrays: error %v", i, err)
		}
	}
	deep := New(Options{}).NewReplyParser()
	data := []byte(strings.Repeat("*1\r\n", 1_000_000) + ":1\r\n")
	if n, done, err := deep.Parse(data); n != len(data) || !done || err != nil {
		t.Errorf("a million arrays deep: %d of %d bytes, done %t, error %v", n, len(data), done, err)
	}
}

// TestReplyText: a text without end is refused at the same byte, however it comes.
func TestReplyText(t *testing.T) {
	data := []byte("+" + strings.Repeat("x", maxReplyLine+1))
	for _, cuts := range [][]int{nil, {1}, {maxReplyLine}, {maxReplyLine, maxReplyLine + 1}} {
		if sizes, err := foundReplies(data, cuts); err == nil || len(sizes) > 0 {
			t.Errorf("split at %v: sizes %v, error %v", cuts, sizes, err)
		}
		if _, err := foundReplies(data[:maxReplyLine], nil); err != nil {
			t.Errorf("a text at the limit: %v", err)
		}
	}
}

func TestReplyBody(t *testing.T) {
	p := New(Options{}).NewReplyParser()
	for _, step := range []struct {
		data string
		want int
	}{{"*2\r\n$1\r\na\r\n$1000", 0}, {"\r\n", 1002}, {"abc", 999}} {
		if _, _, err := p.Parse([]byte(step.data)); err != nil {
			t.Fatal(err)
		}
		if got := p.Body(); got != step.want {
			t.Errorf("behind %q: Body is %d, want %d", step.data, got, step.want)
		}
	}
}

func TestParsingDoesNotAllocate(t *testing.T) {
	p := New(Options{}).NewRequestParser()
	replies := New(Options{}).NewReplyParser()
	for _, data := range [][]byte{
		resp("GET", "key:000000000001"), resp("SET", "key:000000000001", strings.Repeat("v", 5000)),
		resp("zunionstore", "d", "2", "a", "b"), resp("nosuch", "a", "b"), mgetOf(100), mgetOf(10_000), []byte("get a\r\n"),
	} {
		allocs := testing.AllocsPerRun(100, func() {
			n, done, err := p.Parse(data[:len(data)/2])
			m, done2, err2 := p.Parse(data[n:])
			if done || !done2 || err != nil || err2 != nil || n+m != len(data) {
				t.Fatal(n, m, done, done2, err, err2)
			}
			p.Finish(data)
		})
		if allocs != 0 {
			t.Errorf("parsing %.40q allocates %v times", data, allocs)
		}
	}
	for _, text := range replyTranscripts[:5] {
		data := []byte(text)
		if allocs := testing.AllocsPerRun(100, func() {
			for rest := data; len(rest) > 0; {
				n, done, err := replies.Parse(rest)
				if !done || err != nil {
					t.Fatal(done, err)
				}
				rest = rest[n:]
				replies.Reset()
			}
		}); allocs != 0 {
			t.Errorf("parsing %.40q allocates %v times", data, allocs)
		}
	}
}
