package compat

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

// A twin is one memcached behind nuthatch and another like it: clients of
// nuthatch must see what clients of the other see, byte by byte.
type twin struct {
	t         *testing.T
	nuthatch  *testkit.Proxy
	memcached *testkit.Server
}

func newTwin(t *testing.T, args ...string) *twin {
	t.Helper()
	behind := testkit.StartMemcached(t, args...)
	pool := testkit.Pool{Protocol: testkit.Memcache, Servers: testkit.Names(behind), Lines: []string{"allow_flush: true"}}
	return &twin{
		t:        t,
		nuthatch: testkit.StartNuthatch(t, pool.String(), testkit.Threads(1)), memcached: testkit.StartMemcached(t, args...),
	}
}

// The fence is a request with a reply that no other request has.
const (
	fence      = "mg fence k Ofence\r\n"
	fenceReply = "EN kfence Ofence\r\n"
)

// converse sends the pieces over a fresh connection, one write each, and a fence,
// and returns all that came before the fence's reply. Between two pieces, the
// second is written only when a request of another connection has been answered.
func converse(t *testing.T, addr string, pieces ...[]byte) string {
	t.Helper()
	conn := connect(t, addr)
	defer conn.Close()
	pieces[len(pieces)-1] = append(slices.Clip(pieces[len(pieces)-1]), fence...)
	barrier := io.ReadWriteCloser(conn)
	if len(pieces) > 1 {
		barrier = connect(t, addr)
		defer barrier.Close()
	}
	go func() {
		for i, piece := range pieces {
			if i > 0 {
				if _, err := barrier.Write([]byte(fence)); err != nil {
					return
				}
				if _, err := io.ReadFull(barrier, make([]byte, len(fenceReply))); err != nil {
					return
				}
			}
			if _, err := conn.Write(piece); err != nil {
				return // the reader sees it
			}
		}
	}()
	var got []byte
	buf := make([]byte, 256<<10)
	for !bytes.HasSuffix(got, []byte(fenceReply)) {
		n, err := conn.Read(buf)
		got = append(got, buf[:n]...)
		if err != nil {
			t.Errorf("%s: %v after ...%q", addr, err, got[max(0, len(got)-300):])
			break
		}
	}
	return strings.TrimSuffix(string(got), fenceReply)
}

func connect(t *testing.T, addr string) net.Conn {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Error(err)
		return nil
	}
	if err := conn.SetDeadline(time.Now().Add(2 * testkit.Patience)); err != nil {
		t.Error(err)
	}
	return conn
}

// clocks are the parts of replies that go by the server's clock.
var clocks = regexp.MustCompile(`(la=|exp=|[ ][tl])\d+`)

// A conversation is one case of the corpus: what is asked, of a state that is
// known.
type conversation struct {
	// ask goes to both. Where memcached, having refused a line, takes the value
	// behind it for commands, and nuthatch skips it, value is what nuthatch alone
	// gets behind ask.
	ask, value string
}

// before brings the servers into one state, after shows what became of it. The
// answer to mn, which memcached sends at once, keeps conversations apart.
const (
	before = "set a 5 0 3\r\nabc\r\nset n 0 0 2\r\n10\r\nset t 7 1000 1\r\nx\r\ndelete none\r\nms YWJj 3 b F9\r\nbin\r\nmd bm9uZQ== b\r\nmn\r\n"
	after  = "\r\ngets a n t none noreply\r\nmg YWJj b k v f c\r\nmn\r\n"
)

// compare plays the conversations to both sides, all in one pipeline that goes to
// nuthatch in several cuts, and names those that differ.
func (w *twin) compare(group string, corpus []conversation) {
	w.t.Helper()
	var theirs, ours []byte
	for _, c := range corpus {
		theirs = append(theirs, before+c.ask+after...)
		ours = append(ours, before+c.ask+c.value+after...)
	}
	cuts := map[string]testkit.Splitter{"whole": nil, "cut": testkit.RandomSplit(1, 60), "cut again": testkit.RandomSplit(2, 60)}
	for how, cut := range cuts {
		want := converse(w.t, w.memcached.Addr(), bytes.Clone(theirs))
		got := converse(w.t, w.nuthatch.Addr(), pieces(ours, cut)...)
		w.report(group+", "+how, corpus, want, got)
		if w.t.Failed() {
			return
		}
	}
}

