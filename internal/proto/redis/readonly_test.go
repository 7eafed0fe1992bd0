package redis

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"nuthatch/internal/msg"
)

// What may write is refused in a pool for reading alone, and nothing else: by the flags that
// Redis has for it.
func TestReadOnlyByFlags(t *testing.T) {
	scripts := []string{"eval", "evalsha", "fcall"}
	for i := range commands {
		c := &commands[i]
		want := slices.Contains(strings.Fields(c.facts.flags), "write") || slices.Contains(scripts, c.name)
		if c.mayWrite != want {
			t.Errorf("%s: refused: %t, want %t", c.name, c.mayWrite, want)
		}
		if c.mayWrite && c.access == read {
			t.Errorf("%s is refused, and only reads", c.name)
		}
	}
}

// Of the commands that servers have told of, those pass that they call commands for reading.
func TestReadOnlyLearnt(t *testing.T) {
	p := New(Options{Servers: 1, ReadOnly: true})
	for name, flags := range map[string]string{"x.reads": "readonly", "x.writes": "write", "x.says": "fast"} {
		reply := "*1\r\n*6\r\n$" + strconv.Itoa(len(name)) + "\r\n" + name + "\r\n:-2\r\n*1\r\n+" + flags + "\r\n:1\r\n:1\r\n:1\r\n"
		if why := p.Learn(aboutCommand+name, []byte(reply)); why != "" {
			t.Fatal(why)
		}
	}
	for name, want := range map[string]bool{"x.reads": true, "x.writes": false, "x.says": false} {
		data := resp(name, "k")
		parser := p.NewRequestParser()
		if _, done, err := parser.Parse(data); !done || err != nil {
			t.Fatal(err)
		}
		req := parser.Finish(data)
		if passes := req.Treatment == msg.Forward; passes != want || req.ReadOnly == want || (req.Error == readOnlyPool) == want {
			t.Errorf("%s: %v, %q", name, req.Treatment, req.Error)
		}
	}
}
