package redis

import (
	"strings"
	"testing"

	"nuthatch/internal/config"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// scriptPool is a pool of so many servers.
func scriptPool(servers int, keyless config.KeylessScripts) *Protocol {
	return New(Options{Servers: servers, KeylessScripts: keyless})
}

// TestKeylessScripts: a script without keys is one server's, or refused over several
// unless the pool says that any will do: then it is placed by its name.
func TestKeylessScripts(t *testing.T) {
	const text = "return 7"
	sha := shaOf(text)
	for _, tt := range []struct {
		words []string
		place string
	}{
		{[]string{"EVAL", text, "0"}, sha},
		{[]string{"eval", text, "0", "argument"}, sha},
		{[]string{"EVAL_RO", text, "0"}, sha},
		{[]string{"EVALSHA", sha, "0"}, sha},
		{[]string{"evalsha_ro", strings.ToUpper(sha), "0", "a"}, sha},
		{[]string{"EVAL", "", "0"}, shaOf("")},
		{[]string{"EVALSHA", "x", "0"}, "x"},
		{[]string{"EVALSHA", "", "0"}, ""},
		{[]string{"FCALL", "My_Function", "0"}, "my_function"},
		{[]string{"FCALL_RO", "my_function", "0", "a"}, "my_function"},
		{[]string{"FCALL", strings.Repeat("F", 100), "0"}, strings.Repeat("f", placeSize)},
	} {
		one := parseWords(t, scriptPool(1, config.KeylessRefuse), tt.words...)
		if one.Treatment != msg.Forward || one.Nkeys != 0 || one.PlaceKey == nil {
			t.Errorf("%.60q, one server: treatment %d, %q, %d keys", tt.words, one.Treatment, one.Error, one.Nkeys)
		}
		placed := parseWords(t, scriptPool(3, config.KeylessAny), tt.words...)
		if placed.Treatment != msg.Forward || placed.Nkeys != 0 || placed.PlaceKey == nil || string(placed.PlaceKey) != tt.place {
			t.Errorf("%.60q, any: treatment %d, %q, placed by %q, want %q", tt.words, placed.Treatment, placed.Error, placed.PlaceKey, tt.place)
		}
		refused := parseWords(t, scriptPool(3, config.KeylessRefuse), tt.words...)
		if refused.Treatment != msg.Local || refused.Error != namesNoKey {
			t.Errorf("%.60q, refused: treatment %d, %q", tt.words, refused.Treatment, refused.Error)
		}
	}
}

// TestScriptsWithKeys: what names a key goes by it, whatever the pool says, and so
// does the next request on that connection.
func TestScriptsWithKeys(t *testing.T) {
	p := scriptPool(3, config.KeylessAny)
	for _, words := range [][]string{{"EVAL", "s", "0"}, {"EVAL", "s", "1", "a"}, {"EVAL", "s", "0"}, {"GET", "a"}, {"FCALL", "f", "2", "a", "b"}} {
		r := parseWords(t, p, words...)
		if keyless := words[len(words)-1] == "0"; (r.PlaceKey != nil) != keyless || (r.Nkeys == 0) != keyless || r.Treatment != msg.Forward {
			t.Errorf("%q: treatment %d, %d keys, placed by %q", words, r.Treatment, r.Nkeys, r.PlaceKey)
		}
	}
}

// TestKeylessRefusal: the error says what to do.
func TestKeylessRefusal(t *testing.T) {
	long := strings.Repeat("x", maxPlacedText+1)
	for _, tt := range []struct {
		keyless config.KeylessScripts
		words   []string
		want    string
	}{
		{config.KeylessRefuse, []string{"eval", "s", "0"}, "-ERR 'eval' is not supported by nuthatch: it names no key, and the pool has several servers: " +
			"name a key whose server is to run it, or set keyless_scripts: any\r\n"},
		{config.KeylessAny, []string{"EVAL", long, "0"}, "-ERR 'EVAL' is not supported by nuthatch: it names no key, and its text is too long to choose a server by: name a key\r\n"},
	} {
		c := converse(t, Options{Servers: 3, KeylessScripts: tt.keyless})
		if got, _ := c.say(resp(tt.words...)); got != tt.want {
			t.Errorf("%.40q: %q, want %q", tt.words, got, tt.want)
		}
	}
}

// TestKeylessInPieces: a script is placed by its name wherever its bytes lie.
func TestKeylessInPieces(t *testing.T) {
	text := strings.Repeat("return 1 ", 3*mbuf.SmallSize/9)
	data := resp("EVAL", text, "0")
	p := scriptPool(3, config.KeylessAny)
	for _, size := range []int{1, 7, mbuf.SmallSize, len(data)} {
		var pool mbuf.Pool
		var chain mbuf.Chain
		parser := p.NewRequestParser()
		for rest := data; len(rest) > 0; {
			piece := rest[:min(size, len(rest))]
			rest = rest[len(piece):]
			if _, _, err := parser.Parse(piece); err != nil {
				t.Fatal(err)
			}
			chain.Append(&pool, piece)
		}
		if r := parser.FinishChain(&chain); string(r.PlaceKey) != shaOf(text) {
			t.Errorf("in pieces of %d: placed by %q, %q", size, r.PlaceKey, r.Error)
		}
		chain.Release(&pool)
	}
}

// TestKeylessDoesNotAllocate: a script without keys costs no allocation.
func TestKeylessDoesNotAllocate(t *testing.T) {
	for _, words := range [][]string{{"EVAL", "return 7", "0"}, {"EVALSHA", shaOf("x"), "0"}, {"FCALL", "f", "0"}} {
		parser := scriptPool(3, config.KeylessAny).NewRequestParser()
		data := resp(words...)
		if n := testing.AllocsPerRun(100, func() {
			_, _, err := parser.Parse(data)
			if err != nil || parser.Finish(data).PlaceKey == nil {
				t.Fatal("it is not placed")
			}
		}); n != 0 {
			t.Errorf("%q: %v allocations", words, n)
		}
	}
}