func pieces(b []byte, cut testkit.Splitter) (all [][]byte) {
	if cut == nil {
		return [][]byte{bytes.Clone(b)}
	}
	from := 0
	for _, to := range append(cut(len(b)), len(b)) {
		all = append(all, bytes.Clone(b[from:to]))
		from = to
	}
	return all
}

func (w *twin) report(how string, corpus []conversation, want, got string) {
	w.t.Helper()
	want, got = clocks.ReplaceAllString(want, "$1#"), clocks.ReplaceAllString(got, "$1#")
	if want == got {
		return
	}
	wants, gots := strings.SplitAfter(want, "MN\r\n"), strings.SplitAfter(got, "MN\r\n")
	shown := 0
	for i := range min(len(wants), len(gots)) {
		if wants[i] == gots[i] || shown >= 5 {
			continue
		}
		shown++
		w.t.Errorf("%s: %.120q\nmemcached %.300q\nnuthatch  %.300q", how, corpus[min(i/2, len(corpus)-1)].ask, wants[i], gots[i])
	}
	if shown == 0 {
		w.t.Errorf("%s: %d bytes, want %d", how, len(got), len(want))
	}
}

var (
	longestKey = strings.Repeat("k", 250)
	tooLongKey = strings.Repeat("k", 251)
)

// A slot is a word of a command's line: what it can be, the first of them right.
type slot []string

var (
	keySlot     = slot{"a", "n", "t", "none", longestKey, tooLongKey, "ctl\x01\x7f", "tab\t", "\xc3\xa9", "noreply"}
	flagsSlot   = slot{"5", "0", "4294967295", "00", "-1", "x", "1x", "0x1", "1.5", "18446744073709551616"}
	timeSlot    = slot{"0", "100", "-1", "2592000", "x", "1x", "", "1e3", "99999999999999999999", "noreply"}
	lengthSlot  = slot{"3", "0", "1", "4", "03", "-1", "x", "3x", "0x3", "99999999999999999999"}
	uniqueSlot  = slot{"1", "0", "18446744073709551615", "-1", "x", "18446744073709551616"}
	deltaSlot   = slot{"1", "0", "+2", "18446744073709551615", "-1", "x", "1x", "1.5", "18446744073709551616", "noreply"}
	delaySlot   = slot{"0", "-1", "x", "1x", "", "noreply"}
	levelSlot   = slot{"0", "1", "x", "-1", "", "noreply"}
	holdSlot    = slot{"0", "1", "x", "-1", "noreply"}
	storageLine = []slot{keySlot, flagsSlot, timeSlot, lengthSlot}
)

// textCommands is the grammar of the text commands: the words behind the name.
var textCommands = []struct {
	name    string
	words   []slot
	body    int // the word that holds the value's length
	noreply bool
	many    bool // of the last word
}{
	{name: "get", words: []slot{keySlot}, many: true},
	{name: "gets", words: []slot{keySlot}, many: true},
	{name: "bget", words: []slot{keySlot}, many: true},
	{name: "gat", words: []slot{timeSlot, keySlot}, many: true},
	{name: "gats", words: []slot{timeSlot, keySlot}, many: true},
	{name: "set", words: storageLine, body: 4, noreply: true},
	{name: "add", words: storageLine, body: 4, noreply: true},
	{name: "replace", words: storageLine, body: 4, noreply: true},
	{name: "append", words: storageLine, body: 4, noreply: true},
	{name: "prepend", words: storageLine, body: 4, noreply: true},
	{name: "cas", words: append(slices.Clone(storageLine), uniqueSlot), body: 4, noreply: true},
	{name: "delete", words: []slot{keySlot}, noreply: true},
	{name: "delete", words: []slot{keySlot, holdSlot}, noreply: true},
	{name: "incr", words: []slot{keySlot, deltaSlot}, noreply: true},
	{name: "decr", words: []slot{keySlot, deltaSlot}, noreply: true},
	{name: "touch", words: []slot{keySlot, timeSlot}, noreply: true},
	{name: "flush_all", noreply: true},
	{name: "flush_all", words: []slot{delaySlot}, noreply: true},
	{name: "verbosity", words: []slot{levelSlot}, noreply: true},
	{name: "version"},
	{name: "mn"},
	{name: "me", words: []slot{keySlot}},
	{name: "me", words: []slot{{"YWJj", "a", "bm9uZQ==", "!!!", "YWJ", "="}, {"b", "x", "bb"}}},
}

// data is the value that is sent behind a line, whatever length that gives.
const data = "xyz\r\n"

