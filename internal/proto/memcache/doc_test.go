package memcache

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"nuthatch/internal/msg"
	"nuthatch/internal/testkit"
)

var update = flag.Bool("update", false, "write the table of commands into docs/MEMCACHED.md")

// TestReference compares the list of commands in docs/MEMCACHED.md with the
// table that it is made of.
func TestReference(t *testing.T) {
	testkit.CheckPart(t, "../../../docs/MEMCACHED.md", "commands", reference(), *update)
}

// TestTable checks what every row must have.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for i := range commands[1:] {
		c := &commands[i+1]
		switch {
		case seen[c.name]:
			t.Errorf("%s: stands there twice", c.name)
		case !strings.HasPrefix(c.form, c.name):
			t.Errorf("%s: its form is %q", c.name, c.form)
		case len(c.name) > maxName:
			t.Errorf("%s: longer than maxName", c.name)
		case c.refusal == "" && c.min == 0:
			t.Errorf("%s: takes a line without words", c.name)
		case (c.flags > 0) != (len(c.silent) > 0) || (c.flags > 0) != (c.twice != ""):
			t.Errorf("%s: flags that cannot be quiet, or the other way round", c.name)
		case (c.body > 0 || c.many) && c.key == 0:
			t.Errorf("%s: has no key", c.name)
		}
		seen[c.name] = true
	}
}

// reference writes the documentation of every command.
func reference() string {
	var b strings.Builder
	b.WriteString("\n| command | what becomes of it | |\n|---|---|---|\n")
	for i := range commands[1:] {
		c := &commands[i+1]
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", strings.ReplaceAll(c.form, "|", "\\|"), fate(c), notes(c))
	}
	b.WriteString("\n")
	return b.String()
}

func fate(c *command) string {
	if c.refusal != "" {
		return "refused"
	}
	switch c.treatment {
	case msg.Forward:
		if c.key == 0 {
			return "one server answers"
		}
		return "goes to the key's server"
	case msg.Fragment:
		return "split by server, the replies merged"
	case msg.Broadcast:
		return "goes to every server, the replies merged"
	case msg.Local:
		return "answered by the proxy"
	case msg.Quit:
		return "closes the connection"
	case msg.Watch, msg.Block, msg.Subscribe, msg.Publish, msg.Track, msg.Monitor, msg.Confirm, msg.One, msg.Learn, msg.Gather, msg.Report, msg.Ignore:
	}
	return ""
}

func notes(c *command) string {
	var notes []string
	if c.note != "" {
		notes = append(notes, c.note)
	}
	if len(c.silent) > 0 {
		notes = append(notes, "With `q`, it leaves out `"+strings.Join(c.silent, "` and `")+"`.")
	}
	if c.refusal != "" {
		notes = append(notes, "`"+c.refusal+"`")
	}
	return strings.Join(notes, " ")
}
