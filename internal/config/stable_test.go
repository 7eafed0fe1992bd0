package config

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// growing is a file that somebody appends to when it is first read.
type growing struct {
	*os.File
	more string
}

func (g *growing) Read(b []byte) (int, error) {
	n, err := g.File.Read(b)
	if g.more != "" {
		more := g.more
		g.more = ""
		f, openErr := os.OpenFile(g.Name(), os.O_APPEND|os.O_WRONLY, 0)
		if openErr != nil {
			return n, openErr
		}
		defer f.Close()
		if _, writeErr := f.WriteString(more); writeErr != nil {
			return n, writeErr
		}
	}
	return n, err
}

func TestChangingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "half.yml")
	writeFile(t, path, []byte("a: b\n"))
	for _, more := range []string{"", "c: d\n"} {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := readStable(&growing{f, more}); errors.Is(err, ErrChanging) != (more != "") {
			t.Errorf("with %q appended: %v", more, err)
		}
		f.Close()
	}
}