// textCorpus makes every command's calls: right, with every word wrong in turn,
// with words missing and too many; all of that with and without noreply.
func textCorpus() map[string][]conversation {
	corpus := map[string][]conversation{}
	for _, c := range textCommands {
		add := func(words ...string) {
			tails := [][]string{nil}
			if c.noreply {
				tails = append(tails, []string{"noreply"}, []string{"noreply", "x"})
			}
			for _, tail := range tails {
				line := append(append([]string{c.name}, words...), tail...)
				corpus[c.name] = append(corpus[c.name], call(line, c.body))
			}
		}
		right := make([]string, len(c.words))
		for i, s := range c.words {
			right[i] = s[0]
		}
		for i, s := range c.words {
			for _, word := range s {
				if word == "" && c.many {
					continue // without a time the keys are one short: see gat without keys
				}
				wrong := slices.Clone(right)
				wrong[i] = word
				add(wrong...)
			}
			if !c.many || i == 0 { // a gat without keys is meant to differ
				add(right[:i]...)
			}
		}
		if len(c.words) == 0 {
			add()
		}
		add(append(slices.Clone(right), "x")...)
		add(append(slices.Clone(right), "x", "y", "z")...)
		if c.many {
			for _, more := range []string{"n", "n none t", "none " + tooLongKey, longestKey + " a a", strings.Repeat("a n ", 40)} {
				add(append(slices.Clone(right), strings.Fields(more)...)...)
			}
		}
	}
	return corpus
}

// call is a call with its value, if one follows: given to memcached only if it
// reads one.
func call(words []string, body int) conversation {
	line := strings.Join(words, " ") + "\r\n"
	words = strings.Fields(line)
	if body == 0 || len(words) <= body || !regexp.MustCompile(`^[0-9]{1,10}$`).MatchString(words[body]) {
		return conversation{ask: line}
	}
	most := body + 2
	if words[0] == "cas" {
		most++
	}
	if len(words) < most-1 || len(words) > most {
		return conversation{ask: line} // a line of too few or too many words has no value, for either
	}
	n, err := strconv.Atoi(words[body])
	number := regexp.MustCompile(`^-?[0-9]{1,18}$`)
	taken := len(words) > most-2 && len(words) <= most && len(words[1]) <= 250 && number.MatchString(words[2]) &&
		words[2][0] != '-' && number.MatchString(words[3]) && (most == body+2 || len(words) > body+1 && fits(words[body+1]))
	if taken && err == nil {
		return conversation{ask: line + data}
	}
	return conversation{ask: line, value: strings.Repeat("v", n) + "\r\n"}
}

func fits(unique string) bool {
	_, err := strconv.ParseUint(unique, 10, 64)
	return err == nil
}

// Every call of every text command, right and wrong, has the replies and the
// effects that it has at memcached itself.
func TestTextAsMemcached(t *testing.T) {
	t.Parallel()
	w := newTwin(t)
	for name, corpus := range textCorpus() {
		t.Run(name, func(t *testing.T) {
			v := *w
			v.t = t
			v.compare(name, corpus)
		})
	}
}

// metaFlags are the flags of memcached 1.6.18, each with tokens that are right,
// and those that are not.
var metaFlags = map[string][]string{
	"b": {""}, "c": {""}, "f": {""}, "h": {""}, "k": {""}, "l": {""}, "s": {""}, "t": {""}, "u": {""}, "v": {""}, "q": {"", "ignored"},
	"O": {"1", "", "opaque-token", strings.Repeat("o", 31), strings.Repeat("o", 32)}, "N": {"60", "0", "x", "", "-1"},
	"R": {"30", "x"}, "T": {"60", "0", "-1", "x"}, "F": {"7", "x", "4294967295"}, "C": {"1", "18446744073709551615", "x"},
	"I": {""}, "M": {"A", "D", "E", "I", "P", "R", "S", "+", "-", "?", "", "AA"}, "J": {"13", "x"}, "D": {"5", "x"}, "P": {""}, "L": {""},
	"Y": {""}, "\xff": {""}, "1": {""},
}

var metaKeys = []string{"a", "n", "t", "none", "YWJj", "bm9uZQ==", "!?", "YWJ", "=", "A===", "YQ==YWJj", "Y-W-J-j", longestKey, tooLongKey, "q", "b"}

