package main

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestChart: the chart is packed as Helm packs one, with the release's version.
func TestChart(t *testing.T) {
	s, err := identify(context.Background(), "../..", "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	r := &release{source: *s, tree: s.root, out: t.TempDir()}
	if err := r.writeChart(); err != nil {
		t.Fatal(err)
	}
	files := unpack(t, filepath.Join(r.out, "nuthatch-1.2.3.tgz"))
	for _, line := range []string{"\nversion: 1.2.3\n", "\nappVersion: 1.2.3\n"} {
		if !strings.Contains(files["nuthatch/Chart.yaml"], line) {
			t.Errorf("Chart.yaml has no %q:\n%s", line, files["nuthatch/Chart.yaml"])
		}
	}
	charts := os.DirFS("../../charts")
	err = fs.WalkDir(charts, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(charts, name)
		if name != "nuthatch/Chart.yaml" && files[name] != string(text) {
			t.Errorf("the packed %s is another one", name)
		}
		delete(files, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if text != "" {
			t.Errorf("%s is packed, and is no file of the chart", name)
		}
	}
}
