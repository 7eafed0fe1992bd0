package redis

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"testing"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

func shaOf(text string) string {
	sum := sha1.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

// loadScript is what happens to a SCRIPT LOAD in a pool: it is prepared, and the
// servers' replies are merged.
func loadScript(t *testing.T, p *Protocol, text string, answers ...any) string {
	t.Helper()
	p.Prepare(parseWords(t, p, "script", "LOAD", text), &msg.Session{})
	var pool mbuf.Pool
	var out mbuf.Chain
	p.Merge(split(&pool, "script|load", parts(answers...), nil, 0), &pool, &out)
	return string(out.AppendTo(nil))
}

// restored is what a server that comes back is told.
func restored(t *testing.T, p *Protocol) []string {
	t.Helper()
	var pool mbuf.Pool
	var out mbuf.Chain
	n := p.Restore(&pool, &out)
	var texts []string
	data := out.AppendTo(nil)
	parser := p.NewRequestParser()
	for len(data) > 0 {
		size, done, err := parser.Parse(data)
		if !done || err != nil {
			t.Fatal(done, err)
		}
		said := words(parser.Finish(data[:size]))
		if len(said) != 3 || said[0] != "SCRIPT" || said[1] != "LOAD" {
			t.Fatalf("the server is told %q", said)
		}
		texts = append(texts, said[2])
		data = data[size:]
	}
	if n != len(texts) {
		t.Errorf("%d replies are expected to %d requests", n, len(texts))
	}
	return texts
}

func TestScriptsAreRemembered(t *testing.T) {
	shared := NewScripts()
	p, other := New(Options{Scripts: shared}), New(Options{Scripts: shared})
	name := func(text string) string { return bulkOf(shaOf(text)) }
	for _, tt := range []struct {
		text    string
		answers []any
		want    string
		all     string
	}{
		{"a", []any{name("a"), name("a")}, name("a"), "a"},
		{"b", []any{refused, name("b")}, name("b"), "a b"},
		{"b", []any{name("b"), name("b")}, name("b"), "a b"},
		{"c", []any{refused, refused}, gone, "a b"},
		{"d", []any{"-ERR compiling\r\n", "-ERR compiling\r\n"}, "-ERR compiling\r\n", "a b"},
		{"e", []any{name("e"), "-LOADING\r\n"}, "-LOADING\r\n", "a b"},
		{"f", []any{name("f"), name("a")}, different, "a b"},
		{"g", []any{"+OK\r\n", name("g")}, badReply, "a b"},
		{"h", []any{name("h")}, name("h"), "a b h"},
	} {
		if got := loadScript(t, p, tt.text, tt.answers...); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.text, got, tt.want)
		}
		if got := strings.Join(restored(t, other), " "); got != tt.all {
			t.Errorf("after %s another loop restores %q, want %q", tt.text, got, tt.all)
		}
	}
	p.Prepare(parseWords(t, p, "SCRIPT", "FLUSH", "ASYNC"), &msg.Session{})
	if got := restored(t, other); len(got) != 0 {
		t.Errorf("after a flush %q is restored", got)
	}
	// A flush that another loop sees before the reply forgets the script, too.
	p.Prepare(parseWords(t, p, "script", "load", "x"), &msg.Session{})
	other.Prepare(parseWords(t, other, "script", "flush"), &msg.Session{})
	p.loading.loaded(shaOf("x"))
	if got := restored(t, p); len(got) != 0 {
		t.Errorf("what was flushed while it was loaded is restored: %q", got)
	}
}

func TestScriptsAreBounded(t *testing.T) {
	p := New(Options{})
	for i := range maxScripts + 10 {
		text := fmt.Sprintf("return %d", i)
		loadScript(t, p, text, bulkOf(shaOf(text)))
	}
	if got := restored(t, p); len(got) != maxScripts || got[0] != "return 10" {
		t.Errorf("%d scripts are restored, the first %q", len(got), got[0])
	}
	for i := range 6 {
		text := strings.Repeat(string(rune('a'+i)), maxScriptBytes/4)
		loadScript(t, p, text, bulkOf(shaOf(text)))
	}
	got := restored(t, p)
	if len(got) != 4 || got[0][0] != 'c' || p.scripts.set.Load().bytes != maxScriptBytes {
		t.Errorf("%d large scripts are restored, of %d bytes", len(got), p.scripts.set.Load().bytes)
	}
	huge := strings.Repeat("x", maxScriptBytes+1)
	if got := loadScript(t, p, huge, bulkOf(shaOf(huge)), refused); got != gone {
		t.Errorf("a script that cannot be remembered, and one server gone: %q", got)
	}
	for i := range 2 * maxScripts {
		p.Prepare(parseWords(t, p, "script", "load", fmt.Sprint(i)), &msg.Session{})
	}
	if n := len(p.loading.scripts); n != maxScripts {
		t.Errorf("%d scripts are taken to be loading, want %d at the most", n, maxScripts)
	}
}

// TestScriptsFromAllLoops: what several loops load at once is all remembered.
func TestScriptsFromAllLoops(t *testing.T) {
	s := NewScripts()
	var wg sync.WaitGroup
	for loop := range 4 {
		wg.Go(func() {
			for i := range 100 {
				text := fmt.Sprintf("%d %d", loop, i)
				s.add(script{sha: text, text: text})
			}
		})
	}
	wg.Wait()
	if n := len(s.set.Load().scripts); n != 400 {
		t.Errorf("%d scripts are remembered, want 400", n)
	}
}