// metaCorpus makes every meta command's calls: every key, every flag and token
// alone and with every other, each quiet and not, and some at random.
func metaCorpus() map[string][]conversation {
	corpus := map[string][]conversation{}
	rng := rand.New(rand.NewPCG(3, 1))
	for _, name := range []string{"mg", "ms", "md", "ma"} {
		add := func(key string, flags ...string) {
			for _, quiet := range []string{"", "q"} {
				line := append([]string{name, key}, flags...)
				if quiet != "" {
					at := 2 + rng.IntN(len(line)-1)
					line = slices.Insert(line, at, quiet)
				}
				corpus[name] = append(corpus[name], metaCall(line))
			}
		}
		for _, key := range metaKeys {
			add(key)
			add(key, "k", "v", "Oo")
			add(key, "b", "k", "v", "c")
			add(key, "N60", "v", "k", "b")
			add(key, "N60", "v", "k", "b")
		}
		var all []string
		for flag, tokens := range metaFlags {
			for _, token := range tokens {
				all = append(all, flag+token)
			}
		}
		slices.Sort(all)
		for _, flag := range all {
			for _, key := range []string{"a", "n", "none"} {
				add(key, flag)
				add(key, flag, all[rng.IntN(len(all))], all[rng.IntN(len(all))])
			}
			add("n", flag, flag)
			for _, other := range all {
				add([]string{"n", "none", "YWJj"}[rng.IntN(3)], flag, other)
			}
		}
		add("a", strings.Fields("b c f h k l s t u v O1 N0 R0 T0 F1 C1 I")...)
		add("a", strings.Fields("b c f h k l s t u v O1 N0 R0 T0 F1 C1 I D1 J1 L P")...)
		add("a", "q", "q")
		add("none", "q", "k", "q")
		add("none", "qx", "q")
	}
	return corpus
}

// metaCall is a call with its value, if one follows.
func metaCall(line []string) conversation {
	if line[0] != "ms" {
		return conversation{ask: strings.Join(line, " ") + "\r\n"}
	}
	value, body := "3", data
	if slices.Contains(line, "Oo") {
		value, body = "0", "\r\n"
	}
	line = slices.Insert(line, 2, value)
	request := strings.Join(line, " ") + "\r\n"
	if len(line[1]) > 250 || len(line) > 19 {
		return conversation{ask: request, value: body}
	}
	return conversation{ask: request + body}
}

// meant tells whether nuthatch's answer to a meta call is meant to differ.
func meant(c conversation) bool {
	line, _, _ := strings.Cut(c.ask, "\r\n")
	words := strings.Fields(line)
	flag := func(letter string) (n int) {
		for _, w := range words[2:] {
			if strings.HasPrefix(w, letter) {
				n++
			}
		}
		return n
	}
	// A quiet ma that creates its item is answered by 1.6.18, by no later release.
	vivified := words[0] == "ma" && flag("q") > 0 && flag("N") > 0
	// Two faults in one line: which one is told.
	faults := flag("q") > 1 && (flag("Y") > 0 || flag("1") > 0)
	return vivified || faults
}

// Every call of every meta command, right and wrong, quiet and not, has the
// replies, the silence and the effects that it has at memcached itself.
func TestMetaAsMemcached(t *testing.T) {
	t.Parallel()
	w := newTwin(t)
	for name, corpus := range metaCorpus() {
		t.Run(name, func(t *testing.T) {
			v := *w
			v.t = t
			v.compare(name, slices.DeleteFunc(corpus, meant))
		})
	}
}

// Every command that the documentation lists as forwarded is in the corpus.
func TestCorpusIsWhole(t *testing.T) {
	doc, err := os.ReadFile("../../docs/MEMCACHED.md")
	if err != nil {
		t.Fatal(err)
	}
	covered := map[string]bool{"mg": true, "ms": true, "md": true, "ma": true, "quit": true, "stats": true}
	for _, c := range textCommands {
		covered[c.name] = true
	}
	rows := regexp.MustCompile("(?m)^\\| `([a-z_]+)[^|]*\\| ([a-z ]+)").FindAllStringSubmatch(string(doc), -1)
	if len(rows) < 30 {
		t.Fatalf("the documentation lists %d commands", len(rows))
	}
	for _, row := range rows {
		if !covered[row[1]] && !strings.HasPrefix(row[2], "refused") {
			t.Errorf("%s is not compared with memcached", row[1])
		}
	}
}

