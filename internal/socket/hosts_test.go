package socket

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// What a hosts file says of a name.
func TestHosts(t *testing.T) {
	const file = "# none\n10.0.0.1 one ONE.Example. # two\n\nnonsense two\n::1\n10.0.0.2\tone\n10.0.0.1 one\n::ffff:10.0.0.3 mapped\nfe80::1%lo linked"
	f := newHosts(t, file, "")
	for name, want := range map[string][]string{
		"one": {"10.0.0.1", "10.0.0.2"}, "one.example": {"10.0.0.1"}, "One.EXAMPLE.": {"10.0.0.1"},
		"two": nil, "mapped": {"10.0.0.3"}, "linked": {"fe80::1%lo"}, "": nil,
	} {
		if got := found(f, name); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
}

// A file that changes is read at once, also if neither its size nor its time has changed.
func TestHostsChange(t *testing.T) {
	f := newHosts(t, "10.0.0.1 one", "")
	is := func(want ...string) {
		t.Helper()
		if got := found(f, "one"); !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	}
	is("10.0.0.1")
	stamp := time.Now()
	put(t, f.path, "10.0.0.2 one", stamp)
	is("10.0.0.2")
	put(t, f.path, "10.0.0.3 one", stamp)
	is("10.0.0.3")
	old := stamp.Add(-time.Hour)
	put(t, f.path, "10.0.0.4 one", old)
	is("10.0.0.4")
	put(t, f.path, "10.0.0.5 one # longer", old)
	is("10.0.0.5")
	put(t, f.path, "10.0.0.6 one # longer", old.Add(time.Second))
	is("10.0.0.6")
	if err := os.Remove(f.path); err != nil {
		t.Fatal(err)
	}
	is()
}

// The file is left to the package net where DNS is asked first.
func TestHostsOrder(t *testing.T) {
	for order, want := range map[string]bool{
		"": true, "passwd: files": true, "hosts: files dns\n": true, "hosts:\tmyhostname resolve [!UNAVAIL=return] files dns": true,
		"hosts: dns files": false, "hosts: dns": false, "# hosts: dns\nhosts: files # dns files": true,
	} {
		f := newHosts(t, "10.0.0.1 one", order)
		if got := len(found(f, "one")) > 0; got != want {
			t.Errorf("%q: %v", order, got)
		}
	}
}

func newHosts(t *testing.T, text, order string) *hostsFile {
	dir := t.TempDir()
	f := &hostsFile{path: filepath.Join(dir, "hosts"), order: filepath.Join(dir, "order")}
	put(t, f.path, text, time.Now())
	if order != "" {
		put(t, f.order, order, time.Now())
	}
	return f
}

func put(t *testing.T, path, text string, at time.Time) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func found(f *hostsFile, name string) []string {
	var all []string
	for _, ip := range f.find(name) {
		all = append(all, ip.String())
	}
	return all
}