// everyShape has each shape of request and of reply once, in a way that the
// replies are the same each time.
const everyShape = "set a 5 0 11\r\nEND\r\nVALUE \r\nset b 0 0 0 noreply\r\n\r\nset n 0 0 1\r\n7\r\nget a b none n\r\nget a\r\n" +
	"gat 0 a none\r\nincr a 1\r\nincr n 1\r\nincr none 1 noreply\r\ntouch n 0\r\ndelete none 0\r\nadd n 0 0 1\r\nx\r\n" +
	"cas none 0 0 1 12\r\nx\r\nset a 0 0 1\r\nxyz\r\nset a 0 0 x\r\nversion\r\nbogus\r\nverbosity 0\r\nmn\r\n" +
	"ms m 3 F3 k Oab\r\nm\r\n\r\nms m 2 q\r\nxy\r\nms m 2 q ME\r\nzz\r\nmg m v k f\r\nmg m s\r\nmg none q\r\nmg none q q\r\nmg none k O1\r\nmg m q v\r\n" +
	"mg bQ== b k v\r\nma n q\r\nma n v\r\nma none q\r\nma m\r\nmd none q\r\nmd m q C1\r\nmd m q\r\nmd m q\r\nme none\r\nmn\r\nms x y\r\nmg " +
	"a Q\r\n"

// A stream that is cut in two at any byte, or comes byte by byte, is answered as
// if it came whole, and as memcached answers it.
func TestEverySplitAsMemcached(t *testing.T) {
	t.Parallel()
	w := newTwin(t)
	want := converse(t, w.memcached.Addr(), []byte(everyShape))
	for cut := range everyShape {
		if got := converse(t, w.nuthatch.Addr(), []byte(everyShape[:cut]), []byte(everyShape[cut:])); got != want {
			t.Fatalf("cut at %d, before %.30q:\nmemcached %q\nnuthatch  %q", cut, everyShape[cut:], want, got)
		}
	}
	each := func(n int) []int {
		all := make([]int, n-1)
		for i := range all {
			all[i] = i + 1
		}
		return all
	}
	if got := converse(t, w.nuthatch.Addr(), pieces([]byte(everyShape), each)...); got != want {
		t.Errorf("byte by byte:\nmemcached %q\nnuthatch  %q", want, got)
	}
}

// Values that memcached takes for too large are swallowed, whether the answer is
// wanted or not, and so are those that nuthatch itself takes for too large.
func TestTooLargeAsMemcached(t *testing.T) {
	t.Parallel()
	w := newTwin(t, "-I", "1m")
	big := strings.Repeat("get a\r\n", 2<<20/7)
	store := func(line string) string { return fmt.Sprintf(line, len(big)) + "\r\n" + big + "\r\n" }
	var blob strings.Builder
	blob.WriteString("set a 0 0 1\r\nx\r\n")
	for _, line := range []string{
		"set a 0 0 %d", "set a 0 0 %d noreply", "ms a %d", "ms a %d q", "ms a %d q MA Oo k", "append a 0 0 %d noreply", "cas a 0 0 %d 1",
	} {
		blob.WriteString(store(line) + "get a b\r\nset a 0 0 1\r\ny\r\n")
	}
	theirs := converse(t, w.memcached.Addr(), []byte(blob.String()))
	for _, cut := range []testkit.Splitter{nil, testkit.RandomSplit(1, 30)} {
		if ours := converse(t, w.nuthatch.Addr(), pieces([]byte(blob.String()), cut)...); ours != theirs {
			t.Errorf("memcached %.1000q\nnuthatch  %.1000q", theirs, ours)
		}
	}
}

// Thousands of quiet gets in one pipeline bring the values in their order, and
// the end when all are there.
func TestQuietPipelineAsMemcached(t *testing.T) {
	t.Parallel()
	w := newTwin(t)
	var blob strings.Builder
	for i := range 3000 {
		if i%3 == 0 {
			fmt.Fprintf(&blob, "ms key:%d 4 q\r\n%04d\r\n", i, i)
		}
	}
	for i := range 9000 {
		fmt.Fprintf(&blob, "mg key:%d q v k O%d\r\n", i%3000, i)
	}
	blob.WriteString("mn\r\n")
	theirs, ours := converse(t, w.memcached.Addr(), []byte(blob.String())), converse(t, w.nuthatch.Addr(), []byte(blob.String()))
	if theirs != ours {
		t.Errorf("nuthatch's %d bytes are not memcached's %d", len(ours), len(theirs))
	}
}
